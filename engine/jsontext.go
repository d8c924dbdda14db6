package engine

import (
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// appendJSONText appends s as a JSON string exactly as JavaScript's
// JSON.stringify writes it: guests have seen no other form, and the bytes of a
// message are part of a process's state.
//
// Bytes that are not UTF-8 become U+FFFD, one for each maximal invalid part,
// which is how the reference scheduler turns an item's bytes into text.
func appendJSONText[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < utf8.RuneSelf && c != '"' && c != '\\' {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			if size := validSize(s[i:]); size > 0 {
				i += size
				continue
			}
			b = append(b, s[start:i]...)
			b = append(b, "\uFFFD"...)
			i += invalidSize(s[i:])
			start = i
			continue
		}
		b = append(b, s[start:i]...)
		b = appendEscape(b, c)
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}

func appendEscape(b []byte, c byte) []byte {
	const hex = "0123456789abcdef"
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\b':
		return append(b, '\\', 'b')
	case '\f':
		return append(b, '\\', 'f')
	case '\n':
		return append(b, '\\', 'n')
	case '\r':
		return append(b, '\\', 'r')
	case '\t':
		return append(b, '\\', 't')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// validSize gives the length of the UTF-8 sequence at the start of s, or 0.
func validSize[T string | []byte](s T) int {
	var r rune
	var size int
	// Four bytes hold every sequence, so the conversion does not allocate.
	head := s[:min(len(s), utf8.UTFMax)]
	r, size = utf8.DecodeRuneInString(string(head))
	if r == utf8.RuneError && size == 1 {
		return 0
	}
	return size
}

// invalidSize gives the length of the maximal invalid part at the start of s:
// the longest beginning of some valid sequence, or one byte (Unicode 15, §3.9,
// table 3-7).
func invalidSize[T string | []byte](s T) int {
	low, high, length := byte(0x80), byte(0xBF), 0
	switch c := s[0]; {
	case c >= 0xC2 && c <= 0xDF:
		length = 2
	case c >= 0xE0 && c <= 0xEF:
		length = 3
	case c >= 0xF0 && c <= 0xF4:
		length = 4
	}
	switch s[0] {
	case 0xE0:
		low = 0xA0
	case 0xED:
		high = 0x9F
	case 0xF0:
		low = 0x90
	case 0xF4:
		high = 0x8F
	}
	size := 1
	for size < length && size < len(s) && s[size] >= low && s[size] <= high {
		low, high = 0x80, 0xBF
		size++
	}
	return size
}

// validUTF8 gives b with each maximal invalid part replaced by U+FFFD, as text
// decoders do; b itself when there is none.
func validUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	text := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		if size := validSize(b); size > 0 {
			text = append(text, b[:size]...)
			b = b[size:]
			continue
		}
		text = append(text, "\uFFFD"...)
		b = b[invalidSize(b):]
	}
	return text
}

// appendJSONTags appends tags as an array of name and value objects.
func appendJSONTags(b []byte, tags dataitem.Tags) []byte {
	b = append(b, '[')
	for i, tag := range tags {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"name":`...)
		b = appendJSONText(b, tag.Name)
		b = append(b, `,"value":`...)
		b = appendJSONText(b, tag.Value)
		b = append(b, '}')
	}
	return append(b, ']')
}

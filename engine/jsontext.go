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
	switch v := any(s).(type) {
	case string:
		if !utf8.ValidString(v) {
			return appendValidText(b, dataitem.Text([]byte(v)))
		}
	case []byte:
		if !utf8.Valid(v) {
			return appendValidText(b, dataitem.Text(v))
		}
	}
	return appendValidText(b, s)
}

func appendValidText[T string | []byte](b []byte, s T) []byte {
	b = append(b, '"')
	start := 0
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' {
			b = append(b, s[start:i]...)
			b = appendEscape(b, c)
			start = i + 1
		}
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

package dataitem

import "unicode/utf8"

// Text gives bytes as text: each maximal invalid part becomes U+FFFD (Unicode
// 15, §3.9, table 3-7), which is how the reference scheduler and every text
// decoder of the web read an item's data.
func Text(b []byte) string {
	if utf8.Valid(b) {
		return string(b)
	}
	text := make([]byte, 0, len(b)+16)
	for len(b) > 0 {
		if _, size := utf8.DecodeRune(b); size > 1 || b[0] < utf8.RuneSelf {
			text = append(text, b[:size]...)
			b = b[size:]
			continue
		}
		text = append(text, "\uFFFD"...)
		b = b[invalidBytes(b):]
	}
	return string(text)
}

// invalidBytes is the length of the maximal invalid part at the start of b: the
// longest beginning of some valid sequence, or one byte.
func invalidBytes(b []byte) int {
	low, high, length := byte(0x80), byte(0xbf), 1
	switch c := b[0]; {
	case c >= 0xc2 && c <= 0xdf:
		length = 2
	case c >= 0xe0 && c <= 0xef:
		length = 3
	case c >= 0xf0 && c <= 0xf4:
		length = 4
	}
	switch b[0] {
	case 0xe0:
		low = 0xa0
	case 0xed:
		high = 0x9f
	case 0xf0:
		low = 0x90
	case 0xf4:
		high = 0x8f
	}
	size := 1
	for size < length && size < len(b) && b[size] >= low && b[size] <= high {
		low, high = 0x80, 0xbf
		size++
	}
	return size
}

package http

import "unicode/utf16"

// cyrb53 hashes a text to 53 bits, as the reference router does with seed 0: two
// lanes of 32 bits over the text's UTF-16 code units.
func cyrb53(text string) uint64 {
	one, two := uint32(0xdeadbeef), uint32(0x41c6ce57)
	for _, unit := range utf16.Encode([]rune(text)) {
		one = (one ^ uint32(unit)) * 2654435761
		two = (two ^ uint32(unit)) * 1597334677
	}
	one = (one^one>>16)*2246822507 ^ (two^two>>13)*3266489909
	two = (two^two>>16)*2246822507 ^ (one^one>>13)*3266489909
	return uint64(two&0x1fffff)<<32 | uint64(one)
}

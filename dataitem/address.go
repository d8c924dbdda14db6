package dataitem

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// AddressOf is the SHA-256 of an owner's key, as gateways index it.
func AddressOf(owner []byte) ID { return sha256.Sum256(owner) }

// NativeAddress is the owner as contracts see it: the checksummed Ethereum
// address of a 65-byte key, otherwise the SHA-256 form (the reference compute
// unit's rule).
func NativeAddress(owner []byte) string {
	if len(owner) != Ethereum.OwnerBytes() {
		return AddressOf(owner).String()
	}
	hash := keccak(owner[1:])
	return checksumAddress(hash[12:])
}

// checksumAddress writes an address with the capitals of EIP-55: a letter is
// upper case where the hash of the lower-case text has a high nibble of 8 or
// more.
func checksumAddress(address []byte) string {
	text := []byte(hex.EncodeToString(address))
	hash := keccak(text)
	for i, c := range text {
		nibble := hash[i/2] >> 4
		if i%2 == 1 {
			nibble = hash[i/2] & 0x0f
		}
		if nibble >= 8 {
			text[i] = strings.ToUpper(string(c))[0]
		}
	}
	return "0x" + string(text)
}

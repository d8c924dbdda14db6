package dataitem

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
)

const (
	rsaBytes = 512
	// maskedBytes is the length of the masked data block: emLen - hLen - 1.
	maskedBytes = rsaBytes - sha256.Size - 1
	pssTrailer  = 0xbc
)

// VerifyPSS checks an RSA-4096 PSS signature with SHA-256 and exponent 65537
// over message, with any salt length (RFC 8017 §8.1.2).
//
// It uses math/big because crypto/rsa has no assembly for 4096-bit keys and
// recomputes its constants on every call, which makes it about three times
// slower. Everything here is public, so variable time gives nothing away. A
// differential fuzz test holds it equal to crypto/rsa.
func VerifyPSS(modulus, message, signature []byte) error {
	if len(modulus) != rsaBytes || len(signature) != rsaBytes {
		return fmt.Errorf("%w: an RSA key and signature have %d bytes", ErrSignature, rsaBytes)
	}
	if modulus[0]&0x80 == 0 || modulus[rsaBytes-1]&1 == 0 {
		return fmt.Errorf("%w: the RSA key is not an odd number of 4096 bits", ErrSignature)
	}
	n, s := new(big.Int).SetBytes(modulus), new(big.Int).SetBytes(signature)
	if s.Cmp(n) >= 0 {
		return ErrSignature
	}
	var encoded [rsaBytes]byte
	s.Exp(s, big.NewInt(rsaExponent), n).FillBytes(encoded[:])
	return checkPSS(&encoded, message)
}

const rsaExponent = 65537

// checkPSS is EMSA-PSS-VERIFY (RFC 8017 §9.1.2) for emBits 4095.
func checkPSS(encoded *[rsaBytes]byte, message []byte) error {
	if encoded[rsaBytes-1] != pssTrailer || encoded[0]&0x80 != 0 {
		return ErrSignature
	}
	block, hash := encoded[:maskedBytes], encoded[maskedBytes:rsaBytes-1]
	unmask(block, hash)
	block[0] &= 0x7f
	start := bytes.IndexByte(block, 1)
	if start < 0 || len(bytes.TrimLeft(block[:start], "\x00")) != 0 {
		return ErrSignature
	}
	messageHash := sha256.Sum256(message)
	h := sha256.New()
	h.Write(make([]byte, 8))
	h.Write(messageHash[:])
	h.Write(block[start+1:])
	if !bytes.Equal(h.Sum(nil), hash) {
		return ErrSignature
	}
	return nil
}

// unmask applies MGF1 with SHA-256 (RFC 8017 §B.2.1).
func unmask(block, seed []byte) {
	var input [sha256.Size + 4]byte
	copy(input[:], seed)
	for counter := uint32(0); len(block) > 0; counter++ {
		binary.BigEndian.PutUint32(input[sha256.Size:], counter)
		mask := sha256.Sum256(input[:])
		for i := range min(len(block), len(mask)) {
			block[i] ^= mask[i]
		}
		block = block[min(len(block), len(mask)):]
	}
}

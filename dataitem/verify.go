package dataitem

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"golang.org/x/crypto/sha3"
)

// Verify checks the signature over exactly the bytes that were parsed.
//
// Type 6 (MultiAptos) gives ErrUnsupported: its unused key slots are part of
// the id but signed by nobody, so one message has many valid ids, and a zero
// key slot can be signed for by anyone.
func (it *Item) Verify() error {
	message := it.SigningMessage()
	switch it.SignatureType {
	case Arweave:
		return VerifyPSS(it.Owner, message[:], it.Signature)
	case Ed25519:
		return verifyEd25519(it.Owner, message[:], it.Signature)
	case Solana:
		return verifyEd25519(it.Owner, hex.AppendEncode(nil, message[:]), it.Signature)
	case InjectedAptos:
		return verifyEd25519(it.Owner, aptosText(message), it.Signature)
	case Ethereum:
		return verifyEthereum(it.Owner, message, it.Signature)
	case TypedEthereum:
		return verifyTypedEthereum(it.Owner, message, it.Signature)
	case MultiAptos:
		return fmt.Errorf("%w: type 6 (multi-aptos) lets one message have many ids; sign with type 1, 2 or 3", ErrUnsupported)
	}
	return fmt.Errorf("%w: %d", ErrSignatureType, uint16(it.SignatureType))
}

func verifyEd25519(owner, message, signature []byte) error {
	if !ed25519.Verify(owner, message, signature) {
		return ErrSignature
	}
	return nil
}

// aptosText is what an Aptos wallet shows and signs.
func aptosText(message [48]byte) []byte {
	return []byte("APTOS\nmessage: " + hex.EncodeToString(message[:]) + "\nnonce: bundlr")
}

// verifyEthereum recovers the key and compares all of it. Comparing the key,
// and not only its address, leaves no owner bytes that a forger may choose.
func verifyEthereum(owner []byte, message [48]byte, signature []byte) error {
	key, err := recoverKey(personalHash(message), signature)
	if err != nil {
		return err
	}
	if !bytes.Equal(key, owner) {
		return ErrSignature
	}
	return nil
}

// personalHash is the hash of an Ethereum personal message (EIP-191).
func personalHash(message [48]byte) [32]byte {
	return keccak([]byte("\x19Ethereum Signed Message:\n48"), message[:])
}

func verifyTypedEthereum(owner []byte, message [48]byte, signature []byte) error {
	text := string(owner)
	address, err := hex.DecodeString(string(bytes.TrimPrefix(owner, []byte("0x"))))
	// Only the lower-case form is accepted: the owner is part of what is signed,
	// and one spelling means one address in every index.
	if err != nil || len(address) != 20 || text != "0x"+hex.EncodeToString(address) {
		return fmt.Errorf("%w: the owner is not a lower-case 0x address", ErrSignature)
	}
	key, err := recoverKey(typedHash(message, address), signature)
	if err != nil {
		return err
	}
	if hash := keccak(key[1:]); !bytes.Equal(hash[12:], address) {
		return ErrSignature
	}
	return nil
}

// typedHash is the EIP-712 hash of the "Bundlr" typed message.
func typedHash(message [48]byte, address []byte) [32]byte {
	domainType := keccak([]byte("EIP712Domain(string name,string version)"))
	name, version := keccak([]byte("Bundlr")), keccak([]byte("1"))
	domain := keccak(domainType[:], name[:], version[:])
	structType := keccak([]byte("Bundlr(bytes Transaction hash,address address)"))
	messageHash := keccak(message[:])
	content := keccak(structType[:], messageHash[:], make([]byte, 12), address)
	return keccak([]byte{0x19, 0x01}, domain[:], content[:])
}

// recoverKey gives the uncompressed public key behind a 65-byte signature. The
// last byte must be 27 or 28 and s must be low: the id hashes the signature, so
// every other spelling of the same signature would be a replay.
func recoverKey(hash [32]byte, signature []byte) ([]byte, error) {
	v := signature[64]
	if v != 27 && v != 28 {
		return nil, fmt.Errorf("%w: recovery byte is %d, not 27 or 28", ErrSignature, v)
	}
	var s secp256k1.ModNScalar
	if s.SetByteSlice(signature[32:64]) || s.IsOverHalfOrder() {
		return nil, fmt.Errorf("%w: s is not in the lower half", ErrSignature)
	}
	compact := make([]byte, 65)
	compact[0] = v
	copy(compact[1:], signature[:64])
	key, _, err := ecdsa.RecoverCompact(compact, hash[:])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return key.SerializeUncompressed(), nil
}

func keccak(parts ...[]byte) (sum [32]byte) {
	h := sha3.NewLegacyKeccak256()
	for _, part := range parts {
		h.Write(part)
	}
	h.Sum(sum[:0])
	return sum
}

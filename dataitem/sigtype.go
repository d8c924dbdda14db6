package dataitem

import "fmt"

// SignatureType says how an item is signed (ANS-104 §3).
type SignatureType uint16

// The signature types of ANS-104 and the libraries in use.
const (
	Arweave       SignatureType = 1 // RSA-4096 PSS
	Ed25519       SignatureType = 2
	Ethereum      SignatureType = 3 // secp256k1, personal message
	Solana        SignatureType = 4 // ed25519 over hexadecimal text
	InjectedAptos SignatureType = 5
	MultiAptos    SignatureType = 6 // known, and refused
	TypedEthereum SignatureType = 7 // secp256k1, EIP-712
)

// signatureLayout is the length of the signature and owner of each type.
func (t SignatureType) layout() (signature, owner int) {
	switch t {
	case Arweave:
		return 512, 512
	case Ed25519, Solana, InjectedAptos:
		return 64, 32
	case Ethereum:
		return 65, 65
	case MultiAptos:
		return 32*64 + 4, 32*32 + 1
	case TypedEthereum:
		return 65, 42
	}
	return 0, 0
}

// SignatureBytes is the length of a signature; 0 for an unknown type.
func (t SignatureType) SignatureBytes() int { n, _ := t.layout(); return n }

// OwnerBytes is the length of an owner's key; 0 for an unknown type.
func (t SignatureType) OwnerBytes() int { _, n := t.layout(); return n }

// String names the type.
func (t SignatureType) String() string {
	switch t {
	case Arweave:
		return "arweave"
	case Ed25519:
		return "ed25519"
	case Ethereum:
		return "ethereum"
	case Solana:
		return "solana"
	case InjectedAptos:
		return "aptos"
	case MultiAptos:
		return "multi-aptos"
	case TypedEthereum:
		return "typed-ethereum"
	}
	return fmt.Sprintf("signature type %d", uint16(t))
}

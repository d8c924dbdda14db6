package dataitem

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
)

// Signer signs deep hashes for one owner. Signing is deterministic: the same
// key and message give the same bytes, so that an item that is made again after
// a crash has the same id. A signer is safe for concurrent use.
type Signer interface {
	SignatureType() SignatureType
	// Owner is the public key as it stands in an item.
	Owner() []byte
	// Sign signs the 48-byte signing message of an item, or any other message.
	Sign(message []byte) ([]byte, error)
}

// GenerateSigner makes a new key of type Arweave, Ed25519 or Ethereum.
func GenerateSigner(t SignatureType, random io.Reader) (Signer, error) {
	if t == Arweave {
		key, err := rsa.GenerateKey(random, 8*rsaBytes)
		if err != nil {
			return nil, fmt.Errorf("generate an RSA key: %w", err)
		}
		return NewArweaveSigner(key)
	}
	seed := make([]byte, 32)
	if _, err := io.ReadFull(random, seed); err != nil {
		return nil, fmt.Errorf("read randomness: %w", err)
	}
	switch t {
	case Ed25519:
		return NewEd25519Signer(seed)
	case Ethereum:
		return NewEthereumSigner(seed)
	}
	return nil, fmt.Errorf("%w: keys are made for types 1, 2 and 3, not %s", ErrUnsupported, t)
}

type arweaveSigner struct {
	key   *rsa.PrivateKey
	owner []byte
	salt  []byte // secret from which salts are made
}

// NewArweaveSigner signs with an RSA-4096 key with exponent 65537.
func NewArweaveSigner(key *rsa.PrivateKey) (Signer, error) {
	if key.N.BitLen() != 8*rsaBytes || key.E != rsaExponent {
		return nil, fmt.Errorf("%w: an Arweave key is RSA with 4096 bits and exponent %d", ErrUnsupported, rsaExponent)
	}
	if err := key.Validate(); err != nil {
		return nil, fmt.Errorf("RSA key: %w", err)
	}
	secret := sha256.Sum256(key.D.Bytes())
	return &arweaveSigner{key: key, owner: key.N.FillBytes(make([]byte, rsaBytes)), salt: secret[:]}, nil
}

func (s *arweaveSigner) SignatureType() SignatureType { return Arweave }
func (s *arweaveSigner) Owner() []byte                { return s.owner }

// Sign makes the salt from the key and the message instead of from chance. PSS
// is as strong with a salt that is secret until used as with a random one, and
// crypto/rsa puts the bytes it reads into the signature unchanged.
func (s *arweaveSigner) Sign(message []byte) ([]byte, error) {
	mac := hmac.New(sha256.New, s.salt)
	mac.Write(message)
	digest := sha256.Sum256(message)
	options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	return rsa.SignPSS(bytes.NewReader(mac.Sum(nil)), s.key, crypto.SHA256, digest[:], options)
}

type ed25519Signer struct{ key ed25519.PrivateKey }

// NewEd25519Signer signs with the key that a 32-byte seed stands for.
func NewEd25519Signer(seed []byte) (Signer, error) {
	if len(seed) != ed25519.SeedSize {
		return nil, fmt.Errorf("%w: an ed25519 seed has %d bytes, not %d", ErrUnsupported, ed25519.SeedSize, len(seed))
	}
	return ed25519Signer{ed25519.NewKeyFromSeed(seed)}, nil
}

func (s ed25519Signer) SignatureType() SignatureType { return Ed25519 }
func (s ed25519Signer) Owner() []byte                { return s.key.Public().(ed25519.PublicKey) }

func (s ed25519Signer) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(s.key, message), nil
}

type ethereumSigner struct {
	key   *secp256k1.PrivateKey
	owner []byte
}

// NewEthereumSigner signs Ethereum personal messages with a 32-byte secp256k1
// key.
func NewEthereumSigner(key []byte) (Signer, error) {
	var scalar secp256k1.ModNScalar
	if len(key) != 32 || scalar.SetByteSlice(key) || scalar.IsZero() {
		return nil, fmt.Errorf("%w: not a secp256k1 private key", ErrUnsupported)
	}
	private := secp256k1.NewPrivateKey(&scalar)
	return &ethereumSigner{key: private, owner: private.PubKey().SerializeUncompressed()}, nil
}

func (s *ethereumSigner) SignatureType() SignatureType { return Ethereum }
func (s *ethereumSigner) Owner() []byte                { return s.owner }

// Sign uses the deterministic nonce of RFC 6979. A message of 48 bytes gets the
// prefix that items use; any other message gets its own length.
func (s *ethereumSigner) Sign(message []byte) ([]byte, error) {
	hash := keccak(fmt.Appendf(nil, "\x19Ethereum Signed Message:\n%d", len(message)), message)
	compact := ecdsa.SignCompact(s.key, hash[:], false)
	// The library puts the recovery byte first, Ethereum puts it last.
	return append(compact[1:65:65], compact[0]), nil
}

package dataitem

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
)

// jwk is the JSON form of a private key (RFC 7517, 7518, 8037, 8812). Arweave
// wallets are its RSA form.
type jwk struct {
	Kty string `json:"kty"`
	Crv string `json:"crv,omitempty"`
	E   b64    `json:"e,omitempty"`
	N   b64    `json:"n,omitempty"`
	X   b64    `json:"x,omitempty"`
	Y   b64    `json:"y,omitempty"`
	D   b64    `json:"d,omitempty"`
	P   b64    `json:"p,omitempty"`
	Q   b64    `json:"q,omitempty"`
	DP  b64    `json:"dp,omitempty"`
	DQ  b64    `json:"dq,omitempty"`
	QI  b64    `json:"qi,omitempty"`
}

// b64 is unpadded base64url in JSON.
type b64 []byte

func (b b64) MarshalText() ([]byte, error) {
	return []byte(base64.RawURLEncoding.EncodeToString(b)), nil
}

func (b *b64) UnmarshalText(text []byte) (err error) {
	*b, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

// ParseJWK reads a wallet: RSA (Arweave), EC secp256k1 or OKP Ed25519.
func ParseJWK(b []byte) (Signer, error) {
	var key jwk
	if err := json.Unmarshal(b, &key); err != nil {
		return nil, fmt.Errorf("not a wallet in JWK form: %w", err)
	}
	switch {
	case key.Kty == "RSA":
		return key.arweave()
	case key.Kty == "EC" && key.Crv == "secp256k1":
		signer, err := NewEthereumSigner(key.D)
		if err != nil {
			return nil, err
		}
		if len(key.X) > 0 && !bytes.Equal(signer.Owner(), append(append([]byte{4}, key.X...), key.Y...)) {
			return nil, fmt.Errorf("%w: the wallet's public key does not belong to its private key", ErrUnsupported)
		}
		return signer, nil
	case key.Kty == "OKP" && key.Crv == "Ed25519":
		signer, err := NewEd25519Signer(key.D)
		if err != nil {
			return nil, err
		}
		if len(key.X) > 0 && !bytes.Equal(signer.Owner(), key.X) {
			return nil, fmt.Errorf("%w: the wallet's public key does not belong to its private key", ErrUnsupported)
		}
		return signer, nil
	}
	return nil, fmt.Errorf("%w: a wallet is RSA, EC secp256k1 or OKP Ed25519, not %q %q", ErrUnsupported, clip(key.Kty), clip(key.Crv))
}

func (k jwk) arweave() (Signer, error) {
	if e := new(big.Int).SetBytes(k.E); len(k.N) != rsaBytes || !e.IsInt64() || e.Int64() != rsaExponent {
		return nil, fmt.Errorf("%w: an Arweave wallet is RSA with 4096 bits and exponent %d", ErrUnsupported, rsaExponent)
	}
	if len(k.D) == 0 || len(k.P) == 0 || len(k.Q) == 0 {
		return nil, fmt.Errorf("%w: the wallet holds no private key", ErrUnsupported)
	}
	key := &rsa.PrivateKey{
		PublicKey: rsa.PublicKey{N: new(big.Int).SetBytes(k.N), E: rsaExponent},
		D:         new(big.Int).SetBytes(k.D),
		Primes:    []*big.Int{new(big.Int).SetBytes(k.P), new(big.Int).SetBytes(k.Q)},
	}
	key.Precompute()
	return NewArweaveSigner(key)
}

// MarshalJWK writes a signer made by this package as a wallet.
func MarshalJWK(s Signer) ([]byte, error) {
	switch s := s.(type) {
	case *arweaveSigner:
		k := s.key
		k.Precompute()
		return json.Marshal(jwk{
			Kty: "RSA", E: big.NewInt(rsaExponent).Bytes(), N: s.owner, D: k.D.Bytes(),
			P: k.Primes[0].Bytes(), Q: k.Primes[1].Bytes(),
			DP: k.Precomputed.Dp.Bytes(), DQ: k.Precomputed.Dq.Bytes(), QI: k.Precomputed.Qinv.Bytes(),
		})
	case *ethereumSigner:
		return json.Marshal(jwk{Kty: "EC", Crv: "secp256k1", X: s.owner[1:33], Y: s.owner[33:], D: s.key.Serialize()})
	case ed25519Signer:
		return json.Marshal(jwk{Kty: "OKP", Crv: "Ed25519", X: s.Owner(), D: b64(s.key.Seed())})
	}
	return nil, fmt.Errorf("%w: this signer cannot be written to a file", ErrUnsupported)
}

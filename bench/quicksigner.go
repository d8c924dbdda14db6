package bench

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// hashSigner makes signatures that cost nothing and prove nothing, for measuring
// a log without the price of signing. Like real ones they have 64 bytes, which
// differ from message to message.
type hashSigner struct{}

// SignatureType is the type whose layout is borrowed.
func (hashSigner) SignatureType() dataitem.SignatureType { return dataitem.Ed25519 }

// Owner is nobody's key.
func (hashSigner) Owner() []byte { return make([]byte, dataitem.Ed25519.OwnerBytes()) }

// Sign hashes.
func (hashSigner) Sign(message []byte) ([]byte, error) {
	sum := sha512.Sum512(message)
	return sum[:], nil
}

// quickSigner makes RSA-4096 signatures that are as dear to verify as any, and
// about ten times as quick to make: its modulus has eight primes instead of two.
// A benchmark needs tens of thousands before it can begin. Its key is worth
// nothing afterwards, so it does not guard its secrets against measuring.
type quickSigner struct {
	modulus   *big.Int
	primes    []*big.Int
	exponents []*big.Int // the private exponent, modulo each prime less one
	shares    []*big.Int // 1 modulo this prime and 0 modulo the others
	owner     []byte
}

const (
	modulusBytes   = 512
	quickPrimes    = 8
	publicExponent = 65537
)

func newQuickSigner(random io.Reader) (*quickSigner, error) {
	s := &quickSigner{modulus: big.NewInt(1)}
	one, e := big.NewInt(1), big.NewInt(publicExponent)
	for len(s.primes) < quickPrimes {
		p, err := highPrime(random)
		if err != nil {
			return nil, fmt.Errorf("make a prime: %w", err)
		}
		exponent := new(big.Int).ModInverse(e, new(big.Int).Sub(p, one))
		if exponent == nil || new(big.Int).Mod(s.modulus, p).Sign() == 0 {
			continue
		}
		s.primes, s.exponents = append(s.primes, p), append(s.exponents, exponent)
		s.modulus.Mul(s.modulus, p)
	}
	for _, p := range s.primes {
		others := new(big.Int).Div(s.modulus, p)
		s.shares = append(s.shares, others.Mul(others, new(big.Int).ModInverse(others, p)))
	}
	s.owner = s.modulus.FillBytes(make([]byte, modulusBytes))
	return s, nil
}

// highPrime makes a prime so close below 2^512 that eight of them fill 4096 bits.
func highPrime(random io.Reader) (*big.Int, error) {
	b := make([]byte, modulusBytes/quickPrimes)
	for {
		if _, err := io.ReadFull(random, b); err != nil {
			return nil, err
		}
		b[0] |= 0xf0
		b[len(b)-1] |= 1
		if p := new(big.Int).SetBytes(b); p.ProbablyPrime(10) {
			return p, nil
		}
	}
}

// SignatureType is Arweave's.
func (s *quickSigner) SignatureType() dataitem.SignatureType { return dataitem.Arweave }

// Owner is the modulus.
func (s *quickSigner) Owner() []byte { return s.owner }

// Sign gives a PSS signature: the root of the encoded message modulo each prime,
// put together.
func (s *quickSigner) Sign(message []byte) ([]byte, error) {
	encoded := new(big.Int).SetBytes(encodePSS(message))
	sum, part := new(big.Int), new(big.Int)
	for i, p := range s.primes {
		part.Mod(encoded, p)
		part.Exp(part, s.exponents[i], p)
		sum.Add(sum, part.Mul(part, s.shares[i]))
	}
	return sum.Mod(sum, s.modulus).FillBytes(make([]byte, modulusBytes)), nil
}

// encodePSS is EMSA-PSS-ENCODE (RFC 8017 §9.1.1) for 4095 bits and SHA-256, with
// a salt that is made from the message.
func encodePSS(message []byte) []byte {
	digest := sha256.Sum256(message)
	salt := sha256.Sum256(append([]byte("salt"), message...))
	seed := sha256.Sum256(append(append(make([]byte, 8), digest[:]...), salt[:]...))
	encoded := make([]byte, modulusBytes)
	block := encoded[:modulusBytes-sha256.Size-1]
	block[len(block)-len(salt)-1] = 1
	copy(block[len(block)-len(salt):], salt[:])
	for i, counter := 0, uint32(0); i < len(block); counter++ {
		mask := sha256.Sum256(binary.BigEndian.AppendUint32(seed[:], counter))
		for j := 0; j < len(mask) && i < len(block); i, j = i+1, j+1 {
			block[i] ^= mask[j]
		}
	}
	block[0] &= 0x7f
	copy(encoded[len(block):], seed[:])
	encoded[modulusBytes-1] = 0xbc
	return encoded
}

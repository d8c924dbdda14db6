package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// LoadWallet reads a wallet file in JWK form.
func LoadWallet(path string) (dataitem.Signer, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read wallet: %w", err)
	}
	signer, err := dataitem.ParseJWK(b)
	if err != nil {
		return nil, fmt.Errorf("wallet %s: %w", path, err)
	}
	return signer, nil
}

// CreateWallet makes a new key of the given type and writes it to path, which
// must not exist: a wallet is never overwritten.
func CreateWallet(path string, kind dataitem.SignatureType) (dataitem.Signer, error) {
	signer, err := dataitem.GenerateSigner(kind, rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	b, err := dataitem.MarshalJWK(signer)
	if err != nil {
		return nil, fmt.Errorf("encode wallet: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("make the wallet's directory: %w", err)
	}
	if err := fsx.CreateDurably(path, 0o600, b); err != nil {
		return nil, fmt.Errorf("write wallet: %w", err)
	}
	return signer, nil
}

// OpenWallet reads the wallet at path, or makes one of the given type when
// there is none.
func OpenWallet(path string, kind dataitem.SignatureType) (dataitem.Signer, error) {
	signer, err := LoadWallet(path)
	if errors.Is(err, fs.ErrNotExist) {
		return CreateWallet(path, kind)
	}
	return signer, err
}

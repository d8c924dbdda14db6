package wasm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/cpu"
)

// CodeCache keeps compiled modules on disk for engines that give their code out.
// Engines run what they are given, so a file counts only if it is whole and was
// written for the very same module, engine and machine.
type CodeCache struct {
	// Dir holds the files; "" keeps nothing.
	Dir string
	// Engine names the engine, its version and its Machine.
	Engine string
}

// Machine names what compiled code runs on: the system, and the processor with all
// that it can do. A cache may come to another machine with its data directory.
func Machine() string {
	return fmt.Sprintf("%s %s %v %v", runtime.GOOS, runtime.GOARCH, cpu.X86, cpu.ARM64)
}

// Get gives the code under a module's fingerprint, or nil when there is none that
// can be used.
func (c CodeCache) Get(fingerprint [32]byte) ([]byte, error) {
	if c.Dir == "" {
		return nil, nil
	}
	b, err := os.ReadFile(c.path(fingerprint))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read compiled code: %w", err)
	}
	if len(b) < sha256.Size {
		return nil, nil
	}
	code := b[sha256.Size:]
	if sum := c.sum(fingerprint, code); !bytes.Equal(sum[:], b[:sha256.Size]) {
		return nil, nil
	}
	return code, nil
}

// Put keeps code under a fingerprint, in place of what was there.
func (c CodeCache) Put(fingerprint [32]byte, code []byte) error {
	if c.Dir == "" {
		return nil
	}
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	f, err := os.CreateTemp(c.Dir, "*.tmp")
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", err)
	}
	sum := c.sum(fingerprint, code)
	_, err = f.Write(append(sum[:], code...))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), c.path(fingerprint))
	}
	if err != nil {
		return fmt.Errorf("keep compiled code: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

func (c CodeCache) path(fingerprint [32]byte) string {
	name := sha256.Sum256(append([]byte(c.Engine+"\x00"), fingerprint[:]...))
	return filepath.Join(c.Dir, hex.EncodeToString(name[:16])+".code")
}

func (c CodeCache) sum(fingerprint [32]byte, code []byte) [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%s\x00%x\x00", c.Engine, fingerprint)
	h.Write(code)
	return [32]byte(h.Sum(nil))
}

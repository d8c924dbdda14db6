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

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// CodeCache keeps compiled modules on disk for engines that give their code out.
// Engines run what they are given, so a file counts only if it is whole and was
// written for the very same module, engine and machine.
type CodeCache struct {
	// Dir holds the files; "" keeps nothing.
	Dir string
	// Engine names the engine, its version and its Machine.
	Engine string
	// Warn is told of files that cannot be read or written; nil is nobody.
	Warn func(string)
}

// Machine names what compiled code runs on: the system, and the processor with all
// that it can do. A cache may come to another machine with its data directory.
func Machine() string {
	return fmt.Sprintf("%s %s %v %v", runtime.GOOS, runtime.GOARCH, cpu.X86, cpu.ARM64)
}

// Get gives the code under a module's fingerprint, or nil when there is none that
// can be used. Who cannot read it is told, and compiles the module again.
func (c CodeCache) Get(fingerprint [32]byte) []byte {
	if c.Dir == "" {
		return nil
	}
	b, err := os.ReadFile(c.path(fingerprint))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			c.warn("compiled code cannot be read, and is compiled again: %v", err)
		}
		return nil
	}
	if len(b) < sha256.Size {
		return nil
	}
	code := b[sha256.Size:]
	if sum := c.sum(fingerprint, code); !bytes.Equal(sum[:], b[:sha256.Size]) {
		return nil
	}
	return code
}

// Put keeps code under a fingerprint, in place of what was there. What cannot be kept
// is compiled again the next time.
func (c CodeCache) Put(fingerprint [32]byte, code []byte) {
	if c.Dir == "" {
		return
	}
	err := os.MkdirAll(c.Dir, 0o755)
	if err == nil {
		sum := c.sum(fingerprint, code)
		err = fsx.Replace(c.path(fingerprint), sum[:], code)
	}
	if err != nil {
		c.warn("compiled code cannot be kept: %v", err)
	}
}

func (c CodeCache) warn(format string, args ...any) {
	if c.Warn != nil {
		c.Warn(fmt.Sprintf(format, args...))
	}
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

package wazero

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// sums keeps a checksum beside each file of compiled code. wazero has one of the
// instructions only: with a bit flipped elsewhere in the file it would run from a
// wrong place, and with one flipped in them it would refuse the module for ever.
// Several processes may use one directory: a file that is gone was another's to take
// away.
type sums struct {
	dir string
	mu  sync.Mutex
}

// sumSuffix names the file that holds another's checksum.
const sumSuffix = ".sum"

// openSums removes compiled code that is not as it was written, which is then
// compiled again. warn is told of each damaged file.
func openSums(dir string, warn func(string)) (*sums, error) {
	s := &sums{dir: dir}
	err := s.each(func(path string) error {
		kept, unread := os.ReadFile(path + sumSuffix)
		sum, err := sumOf(path)
		if errors.Is(err, fs.ErrNotExist) || err == nil && bytes.Equal(sum, kept) {
			return nil
		}
		if err != nil {
			warn(fmt.Sprintf("a compiled module cannot be read, and is compiled again: %v", err))
		} else if !errors.Is(unread, fs.ErrNotExist) {
			warn(fmt.Sprintf("the compiled module in %s is damaged: it is compiled again", path))
		}
		// Without its checksum the file counts as unknown, should a crash leave it.
		return errors.Join(remove(path+sumSuffix), remove(path))
	})
	if err != nil {
		return nil, fmt.Errorf("check the cache of compiled modules in %s: %w", dir, err)
	}
	return s, nil
}

// seal notes the checksums of files that have none yet.
func (s *sums) seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.each(func(path string) error {
		if _, err := os.Stat(path + sumSuffix); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		sum, err := sumOf(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return fsx.Replace(path+sumSuffix, sum)
	})
	if err != nil {
		return fmt.Errorf("note the checksum of a compiled module in %s: %w", s.dir, err)
	}
	return nil
}

// each calls fn with the files of compiled code. wazero keeps them in a directory
// of its own below dir, beside which others may have theirs; those that it has not
// finished have their own ending.
func (s *sums) each(fn func(path string) error) error {
	names, err := fs.Glob(os.DirFS(s.dir), "wazero-*/*")
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasSuffix(name, sumSuffix) || strings.HasSuffix(name, ".tmp") {
			continue
		}
		if err := fn(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func remove(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func sumOf(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	return h.Sum(nil), nil
}

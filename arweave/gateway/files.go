package gateway

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// dataFile is one open file of data.
type dataFile interface {
	io.ReaderAt
	io.Closer
}

// fileStore keeps data that is too large for the database, under 32-byte keys.
// A file that put returned for is on disk with its name.
type fileStore interface {
	// put stores data under key; it replaces nothing that differs, because a
	// key belongs to one content.
	put(key dataitem.ID, data []byte) error
	// writeAt stores a piece of the file of this size, which may have holes.
	writeAt(key dataitem.ID, size, offset uint64, piece []byte) error
	open(key dataitem.ID) (dataFile, error)
	// remove frees a file's space. Whoever has it open can still read it.
	remove(key dataitem.ID) error
}

// diskFiles is one directory of files, spread over 256 subdirectories.
type diskFiles struct{ dir string }

const partial = "partial"

// openDiskFiles makes the directories once, so that storing a file only has to
// make one name durable. Files that were being written when the last run ended
// were never acknowledged and are removed.
func openDiskFiles(dir string) (*diskFiles, error) {
	if err := os.RemoveAll(filepath.Join(dir, partial)); err != nil {
		return nil, fmt.Errorf("remove unfinished files: %w", err)
	}
	for i := range 256 {
		if err := os.MkdirAll(filepath.Join(dir, hex.EncodeToString([]byte{byte(i)})), 0o755); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, partial), 0o755); err != nil {
		return nil, err
	}
	if err := fsx.Sync(dir); err != nil {
		return nil, err
	}
	return &diskFiles{dir}, fsx.Sync(filepath.Dir(dir))
}

func (d *diskFiles) path(key dataitem.ID) string { return filepath.Join(d.dir, fileName(key)) }

func fileName(key dataitem.ID) string {
	name := hex.EncodeToString(key[:])
	return filepath.Join(name[:2], name[2:])
}

func (d *diskFiles) put(key dataitem.ID, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Join(d.dir, partial), "*")
	if err != nil {
		return fmt.Errorf("store data: %w", err)
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("store %d bytes of data: %w", len(data), errors.Join(err, os.Remove(f.Name())))
		}
	}()
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	path := d.path(key)
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return fsx.Sync(filepath.Dir(path))
}

func (d *diskFiles) writeAt(key dataitem.ID, size, offset uint64, piece []byte) error {
	path := d.path(key)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("store a chunk: %w", err)
	}
	info, err := f.Stat()
	fresh := err == nil && info.Size() < int64(size)
	if fresh {
		err = f.Truncate(int64(size))
	}
	if err == nil {
		_, err = f.WriteAt(piece, int64(offset))
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil && fresh {
		err = fsx.Sync(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("store a chunk: %w", err)
	}
	return nil
}

func (d *diskFiles) open(key dataitem.ID) (dataFile, error) { return os.Open(d.path(key)) }

func (d *diskFiles) remove(key dataitem.ID) error {
	if err := os.Remove(d.path(key)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove replaced data: %w", err)
	}
	return nil
}

// memoryFiles is the store of an ephemeral gateway.
type memoryFiles struct {
	mu    sync.RWMutex
	files map[dataitem.ID][]byte
}

func newMemoryFiles() *memoryFiles { return &memoryFiles{files: map[dataitem.ID][]byte{}} }

func (m *memoryFiles) put(key dataitem.ID, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files[key] = bytes.Clone(data)
	return nil
}

func (m *memoryFiles) writeAt(key dataitem.ID, size, offset uint64, piece []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.files[key] == nil {
		m.files[key] = make([]byte, size)
	}
	copy(m.files[key][offset:], piece)
	return nil
}

func (m *memoryFiles) open(key dataitem.ID) (dataFile, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	data, ok := m.files[key]
	if !ok {
		return nil, os.ErrNotExist
	}
	return memoryFile{bytes.NewReader(data)}, nil
}

func (m *memoryFiles) remove(key dataitem.ID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.files, key)
	return nil
}

type memoryFile struct{ *bytes.Reader }

func (memoryFile) Close() error { return nil }

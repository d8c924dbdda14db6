// Package fsx is the little of a file system that the log needs, behind an
// interface, so that tests can make a write or a flush fail; and whole small files,
// durably, or quickly where they may be lost.
package fsx

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// FS opens and lists files.
type FS interface {
	// Open opens a file for reading and writing, creating it if asked to.
	Open(path string, create bool) (File, error)
	// List gives the names in a directory, sorted.
	List(dir string) ([]string, error)
	MkdirAll(dir string) error
	Rename(from, to string) error
	Remove(path string) error
	// SyncDir makes the names in a directory durable.
	SyncDir(dir string) error
}

// File is an open file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes what was written durable. After an error nothing is known of
	// the file's content on disk, and the caller must stop.
	Sync() error
	Size() (int64, error)
	Truncate(size int64) error
	// Allocate reserves space up to size, so that later writes only change
	// content. File systems without it extend the file instead.
	Allocate(size int64) error
}

// OS is the real file system.
type OS struct{}

var _ FS = OS{}

// Open opens a file for reading and writing.
func (OS) Open(path string, create bool) (File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// List gives the names in a directory, sorted.
func (OS) List(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return names, nil
}

// MkdirAll makes a directory and its parents.
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, 0o755) }

// Rename replaces to by from.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove takes a file's name away.
func (OS) Remove(path string) error { return os.Remove(path) }

// SyncDir makes the names in a directory durable.
func (OS) SyncDir(dir string) error { return Sync(dir) }

type osFile struct{ *os.File }

// Sync uses fdatasync: sizes change only when space is allocated, and that is
// flushed in full.
func (f osFile) Sync() error {
	return ignoringEINTR(func() error { return unix.Fdatasync(int(f.Fd())) })
}

func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

func (f osFile) Allocate(size int64) error {
	err := ignoringEINTR(func() error { return unix.Fallocate(int(f.Fd()), 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = f.File.Truncate(size)
	}
	if err != nil {
		return err
	}
	return f.File.Sync()
}

func ignoringEINTR(fn func() error) error {
	for {
		if err := fn(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// ReadAll gives a whole file; a file that is not there gives os.ErrNotExist.
func ReadAll(fs FS, path string) ([]byte, error) {
	f, err := fs.Open(path, false)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	return b, nil
}

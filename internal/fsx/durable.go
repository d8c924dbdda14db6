package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// CreateDurably makes a file that is on disk, whole, before it gets its name: a crash
// leaves either none or all of it, for half a key would be a lost identity. It refuses
// to replace a file that is there, with fs.ErrExist.
func CreateDurably(path string, mode fs.FileMode, content []byte) error {
	temporary, err := writeTemporary(path, mode, content)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil {
		return err
	}
	return Sync(filepath.Dir(path))
}

// ReplaceDurably gives a file new content: after a crash it has either the old or the
// new, and the new once this has returned.
func ReplaceDurably(path string, mode fs.FileMode, content []byte) error {
	temporary, err := writeTemporary(path, mode, content)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return Sync(filepath.Dir(path))
}

// writeTemporary writes and flushes what a file is to have, beside it.
func writeTemporary(path string, mode fs.FileMode, content []byte) (temporary string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return "", err
	}
	if _, err = f.Write(content); err == nil {
		err = errors.Join(f.Chmod(mode), f.Sync())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// Sync flushes a file, or the names in a directory.
func Sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

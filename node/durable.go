package node

import (
	"os"
	"path/filepath"
)

// writeNewFile makes a private file durable before it gets its name, so that a
// crash leaves either no wallet or a whole one: a half-written key would be a
// lost identity. Link refuses to replace a file that is already there.
func writeNewFile(path string, b []byte) error {
	temporary, err := writeTemporary(filepath.Dir(path), b)
	if err != nil {
		return err
	}
	defer os.Remove(temporary)
	if err := os.Link(temporary, path); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// replaceFile gives a private file new content, durably: after a crash it has
// either the old or the new.
func replaceFile(path string, b []byte) error {
	temporary, err := writeTemporary(filepath.Dir(path), b)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		os.Remove(temporary)
		return err
	}
	return syncPath(filepath.Dir(path))
}

func writeTemporary(dir string, b []byte) (path string, err error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return f.Name(), err
}

// syncPath flushes a file, or the names in a directory.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

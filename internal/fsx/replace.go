package fsx

import (
	"errors"
	"os"
	"path/filepath"
)

// Replace gives a private file new content, whole, whoever else does so or reads it at the
// same time. It is not flushed: after a power failure the file may be anything, so it is
// for what is checked when it is read. A crash may leave a file that ends in ".tmp".
func Replace(path string, content ...[]byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "*.tmp")
	if err != nil {
		return err
	}
	for _, piece := range content {
		if err == nil {
			_, err = f.Write(piece)
		}
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

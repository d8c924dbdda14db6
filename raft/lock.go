package raft

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/wallaby-ao/wallaby/log"
)

const lockFileName = "LOCK"

// lockDir makes sure that nobody else writes in dir. The lock belongs to the
// open file, so a killed node leaves nothing to clean up.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFileName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("log directory %s cannot be written: %w", dir, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s: stop the other one, or use another directory", log.ErrLocked, dir)
		}
		return nil, fmt.Errorf("lock log directory %s: %w", dir, err)
	}
	return f, nil
}

//go:build unix

package wasm

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// reserve maps address space that may not be touched, so that it does not count
// as memory promised.
func reserve(max uint64) ([]byte, error) {
	if max == 0 {
		return []byte{}, nil
	}
	b, err := unix.Mmap(-1, 0, int(max), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes of address space: %w", max, err)
	}
	avoidHugePages(b)
	return b, nil
}

func commit(space []byte, from, to int) error {
	// Protection is set by page of the machine, which may be larger than 4 KiB.
	from -= from % unix.Getpagesize()
	return unix.Mprotect(space[from:to], unix.PROT_READ|unix.PROT_WRITE)
}

func release(space []byte) {
	if len(space) > 0 {
		_ = unix.Munmap(space)
	}
}

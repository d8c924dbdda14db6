package wasm

import (
	"bytes"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// image is a copy of a guest's memory, kept outside the Go heap. Pages that were
// never written take no memory, and the collector does not count them.
type image struct {
	reserved []byte // address space
	size     int    // bytes in use
}

// osPageBytes is the grain at which memories are compared and copied.
const osPageBytes = 4096

// newImage reserves address space for a memory of up to max bytes.
func newImage(max uint64) (*image, error) {
	b, err := unix.Mmap(-1, 0, int(max), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes for a memory image: %w", max, err)
	}
	// A huge page would make one touched byte cost two megabytes.
	_ = unix.Madvise(b, unix.MADV_NOHUGEPAGE)
	return &image{reserved: b}, nil
}

// update makes the image equal to memory by copying the pages that differ.
func (i *image) update(memory []byte) {
	i.size = len(memory)
	copyChanged(i.reserved[:i.size], memory)
}

// copyChanged makes to equal to from. Comparing first leaves untouched pages of
// both sides untouched.
func copyChanged(to, from []byte) {
	for at := 0; at < len(from); at += osPageBytes {
		end := min(at+osPageBytes, len(from))
		if !bytes.Equal(to[at:end], from[at:end]) {
			copy(to[at:end], from[at:end])
		}
	}
}

func (i *image) close() {
	if i.reserved != nil {
		_ = unix.Munmap(i.reserved)
		i.reserved = nil
	}
}

// isZero reports whether a page holds only zeros.
func isZero(page []byte) bool {
	var zeros [osPageBytes]byte
	for len(page) > 0 {
		n := min(len(page), osPageBytes)
		if !bytes.Equal(page[:n], zeros[:n]) {
			return false
		}
		page = page[n:]
	}
	return true
}

// residentBytes asks the system how many of a mapping's pages are in memory.
func residentBytes(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	pages := make([]byte, (len(b)+osPageBytes-1)/osPageBytes)
	if err := mincore(b, pages); err != nil {
		return uint64(len(b))
	}
	var resident uint64
	for _, page := range pages {
		resident += uint64(page & 1)
	}
	return resident * osPageBytes
}

func mincore(b, pages []byte) error {
	_, _, errno := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		return errno
	}
	return nil
}

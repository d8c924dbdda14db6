//go:build linux

package wasm

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// avoidHugePages keeps one touched byte from costing two megabytes.
func avoidHugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) }

// resident counts the bytes of a view of a reservation that are in memory.
func resident(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	size := unix.Getpagesize()
	pages := make([]byte, (len(b)+size-1)/size)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE,
		uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), uintptr(unsafe.Pointer(&pages[0])))
	if errno != 0 {
		return uint64(len(b))
	}
	var n uint64
	for _, page := range pages {
		n += uint64(page & 1)
	}
	return n * uint64(size)
}

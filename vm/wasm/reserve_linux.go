package wasm

import (
	"encoding/binary"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// avoidHugePages keeps one touched byte from costing two megabytes.
func avoidHugePages(b []byte) { _ = unix.Madvise(b, unix.MADV_NOHUGEPAGE) }

// The bits of an entry of /proc/self/pagemap that say that a page of anonymous
// memory is somewhere: in memory, or swapped out.
const pageIsThere = 1<<63 | 1<<62

// touched asks the system. A page that is nowhere was never touched. A system that
// says that of a page just written to is not believed.
func touched(space []byte) []bool {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		return nil
	}
	defer f.Close()
	probe := []byte{1}
	if known, err := pagemap(f, probe); err != nil || binary.LittleEndian.Uint64(known)&pageIsThere == 0 {
		return nil
	}
	entries, err := pagemap(f, space)
	if err != nil {
		return nil
	}
	marks, size := make([]bool, len(space)/osPageBytes), os.Getpagesize()
	for page := range marks {
		entry := binary.LittleEndian.Uint64(entries[8*(page*osPageBytes/size):])
		marks[page] = entry&pageIsThere != 0
	}
	return marks
}

// pagemap reads the entries of the pages that bytes lie in.
func pagemap(f *os.File, b []byte) (entries []byte, err error) {
	size := os.Getpagesize()
	entries = make([]byte, 8*((len(b)+size-1)/size))
	first := uintptr(unsafe.Pointer(unsafe.SliceData(b))) / uintptr(size)
	_, err = f.ReadAt(entries, 8*int64(first))
	return entries, err
}

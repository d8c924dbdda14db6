package wazero

import (
	"fmt"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// memory is a guest's linear memory in a mapping of its own. Address space for
// all it may become is reserved at once, so that it grows without moving, pages
// that the guest never touches take no memory, and the Go heap is left alone.
type memory struct {
	reserved []byte
	limit    uint64
}

var _ experimental.LinearMemory = (*memory)(nil)

// allocate makes the instance's memory. wazero cannot be given an error here, so
// running out of address space ends the instantiation with a panic that wazero
// turns into one.
func (in *instance) allocate(_, max uint64) experimental.LinearMemory {
	limit := min(max, in.memoryBytesMax)
	reserved, err := unix.Mmap(-1, 0, int(limit), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		panic(fmt.Errorf("reserve %d bytes of address space for a guest: %w", limit, err))
	}
	// A huge page would make one touched byte cost two megabytes.
	_ = unix.Madvise(reserved, unix.MADV_NOHUGEPAGE)
	in.memory = &memory{reserved: reserved, limit: limit}
	return in.memory
}

// Reallocate gives the first size bytes, or nil when that is over the limit,
// which makes memory.grow fail.
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		return nil
	}
	return m.reserved[:size]
}

// Free gives the address space back; twice does no harm.
func (m *memory) Free() {
	if m.reserved != nil {
		_ = unix.Munmap(m.reserved)
		m.reserved = nil
	}
}

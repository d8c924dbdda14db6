package wazero

import (
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// memory lends a reservation to wazero as a linear memory. The instance owns
// the reservation and frees it.
type memory struct{ space *wasm.Reservation }

var _ experimental.LinearMemory = memory{}

// Reallocate gives the first size bytes, or nil when that is over the limit,
// which makes memory.grow fail.
func (m memory) Reallocate(size uint64) []byte { return m.space.Commit(size) }

// Free does nothing: views of the memory may outlive wazero's use of it.
func (m memory) Free() {}

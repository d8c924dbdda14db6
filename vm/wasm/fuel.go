package wasm

import (
	"math"
	"sync/atomic"

	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// fuelPortion is how much gas a guest has at hand before it must ask for more:
// so little that a guest which is to stop does so within milliseconds, and so
// much that asking costs nothing that could be measured.
const fuelPortion = 20_000_000

// fuel gives a message's gas out in portions. Between two of them the guest can
// be stopped, on any engine. At which instruction it runs out of gas does not
// depend on the portions.
type fuel struct {
	limit   int64
	reserve [2]int64 // by counter: what was not given out yet
	out     bool     // the guest asked for more than there was
	stop    atomic.Bool
}

// begin prepares for a message and gives the first portion.
func (f *fuel) begin(limit uint64) (portion int64) {
	f.limit = math.MaxInt64
	if limit > 0 && limit < math.MaxInt64 {
		f.limit = int64(limit)
	}
	portion = min(f.limit, fuelPortion)
	f.reserve = [2]int64{f.limit - portion, f.limit - portion}
	f.out = false
	f.stop.Store(false)
	return portion
}

// refill answers a guest that has less than nothing left: with what it has now,
// below zero if it must stop.
func (f *fuel) refill(counter uint32, left int64) int64 {
	if f.stop.Load() {
		return math.MinInt64
	}
	reserve := &f.reserve[min(counter, binary.RefillBudget)]
	more := min(*reserve, fuelPortion-left)
	*reserve -= more
	if left += more; left < 0 {
		f.out = true
	}
	return left
}

// used is the gas used so far when left of the gas given out is left.
func (f *fuel) used(left int64) uint64 {
	return uint64(f.limit - f.reserve[binary.RefillGas] - left)
}

// interrupt stops the guest soon. It is called from any goroutine.
func (f *fuel) interrupt() { f.stop.Store(true) }

// Package procs knows how many cores a program may use, gives Go's scheduler more
// processors than that, and its collector a heap that is worth its while.
package procs

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// cores is what the runtime found at start: the machine's, or a container's
// share of them.
var cores = runtime.GOMAXPROCS(0)

// Cores is how much can be computed at once.
func Cores() int { return cores }

// Spare gives the scheduler factor times as many processors as there are cores,
// unless GOMAXPROCS is set in the environment. A flush of a file holds a
// processor until the runtime notices, which may take milliseconds: with as many
// processors as cores, as many flushes at once stop the whole program.
func Spare(factor int) {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(factor * cores)
	}
}

// HeapBytes is a heap for a node, which keeps as much in caches anyway.
const HeapBytes = 128 << 20

// RoomyHeap has the collector begin when the heap has reached so many bytes, or
// twice what lives, as ever, if that is more; unless GOGC is set in the
// environment. A node with little to keep makes much garbage: most of what a
// collection costs then is that it comes every few milliseconds.
func RoomyHeap(bytes uint64) {
	if os.Getenv("GOGC") == "" {
		(&roomyHeap{bytes: bytes}).adjust()
	}
}

// roomyHeap is told of every collection by its finalizer.
type roomyHeap struct{ bytes uint64 }

func (h *roomyHeap) adjust() {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	const usual, most = 100, 1000 // percent of what lives
	percent := most
	if live := sample[0].Value.Uint64(); live > 0 {
		percent = min(most, max(usual, int(h.bytes*100/live)-100))
	}
	debug.SetGCPercent(percent)
	runtime.SetFinalizer(&roomyHeap{h.bytes}, (*roomyHeap).adjust)
}

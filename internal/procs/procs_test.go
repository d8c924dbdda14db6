package procs

import (
	"runtime"
	"runtime/debug"
	"testing"
)

// TestRoomyHeap: with little that lives the collector waits, with much it does as
// ever.
func TestRoomyHeap(t *testing.T) {
	t.Setenv("GOGC", "")
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	percent := func() int {
		p := debug.SetGCPercent(100)
		debug.SetGCPercent(p)
		return p
	}
	runtime.GC()
	h := &roomyHeap{bytes: 1 << 40}
	h.adjust()
	if p := percent(); p != 1000 {
		t.Errorf("with nearly nothing alive the collector waits for %d percent", p)
	}
	h.bytes = 1
	h.adjust()
	if p := percent(); p != 100 {
		t.Errorf("with much alive the collector waits for %d percent", p)
	}
}

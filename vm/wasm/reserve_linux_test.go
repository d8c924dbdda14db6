package wasm

import (
	"os"
	"slices"
	"testing"
)

// TestTouchedPagesAreKnown writes to pages of a reservation, also zeros, and grows it.
func TestTouchedPagesAreKnown(t *testing.T) {
	f, err := os.Open("/proc/self/pagemap")
	if err != nil {
		t.Skipf("SKIPPED: the system does not tell which pages were touched: %v", err)
	}
	defer f.Close()
	r, err := Reserve(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Free()
	page := os.Getpagesize()
	memory := r.Commit(uint64(16 * page))
	memory[3*page], memory[5*page+1] = 1, 1
	memory[5*page+1] = 0
	memory = r.Commit(uint64(32 * page))
	memory[20*page] = 1
	got := r.Touched()
	if len(got) != 32*page/osPageBytes {
		t.Fatalf("%d pages are marked", len(got))
	}
	for n := range 32 {
		want := n == 3 || n == 5 || n == 20
		if marks := got[n*page/osPageBytes : (n+1)*page/osPageBytes]; slices.Contains(marks, !want) {
			t.Errorf("page %d is marked %v", n, marks)
		}
	}
}

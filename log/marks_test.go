package log

import (
	"errors"
	"fmt"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
)

// putIndices puts entries of about a kilobyte of keys each at some Raft indices.
func putIndices(t *testing.T, x *Index, group uint32, from, to uint64) {
	t.Helper()
	for index := from; index <= to; index++ {
		var update Update
		for i := range 4 {
			e := Entry{AssignmentBytes: []byte{1}, ItemBytes: []byte{1}}
			e.Process, e.Nonce = ao.ID{byte(group)}, 4*index+uint64(i)
			copy(e.ID[:], fmt.Sprintf("a%d-%d-%d", group, index, i))
			copy(e.Message[:], fmt.Sprintf("m%d-%d-%d", group, index, i))
			update.Entries = append(update.Entries, Indexed{Entry: e, Keys: []ao.ID{e.Message}})
		}
		if err := x.Put(group, index, update); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.overlay.drain(); err != nil {
		t.Fatal(err)
	}
}

func safeOf(t *testing.T, x *Index) map[uint32]uint64 {
	t.Helper()
	safe, err := x.Safe()
	if err != nil {
		t.Fatal(err)
	}
	return safe
}

// TestWhatMayBeMissingAfterACrash: more than the tables in memory hold is put in
// again, whatever came last, and not much more than that.
func TestWhatMayBeMissingAfterACrash(t *testing.T) {
	dir := t.TempDir()
	open := func() *Index {
		x, err := OpenIndex(dir, func(err error) { t.Error(err) })
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	x := open()
	putIndices(t, x, 1, 1, 100)
	if safe := safeOf(t, x); len(safe) != 0 {
		t.Errorf("a new index is safe up to %v", safe)
	}
	if err := errors.Join(x.Close()); err != nil {
		t.Fatal(err)
	}
	x = open()
	if err := x.Settled(); err != nil {
		t.Fatal(err)
	}
	if safe := safeOf(t, x); safe[1] != 100 {
		t.Errorf("after a close in good order it is safe up to %v, want 100", safe)
	}
	// A group that lay still is in the marks all the same.
	written, index := 0, uint64(100)
	perIndex := 4 * (41 + 32 + 64 + 2*(33+40) + 3*keyOverhead) // more than it is
	for written < 3*(8<<20) {
		putIndices(t, x, 2, index, index+99)
		index += 100
		written += 100 * perIndex
	}
	if safe := safeOf(t, x); safe[1] != 100 || safe[2] != 0 {
		t.Errorf("with no more written than tables in memory hold it is safe up to %v", safe)
	}
	for range 3 {
		putIndices(t, x, 2, index, index+20_000)
		index += 20_001
	}
	safe := safeOf(t, x)
	behind := int(index-1-safe[2]) * 4 * (41 + 2*(33+40))
	if safe[1] != 100 || safe[2] == 0 || behind < 3*(8<<20)/2 || behind > 3*markBytes+6*(8<<20) {
		t.Errorf("safe up to %v of %d: %d bytes of keys behind", safe, index-1, behind)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	// It goes on where it was.
	x = open()
	if again := safeOf(t, x); again[2] != safe[2] {
		t.Errorf("after opening again it is safe up to %v, before %v", again, safe)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

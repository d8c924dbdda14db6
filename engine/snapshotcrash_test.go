package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
)

// TestASnapshotMayBeCutOffAnywhere cuts the store's log of writes at many places,
// so that what came later is lost, as in a crash between any two writes of
// snapshots that come and go. What is left has every page of every snapshot and
// none of no snapshot, and leads to the same results.
func TestASnapshotMayBeCutOffAnywhere(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.SnapshotAfterMessages, o.SnapshotBytesMax, o.SnapshotWorthMS, o.Now = 1, 1, 1, slowClock(time.Millisecond)
	})
	one, two := b.spawn(), b.spawn()
	var last, lastTwo ao.ID
	for i := range 8 {
		last = b.send(one, "add "+itoa(int64(i)))
		b.result(one, last)
		lastTwo = b.send(two, "add "+itoa(int64(i/2)))
		b.result(two, lastTwo)
	}
	b.close()
	if snapshots := b.Status().SnapshotsTotal; snapshots < 8 {
		t.Fatalf("there were only %d snapshots", snapshots)
	}
	want, wantTwo := b.output(one, last), b.output(two, lastTwo)
	whole := t.TempDir()
	copyDir(t, b.dir, whole) // badger's files, as a crash of all leaves them
	if err := b.db.Close(); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(whole, "*.mem"))
	if err != nil || len(logs) != 1 {
		t.Fatal(logs, err)
	}
	written, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	end := len(bytes.TrimRight(written, "\x00"))
	const cuts = 60
	some := false
	for i := 1; i <= cuts; i++ {
		dir := t.TempDir()
		copyDir(t, whole, dir)
		left := append([]byte(nil), written...)
		clear(left[20+(end-20)*i/cuts:])
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(logs[0])), left, 0o600); err != nil {
			t.Fatal(err)
		}
		b.db = openDB(t, dir)
		some = some || b.countKeys(keyIntent) > 0
		if err := newSnapshotStore(&store{b.db}, 1).recover(); err != nil {
			t.Fatal(err)
		}
		b.wantWholeSnapshots()
		b.open()
		if got, gotTwo := b.output(one, last), b.output(two, lastTwo); got != want || gotTwo != wantTwo {
			t.Errorf("cut %d: %s and %s, not %s and %s", i, got, gotTwo, want, wantTwo)
		}
		b.close()
		if b.wantWholeSnapshots(); t.Failed() {
			t.Fatalf("cut %d of %d at byte %d of %d", i, cuts, 20+(end-20)*i/cuts, end)
		}
		if status := b.Status(); status.DivergencesTotal != 0 {
			t.Errorf("cut %d: %d divergences", i, status.DivergencesTotal)
		}
		if i < cuts {
			if err := b.db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !some {
		t.Error("no cut went through a snapshot")
	}
}

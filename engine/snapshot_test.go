package engine

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// slowClock makes every message seem to take a step of time.
func slowClock(step time.Duration) func() time.Time {
	var now ticking
	return func() time.Time { return time.Unix(0, now.Add(int64(step))) }
}

// countKeys counts what the store has under a prefix.
func (b *bench) countKeys(prefix string) (count int) {
	b.Helper()
	err := b.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			count++
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return count
}

func TestProcessesAreEvictedAndComeBack(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.HotBytesMax, o.SnapshotWorthMS, o.Now = 2<<20, 1, slowClock(time.Millisecond)
	})
	var processes []ao.ID
	for i := range 6 {
		process := b.spawn()
		processes = append(processes, process)
		b.result(process, b.send(process, "add "+strconv.Itoa(i)))
	}
	b.eventually("some are put away", func() bool { return b.Status().HotProcesses <= 2 })
	before := b.driver.runs.Load()
	for i, process := range processes {
		want := `",` + strconv.Itoa(i) + `,again"`
		if got := b.output(process, b.send(process, "add again")); got != want {
			t.Errorf("process %d has %s, not %s", i, got, want)
		}
	}
	if runs := b.driver.runs.Load() - before; runs != 6 {
		t.Errorf("%d messages ran for 6 that are new", runs)
	}
	if status := b.Status(); status.SnapshotsTotal == 0 || status.EvictionsTotal == 0 || status.DivergencesTotal != 0 {
		t.Errorf("status is %+v", status)
	}
}

func TestHotProcessesAreCounted(t *testing.T) {
	b := newBench(t, func(o *Options) { o.HotMax = 3 })
	for i := range 10 {
		process := b.spawn()
		b.result(process, b.send(process, "add "+strconv.Itoa(i)))
	}
	b.eventually("all but three are put away", func() bool {
		status := b.Status()
		return status.HotProcesses == 3 && status.EvictionsTotal == 7 && status.ResidentBytes == 3<<20
	})
}

func TestCheapProcessesAreReplayedInsteadOfKept(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.HotBytesMax, o.SnapshotWorthMS, o.Now = 1, 1000, slowClock(time.Microsecond)
	})
	process := b.spawn()
	b.result(process, b.send(process, "add a"))
	b.result(process, b.send(process, "trap b"))
	b.spawn()
	b.eventually("it is put away", func() bool { return b.Status().EvictionsTotal == 1 })
	before := b.driver.runs.Load()
	if got := b.output(process, b.send(process, "add c")); got != `",a,c"` {
		t.Errorf("output is %s", got)
	}
	// The message that trapped left no trace, so it need not run again.
	if runs := b.driver.runs.Load() - before; runs != 3 {
		t.Errorf("%d messages ran", runs)
	}
	if b.Status().SnapshotsTotal != 0 {
		t.Error("a snapshot was kept")
	}
}

func TestLongHistoriesAreSnapshotted(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.SnapshotAfterMS, o.SnapshotBytesMax, o.Now = 50, 1, slowClock(time.Millisecond)
	})
	process := b.spawn()
	var last ao.ID
	for i := range 500 {
		last = b.send(process, "add "+strconv.Itoa(i))
	}
	want := b.output(process, last)
	b.eventually("snapshots are kept", func() bool { return b.Status().SnapshotsTotal > 2 })
	b.eventually("old ones are gone", func() bool { return b.countKeys(keyManifest) <= snapshotsKept })
	// The page that never changes is there once; the other has had as many
	// forms as there are snapshots.
	b.eventually("old pages are gone", func() bool { return b.countKeys(keyPage) <= snapshotsKept+1 })
	b.close()
	before := b.driver.runs.Load()
	b.open()
	if got := b.output(process, last); got != want {
		t.Errorf("output is %s", got)
	}
	if got := b.output(process, b.send(process, "add z")); got != strings.TrimSuffix(want, `"`)+`,z"` {
		t.Errorf("output is %s", got)
	}
	if runs := b.driver.runs.Load() - before; runs > 200 {
		t.Errorf("%d messages ran after the restart", runs)
	}
}

func TestPagesAreSharedBetweenProcesses(t *testing.T) {
	b := newBench(t, func(o *Options) { o.SnapshotWorthMS, o.Now = 1, slowClock(time.Millisecond) })
	for range 3 {
		process := b.spawn()
		b.result(process, b.send(process, "add same"))
	}
	b.close()
	if pages, references := b.countKeys(keyPage), b.countKeys(keyReference); pages != 2 || references != 6 {
		t.Errorf("%d pages and %d references are stored", pages, references)
	}
	b.open()
}

func TestDamagedSnapshotIsNotUsed(t *testing.T) {
	for name, damage := range map[string]func(txn *badger.Txn, key, value []byte) error{
		"page is lost":         func(txn *badger.Txn, key, _ []byte) error { return txn.Delete(key) },
		"page is another's":    func(txn *badger.Txn, key, _ []byte) error { return txn.Set(key, make([]byte, 9)) },
		"page has flipped bit": func(txn *badger.Txn, key, value []byte) error { value[len(value)-1] ^= 1; return txn.Set(key, value) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(o *Options) { o.SnapshotWorthMS, o.Now = 1, slowClock(time.Millisecond) })
			process := b.spawn()
			b.result(process, b.send(process, "add a"))
			b.close()
			b.eachKey(keyPage, damage)
			b.open()
			if got := b.output(process, b.send(process, "add b")); got != `",a,b"` {
				t.Errorf("output is %s", got)
			}
			b.eventually("a new one takes its place", func() bool { b.close(); b.open(); return b.countKeys(keyManifest) == 1 })
		})
	}
}

func TestManifestWithAnotherRootIsNotUsed(t *testing.T) {
	b := newBench(t, func(o *Options) { o.SnapshotWorthMS, o.Now = 1, slowClock(time.Millisecond) })
	process := b.spawn()
	b.result(process, b.send(process, "add a"))
	b.close()
	b.eachKey(keyManifest, func(txn *badger.Txn, key, value []byte) error {
		value[len(value)-1] ^= 1 // in the hash of the last page
		return txn.Set(key, value)
	})
	before := b.driver.runs.Load()
	b.open()
	if got := b.output(process, b.send(process, "add b")); got != `",a,b"` {
		t.Errorf("output is %s", got)
	}
	if runs := b.driver.runs.Load() - before; runs != 3 {
		t.Errorf("%d messages ran, not all 3", runs)
	}
}

func (b *bench) put(key, value []byte) {
	b.Helper()
	if err := b.db.Update(func(txn *badger.Txn) error { return txn.Set(key, value) }); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) eachKey(prefix string, fn func(txn *badger.Txn, key, value []byte) error) {
	b.Helper()
	values := map[string][]byte{}
	err := b.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			value, err := iterator.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			values[string(iterator.Item().Key())] = value
		}
		return nil
	})
	if err == nil && len(values) == 0 {
		b.Fatalf("nothing is stored under %q", prefix)
	}
	for key, value := range values {
		if err == nil {
			err = b.db.Update(func(txn *badger.Txn) error { return fn(txn, []byte(key), value) })
		}
	}
	if err != nil {
		b.Fatal(err)
	}
}

func TestSnapshotThatWasCutOffLeavesNothing(t *testing.T) {
	b := newBench(t, nil)
	b.close()
	process := ao.ID{7}
	w := &snapshotWriter{store: b.store, process: process, written: map[ao.ID]bool{}, batch: b.db.NewWriteBatch()}
	page := make([]byte, vm.PageBytes)
	page[0] = 9
	if err := w.Page(0, page); err != nil {
		t.Fatal(err)
	}
	if err := w.batch.Set(idKey(keyIntent, process), nil); err != nil {
		t.Fatal(err)
	}
	if err := w.batch.Flush(); err != nil {
		t.Fatal(err)
	}
	b.open()
	if left := b.countKeys(keyPage) + b.countKeys(keyReference) + b.countKeys(keyIntent); left != 0 {
		t.Errorf("%d keys are left", left)
	}
}

func FuzzDecodeManifest(f *testing.F) {
	m := manifest{ao.ID{1}, stateroot.State{
		MemoryBytes: 1 << 33, Sections: []stateroot.Section{{Name: "a", Value: []byte("1")}}, Pages: []stateroot.Page{{Index: 1, Hash: ao.ID{1}}},
	}}
	f.Add(m.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := decodeManifest(b); err == nil && string(m.encode()) != string(b) {
			t.Errorf("%x is another manifest after a round trip", b)
		}
	})
}

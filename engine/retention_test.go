package engine

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"math/rand"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// pagesOf makes a snapshot of pages.
func pagesOf(at place, pages ...uint32) snapshot {
	m := &manifest{}
	for _, page := range pages {
		m.Pages = append(m.Pages, stateroot.Page{Index: page, Hash: ao.ID{1, byte(page >> 8), byte(page)}})
	}
	return snapshot{at, m}
}

// TestOldSnapshotsAreSpacedOut takes a snapshot at every place of a long history, and
// looks at every step how many there are and how far it is to go back.
func TestOldSnapshotsAreSpacedOut(t *testing.T) {
	for name, at := range map[string]func(i uint64) place{
		"messages": func(i uint64) place { return place{nonce: i} },
		"ticks":    func(i uint64) place { return place{7, i} },
	} {
		var all []snapshot
		for i := range uint64(3000) {
			all, _ = retained(append([]snapshot{pagesOf(at(i))}, all...), 0)
			if most := bits.Len64(i) + snapshotsKept; len(all) > most {
				t.Fatalf("%s: %d snapshots of %d are kept, more than %d", name, len(all), i+1, most)
			}
			for n, one := range all[1:] {
				gap := all[n].at.nonce + all[n].at.tick - one.at.nonce - one.at.tick
				back := all[0].at.nonce + all[0].at.tick - all[n].at.nonce - all[n].at.tick
				if gap > 2*back+2 {
					t.Fatalf("%s: after %d it is %d from %s to %s", name, i, gap, one.at, all[n].at)
				}
			}
			if last := all[len(all)-1].at; last != at(0) {
				t.Fatalf("%s: the first snapshot is gone after %d", name, i)
			}
		}
	}
}

func TestOldSnapshotsStayWithinTheirBudget(t *testing.T) {
	all := []snapshot{
		pagesOf(place{nonce: 100}, 1, 2), pagesOf(place{nonce: 99}, 1, 3), // in any case
		pagesOf(place{nonce: 98}, 1, 2, 3), // nothing of its own
		pagesOf(place{nonce: 90}, 1, 4),    // one page
		pagesOf(place{nonce: 60}, 4, 5, 6), // two
		pagesOf(place{nonce: 1}, 1),        // nothing, but behind one that goes
	}
	for budget, want := range []int{0: 3, 1: 4, 2: 4, 3: 6} {
		kept, gone := retained(all, uint64(budget)*vm.PageBytes)
		if len(kept) != want || len(gone) != len(all)-want {
			t.Errorf("for %d pages %d of %d are kept", budget, len(kept), len(all))
		}
	}
}

// listedMachine is a machine whose state is a list of pages.
type listedMachine struct {
	vm.Process
	pages []uint64
	fail  bool
}

func (m *listedMachine) Snapshot(w vm.SnapshotWriter) error {
	if err := w.Memory(uint64(len(m.pages)) * vm.PageBytes); err != nil {
		return err
	}
	for i, content := range m.pages {
		page := make([]byte, vm.PageBytes)
		binary.BigEndian.PutUint64(page, content)
		if err := w.Page(uint32(i), page); err != nil {
			return err
		}
	}
	if m.fail {
		return fmt.Errorf("as told")
	}
	return nil
}

// wantWholeSnapshots wants every page that a snapshot has to be there, with a reference, and
// nothing else.
func (b *bench) wantWholeSnapshots() {
	b.Helper()
	pages, references := map[string]bool{}, map[string]bool{}
	err := b.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(keyManifest)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			value, err := iterator.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			m, err := decodeManifest(value)
			if err != nil {
				return err
			}
			process, at := splitPlaceKey(iterator.Item().Key())
			if m.Root() != m.root {
				b.Errorf("the snapshot of %s at %s has another root", process, at)
			}
			for _, page := range m.Pages {
				pages[string(idKey(keyPage, page.Hash))] = true
				references[string(idsKey(keyReference, page.Hash, process))] = true
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	for prefix, wanted := range map[string]map[string]bool{keyPage: pages, keyReference: references, keyIntent: {}} {
		found := 0
		b.view(prefix, func(key string) {
			found++
			if !wanted[key] {
				b.Errorf("%q is left of no snapshot", key)
			}
		})
		if found != len(wanted) {
			b.Errorf("%d keys %q are there, not %d", found, prefix, len(wanted))
		}
	}
}

// view lists the keys under a prefix.
func (b *bench) view(prefix string, fn func(key string)) {
	b.Helper()
	err := b.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid(); iterator.Next() {
			fn(string(iterator.Item().KeyCopy(nil)))
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// TestPagesStayAsLongAsASnapshotHasThem draws snapshots of processes that share pages,
// failures, damage and readers, and looks after each for pages too few or too many.
func TestPagesStayAsLongAsASnapshotHasThem(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	b := newBench(t, nil)
	b.snapshots.bytesMax = 4 * vm.PageBytes
	machines := make([]*listedMachine, 3)
	for i := range machines {
		machines[i] = &listedMachine{pages: []uint64{1, 2, 3, 0, 5, 6}}
	}
	done := func() {}
	for step := range 400 {
		i := random.Intn(len(machines))
		process, machine := ao.ID{byte(i + 1)}, machines[i]
		machine.pages[random.Intn(len(machine.pages))] = uint64(random.Intn(9))
		machine.fail = random.Intn(8) == 0
		_, err := b.snapshots.save(process, place{nonce: uint64(step)}, machine)
		if (err != nil) != machine.fail {
			t.Fatal(err)
		}
		switch random.Intn(8) {
		case 0:
			if all, err := b.snapshots.list(process); err == nil && len(all) > 0 {
				err = b.snapshots.discard(process, all[random.Intn(len(all))].at)
				if err != nil {
					t.Fatal(err)
				}
			}
		case 1:
			done()
			done = b.snapshots.read(process)
		}
		if machine.fail {
			machine.fail = false
			machine.pages[random.Intn(len(machine.pages))] = uint64(random.Intn(9))
			if _, err := b.snapshots.save(process, place{nonce: uint64(step), tick: 1}, machine); err != nil {
				t.Fatal(err)
			}
		}
		if b.wantWholeSnapshots(); t.Failed() {
			t.Fatalf("after step %d", step)
		}
	}
	done()
}

func TestSnapshotsStayWhileTheyAreRead(t *testing.T) {
	b := newBench(t, nil)
	b.snapshots.bytesMax = 1
	process := ao.ID{1}
	machine := &listedMachine{pages: []uint64{1}}
	save := func(nonce uint64) {
		t.Helper()
		machine.pages[0] = nonce + 1
		if _, err := b.snapshots.save(process, place{nonce: nonce}, machine); err != nil {
			t.Fatal(err)
		}
	}
	done := b.snapshots.read(process)
	for nonce := range uint64(9) {
		save(nonce)
	}
	if kept := b.countKeys(keyManifest); kept != 9 {
		t.Errorf("%d snapshots are left while somebody reads", kept)
	}
	done()
	save(9)
	if kept := b.countKeys(keyManifest); kept != snapshotsKept {
		t.Errorf("%d snapshots are left afterwards", kept)
	}
	b.wantWholeSnapshots()
}

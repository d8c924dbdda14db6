package log

import (
	"errors"
	"fmt"
	"maps"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
)

// taken is an entry as a group's log has it.
type taken struct {
	group uint32
	index uint64
	Indexed
}

// history makes the log of some groups: processes that grow side by side, bare
// assignments, ids that are assigned in several processes, pushes, and entries
// that do not follow their heads.
func history(random *rand.Rand, groups, entries int) (all []taken) {
	id := func() (id ao.ID) { random.Read(id[:]); return id }
	shared := []ao.ID{id(), id(), id()}
	assigned := map[[2]ao.ID]bool{}
	for group := range uint32(groups) {
		var heads []Head
		for i := range entries {
			head, started := Head{Process: id()}, false
			if i > 3 && random.Intn(10) > 0 {
				head, started = heads[random.Intn(len(heads))], true
			}
			proposal := Proposal{Process: head.Process}
			e := Entry{ItemBytes: []byte("item")}
			if started {
				proposal.Message = id()
				if random.Intn(4) == 0 {
					proposal.Message, e.ItemBytes = id(), nil
				}
				if pick := [2]ao.ID{head.Process, shared[random.Intn(len(shared))]}; i%7 == 0 && !assigned[pick] {
					proposal.Message, e.ItemBytes = pick[1], nil
					assigned[pick] = true
				}
			}
			e.Assignment = Sequencer{}.Step(head, started, proposal, int64(1000+i), 1)
			e.ID = id()
			keys := proposal.DedupeKeys()
			if !e.IsBare() && started && random.Intn(2) == 0 {
				keys = append(keys, id())
			}
			place := Place{Location: Location{Segment: group, Offset: int64(i)}, Length: 7, TimestampMS: e.TimestampMS}
			one := taken{group, uint64(1 + i/3), Indexed{Entry: e, Place: place, Keys: keys}}
			if random.Intn(20) == 0 {
				one.Entry.Nonce += uint64(1 + random.Intn(2))
				all = append(all, one)
				continue
			}
			all = append(all, one)
			heads = append(heads, HeadOf(e))
			for j, h := range heads[:len(heads)-1] {
				if h.Process == e.Process {
					heads[j] = heads[len(heads)-1]
					heads = heads[:len(heads)-1]
					break
				}
			}
		}
	}
	return all
}

// put applies a history as a state machine does: what a process has already, or
// what does not follow, is left out.
func put(t *testing.T, dir string, all []taken) {
	t.Helper()
	x, err := OpenIndex(dir, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].group == all[0].group && all[n].index == all[0].index {
			n++
		}
		var batch []Indexed
		heads := map[ao.ID]Ordering{}
		for _, one := range all[:n] {
			head, started := heads[one.Entry.Process]
			if !started {
				head, err = x.Ordering(one.Entry.Process)
				started = err == nil
				if !started {
					head = firstOrdering(one.group)
				}
			}
			known := false
			for _, key := range one.Keys {
				_, err := x.Find(one.Entry.Process, key)
				known = known || err == nil
				for _, other := range batch {
					for _, k := range other.Keys {
						known = known || other.Entry.Process == one.Entry.Process && k == key
					}
				}
			}
			if !known && (Sequencer{}).Check(head.Head, started, one.Entry) == nil {
				batch = append(batch, one.Indexed)
				head.Head = HeadOf(one.Entry)
				heads[one.Entry.Process] = head
			}
		}
		if err := x.Put(all[0].group, all[0].index, Update{Entries: batch, Newest: slices.Collect(maps.Values(heads))}); err != nil {
			t.Fatal(err)
		}
		all = all[n:]
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
}

func firstOrdering(group uint32) Ordering { return Ordering{Group: group, Mode: Mode{Voters: 3}} }

// rebuild makes an index of a history at once, with runs so small that there are
// many to merge.
func rebuild(t *testing.T, dir string, all []taken) error {
	t.Helper()
	r, err := NewRebuild(filepath.Join(t.TempDir(), "work"))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range r.sorters() {
		s.runBytes = 1000
	}
	for i := range all {
		r.Take(&all[i].Entry, all[i].Place, all[i].Keys, firstOrdering(all[i].group))
		r.Applied(all[i].group, all[i].index)
	}
	finishErr := r.Finish(dir)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(r.dir); !os.IsNotExist(err) {
		t.Errorf("the working directory is still there: %v", err)
	}
	return finishErr
}

// keysOf gives all that an index holds.
func keysOf(t *testing.T, dir string) map[string]string {
	t.Helper()
	x, err := OpenIndex(dir, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	err = x.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if err := it.Item().Value(func(v []byte) error {
				keys[fmt.Sprintf("%c %x", it.Item().Key()[0], it.Item().Key()[1:])] = fmt.Sprintf("%x", v)
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, x.Close()); err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestARebuiltIndexHasTheSameKeys(t *testing.T) {
	for seed := range int64(5) {
		all := history(rand.New(rand.NewSource(seed)), 3, 400)
		one, other := filepath.Join(t.TempDir(), "put"), filepath.Join(t.TempDir(), "rebuilt")
		put(t, one, all)
		if err := rebuild(t, other, all); err != nil {
			t.Fatalf("history %d: %v", seed, err)
		}
		want := keysOf(t, one)
		if len(want) < 3000 {
			t.Fatalf("the history has only %d keys", len(want))
		}
		if diff := cmp.Diff(want, keysOf(t, other)); diff != "" {
			t.Fatalf("history %d (-put +rebuilt):\n%s", seed, diff)
		}
	}
}

// follow adds an entry that follows the newest of its process.
func follow(all []taken, process ao.ID, item []byte, keys ...ao.ID) []taken {
	var head Head
	started := false
	for _, one := range all {
		if one.Entry.Process == process {
			head, started = HeadOf(one.Entry), true
		}
	}
	e := Entry{Assignment: Sequencer{}.Step(head, started, Proposal{Process: process, Message: keys[0]}, 1, 1), ItemBytes: item}
	e.ID = ao.ID{byte(len(all)), 0xff}
	if !started {
		e.Message = ao.ID{}
	}
	return append(all, taken{1, uint64(len(all) + 1), Indexed{Entry: e, Place: Place{Length: uint32(len(all))}, Keys: keys}})
}

// TestARepeatedMessageIsNoticed repeats a message in every way in which a state
// machine would know it again.
func TestARepeatedMessageIsNoticed(t *testing.T) {
	p, q, x, content := ao.ID{1}, ao.ID{2}, ao.ID{3}, ao.ID{4}
	item := []byte("item")
	start := follow(follow(nil, p, item, p), q, item, q)
	for name, all := range map[string][]taken{
		"an item twice":             follow(follow(start, p, item, x), p, item, x),
		"a bare assignment twice":   follow(follow(start, p, nil, x), p, nil, x),
		"an item, then bare":        follow(follow(start, p, item, x), p, nil, x),
		"bare, then the item":       follow(follow(start, p, nil, x), p, item, x),
		"bare there, here and here": follow(follow(follow(start, q, nil, x), p, nil, x), p, item, x),
		"a push under another id":   follow(follow(start, p, item, x, content), p, item, ao.ID{5}, content),
	} {
		if err := rebuild(t, filepath.Join(t.TempDir(), "index"), all); !errors.Is(err, ErrRepeated) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, all := range map[string][]taken{
		"an item here, bare there":  follow(follow(start, p, item, x), q, nil, x),
		"bare there, an item here":  follow(follow(start, q, nil, x), p, item, x),
		"bare in two processes":     follow(follow(start, q, nil, x), p, nil, x),
		"equal pushes in different": follow(follow(start, p, item, x, content), q, item, ao.ID{5}, content),
	} {
		one, other := filepath.Join(t.TempDir(), "put"), filepath.Join(t.TempDir(), "rebuilt")
		put(t, one, all)
		if err := rebuild(t, other, all); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if diff := cmp.Diff(keysOf(t, one), keysOf(t, other)); diff != "" {
			t.Errorf("%s (-put +rebuilt):\n%s", name, diff)
		}
	}
}

package raft

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/lsm"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// indexKeys gives all that the index of a closed node holds.
func indexKeys(t *testing.T, dir string) map[string]string {
	t.Helper()
	store, err := lsm.Open(lsm.Options{Dir: filepath.Join(dir, IndexDirName)})
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	err = store.Scan(nil, nil, func(k, v []byte) (bool, error) {
		keys[fmt.Sprintf("%c %x", k[0], k[1:])] = fmt.Sprintf("%x", v)
		return true, nil
	})
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return keys
}

// fillWithAllKinds appends spawns, messages, pushes, bare assignments, and each
// of them again, from many clients.
func fillWithAllKinds(t *testing.T, n *Node, round int) {
	t.Helper()
	var processes []ao.ID
	for name := range 12 {
		processes = append(processes, logtest.Spawn(t, n, fmt.Sprint(name%8, round*(name/8))))
	}
	signer := logtest.Signer(t, 9)
	var wait sync.WaitGroup
	for client := range 8 {
		wait.Go(func() {
			for i := range 120 {
				process, other := processes[(client+i)%len(processes)], processes[(client+2*i+1)%len(processes)]
				var extra []dataitem.Tag
				if i%3 == 0 {
					extra = append(extra, dataitem.Tag{Name: ao.TagFromProcess, Value: other.String()})
				}
				if i%10 == 0 {
					extra = append(extra, dataitem.Tag{Name: ao.TagPushedFor, Value: fmt.Sprint(client)})
				}
				item := logtest.MessageItem(t, signer, process, fmt.Sprint(round, i, " From-Process"), extra...)
				for _, proposal := range []log.Proposal{{Item: item}, {Process: other, Message: item.ID()}, {Item: item}} {
					if _, _, err := n.Append(t.Context(), proposal); err != nil {
						t.Errorf("append: %v", err)
					}
				}
				if i%20 == 0 {
					passTime(t, n, process, i%40 == 0)
				}
			}
		})
	}
	wait.Wait()
}

// passTime has a process's time promised, some of it left out, and the process
// watched or not.
func passTime(t *testing.T, n *Node, process ao.ID, watched bool) {
	if _, err := n.Promise(t.Context(), log.Promise{Process: process, UntilMS: 1 << 60, Skip: watched}); err != nil {
		t.Errorf("promise: %v", err)
	}
	if _, err := n.Watch(t.Context(), process, watched); err != nil {
		t.Errorf("watch: %v", err)
	}
}

// reindexed opens a closed node without its index, closes it and gives what the
// new index holds.
func reindexed(t *testing.T, dir string) (keys map[string]string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, IndexDirName)); err != nil {
		t.Fatal(err)
	}
	n, err := Open(t.Context(), testOptions(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	return indexKeys(t, dir)
}

func TestAnIndexMadeFromSegmentsIsTheSame(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	fillWithAllKinds(t, n, 1)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	want := indexKeys(t, dir)
	if len(want) < 5000 {
		t.Fatalf("only %d keys", len(want))
	}
	if diff := cmp.Diff(want, reindexed(t, dir)); diff != "" {
		t.Fatalf("(-before +after):\n%s", diff)
	}
}

// TestEntriesThatAreNotTakenAreNotTakenAgain puts what no leader in its place
// proposes into the Raft log: old entries, gaps, and a message a second time.
func TestEntriesThatAreNotTakenAreNotTakenAgain(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	process := logtest.Spawn(t, n, "a")
	items := logtest.Messages(t, logtest.Signer(t, 9), process, 3)
	for _, item := range items[:2] {
		logtest.Append(t, n, item)
	}
	propose := func(item *dataitem.Item, change func(*ao.Assignment)) {
		t.Helper()
		head, err := n.Head(t.Context(), process)
		if err != nil {
			t.Fatal(err)
		}
		a := log.Sequencer{}.Step(head, true, log.Proposal{Process: process, Message: item.ID()}, 1, 1)
		change(&a)
		entry, err := log.SignEntry(a, item, [32]byte{1}, n.options.Signer)
		if err != nil {
			t.Fatal(err)
		}
		future := n.groups[0].raft.Apply(log.AppendEntry(nil, entry), 0)
		if err := future.Error(); err != nil {
			t.Fatal(err)
		}
		if result := future.Response().([]applyResult)[0]; !result.duplicate && result.refused == nil {
			t.Fatal("the entry was taken")
		}
	}
	propose(items[2], func(a *ao.Assignment) { a.Nonce++ })
	propose(items[2], func(a *ao.Assignment) { a.HashChain[0]++ })
	propose(items[0], func(a *ao.Assignment) { a.Nonce = 1 })
	propose(items[1], func(*ao.Assignment) {})
	logtest.Append(t, n, items[2])
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	want := indexKeys(t, dir)
	if diff := cmp.Diff(want, reindexed(t, dir)); diff != "" {
		t.Fatalf("(-before +after):\n%s", diff)
	}
}

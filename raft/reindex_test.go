package raft

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/kv"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// indexKeys gives all that the index of a closed node holds.
func indexKeys(t *testing.T, dir string) map[string]string {
	t.Helper()
	db, err := kv.Open(badger.DefaultOptions(filepath.Join(dir, IndexDirName)), nil)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[string]string{}
	err = db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			if it.Item().Key()[0] == 'N' {
				continue // marks say when keys were written
			}
			value, err := it.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			keys[fmt.Sprintf("%c %x", it.Item().Key()[0], it.Item().Key()[1:])] = fmt.Sprintf("%x", value)
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
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
			}
		})
	}
	wait.Wait()
}

// reindexed opens a closed node without its index, closes it and gives what the
// new index holds and what the node said.
func reindexed(t *testing.T, dir string) (keys map[string]string, said string) {
	t.Helper()
	if err := os.RemoveAll(filepath.Join(dir, IndexDirName)); err != nil {
		t.Fatal(err)
	}
	options := testOptions(t, dir)
	var logged bytes.Buffer
	options.Logger = zerolog.New(&logged)
	n, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, rebuildDirName)); !os.IsNotExist(err) {
		t.Errorf("what the new index was made with is still there: %v", err)
	}
	return indexKeys(t, dir), logged.String()
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
	got, said := reindexed(t, dir)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-before +after):\n%s", diff)
	}
	if !strings.Contains(said, "from the segments") || strings.Contains(said, "entry by entry") {
		t.Errorf("the index was not made in one go: %s", said)
	}
}

// TestEntriesThatAreNotTakenAreNotTakenAgain puts what no leader in its place
// proposes into the Raft log: old entries, gaps, and a message a second time.
func TestEntriesThatAreNotTakenAreNotTakenAgain(t *testing.T) {
	for name, repeat := range map[string]bool{"refused": false, "repeated": true} {
		t.Run(name, func(t *testing.T) {
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
			if repeat {
				propose(items[1], func(*ao.Assignment) {})
			}
			logtest.Append(t, n, items[2])
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
			want := indexKeys(t, dir)
			got, said := reindexed(t, dir)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("(-before +after):\n%s", diff)
			}
			if strings.Contains(said, "entry by entry") != repeat {
				t.Errorf("it said: %s", said)
			}
		})
	}
}

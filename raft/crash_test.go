package raft

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// acks is what clients were told.
type acks struct {
	mu      sync.Mutex
	entries map[ao.ID]log.Entry // by message id
	ids     []ao.ID             // of processes, in order
}

func (a *acks) add(e log.Entry) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.entries == nil {
		a.entries = map[ao.ID]log.Entry{}
	}
	a.entries[messageID(e)] = e
	if at, ok := slices.BinarySearchFunc(a.ids, e.Process, compareIDs); !ok {
		a.ids = slices.Insert(a.ids, at, e.Process)
	}
}

func compareIDs(a, b ao.ID) int { return bytes.Compare(a[:], b[:]) }

func (a *acks) snapshot() map[ao.ID]log.Entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make(map[ao.ID]log.Entry, len(a.entries))
	for id, e := range a.entries {
		all[id] = e
	}
	return all
}

func messageID(e log.Entry) ao.ID {
	if e.Message.IsZero() {
		return e.Process
	}
	return e.Message
}

// checkAcks checks that everything acknowledged is where it was said to be, and
// that every process is one chain.
func checkAcks(n *Node, acked map[ao.ID]log.Entry) error {
	ctx := context.Background()
	heads := map[ao.ID]bool{}
	for id, want := range acked {
		heads[want.Process] = true
		got, err := n.Read(ctx, want.Process, want.Nonce)
		if err != nil {
			return fmt.Errorf("entry %d of %s: %w", want.Nonce, want.Process, err)
		}
		if got.ID != want.ID || string(got.AssignmentBytes) != string(want.AssignmentBytes) || string(got.ItemBytes) != string(want.ItemBytes) {
			return fmt.Errorf("entry %d of %s is not what was acknowledged", want.Nonce, want.Process)
		}
		for _, key := range []ao.ID{id, want.ID} {
			if nonce, err := n.Find(ctx, want.Process, key); err != nil || nonce != want.Nonce {
				return fmt.Errorf("find %s in %s: %d, want %d, %w", key, want.Process, nonce, want.Nonce, err)
			}
			if process, nonce, err := n.Locate(ctx, key); err != nil || process != want.Process || nonce != want.Nonce {
				return fmt.Errorf("locate %s: %s %d, %w", key, process, nonce, err)
			}
		}
	}
	for process := range heads {
		var head log.Head
		started := false
		err := n.Range(ctx, process, 0, 1<<60, func(e log.Entry) error {
			defer func() { head, started = log.HeadOf(e), true }()
			if err := enterEpoch(n, &head, e.Epoch); err != nil {
				return err
			}
			return log.Sequencer{}.Check(head, started, e)
		})
		if err != nil {
			return fmt.Errorf("process %s: %w", process, err)
		}
		ordering, err := n.index.Ordering(process)
		if err != nil {
			return err
		}
		if err := enterEpoch(n, &head, ordering.Epoch); err != nil {
			return fmt.Errorf("process %s: %w", process, err)
		}
		now, err := n.Head(ctx, process)
		head.PromisedMS = now.PromisedMS // which nothing tells of but the index
		if err != nil || now != head {
			return fmt.Errorf("process %s: head %+v, want %+v, %w", process, now, head, err)
		}
	}
	return nil
}

// enterEpoch checks that the epochs up to one go on from exactly a head, which
// gets their number, and the time that was promised before them.
func enterEpoch(n *Node, head *log.Head, epoch uint64) error {
	for head.Epoch < epoch {
		opening, err := n.index.Epoch(head.Process, head.Epoch+1)
		if err != nil {
			return fmt.Errorf("epoch %d of %s: %w", head.Epoch+1, head.Process, err)
		}
		head.PromisedMS = opening.Head.PromisedMS
		if opening.Head != *head {
			return fmt.Errorf("epoch %d of %s goes on from %+v, and the one before ended at %+v", head.Epoch+1, head.Process, opening.Head, *head)
		}
		head.Epoch++
	}
	return nil
}

// load appends to two processes from several clients until stop, and keeps what
// was acknowledged.
func load(t *testing.T, n *Node, seed int64, stop func() bool, told *acks) {
	t.Helper()
	var wait sync.WaitGroup
	for client := range 4 {
		signer := logtest.Signer(t, byte(50+client))
		wait.Go(func() {
			process, _, err := n.Append(t.Context(), log.Proposal{Item: logtest.ProcessItem(t, signer, fmt.Sprint(client%2))})
			if err != nil {
				return
			}
			told.add(process)
			for i := 0; !stop(); i++ {
				item := logtest.MessageItem(t, signer, process.Process, fmt.Sprint(seed, " ", i))
				entry, _, err := n.Append(t.Context(), log.Proposal{Item: item})
				if err != nil {
					return
				}
				told.add(entry)
			}
		})
	}
	wait.Wait()
}

// TestPowerCutsLoseNothingAcknowledged cuts the power of a node under load and
// opens what is left, an index that is older than the log among it.
func TestPowerCutsLoseNothingAcknowledged(t *testing.T) {
	for seed := range int64(100) {
		random := rand.New(rand.NewSource(seed))
		disk := fsxtest.NewDisk()
		var (
			told  acks
			known map[ao.ID]log.Entry
			image *fsxtest.Disk
			ops   atomic.Int64
			after = 1 + random.Int63n(200)
			once  sync.Once
			cut   atomic.Bool
		)
		disk.Fault = func(fsxtest.Op) error {
			if ops.Add(1) >= after {
				once.Do(func() {
					known = told.snapshot()
					image = disk.PowerCut(random)
					cut.Store(true)
				})
			}
			return nil
		}
		options := testOptions(t, t.TempDir())
		options.FS, options.SegmentBytes, options.IndexMemoryBytes = disk, 64<<10, 4<<10
		n, err := Open(context.Background(), options)
		if err != nil {
			t.Fatal(err)
		}
		load(t, n, seed, cut.Load, &told)
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
		// The image knows the files under the first directory's names.
		options.FS = image
		for round := range 2 {
			n, err := Open(context.Background(), options)
			if err != nil {
				t.Fatalf("cut %d: %v", seed, err)
			}
			if err := checkAcks(n, known); err != nil {
				t.Fatalf("cut %d, opened %d times: %v", seed, round+1, err)
			}
			logtest.Append(t, n, logtest.ProcessItem(t, logtest.Signer(t, 9), fmt.Sprint("after ", round)))
			if err := n.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAFailedFlushStopsTheNode fails flushes of each file: what was not
// acknowledged may be lost, nothing else, and nothing is acknowledged after.
func TestAFailedFlushStopsTheNode(t *testing.T) {
	for _, name := range []string{".seg", "tip", voteFileName} {
		for _, skip := range []int64{0, 6} {
			t.Run(fmt.Sprint(name, " ", skip), func(t *testing.T) {
				disk := fsxtest.NewDisk()
				var armed atomic.Bool
				var left atomic.Int64
				left.Store(skip)
				disk.Fault = func(op fsxtest.Op) error {
					if armed.Load() && op.Kind == "sync" && strings.HasSuffix(op.Path, name) && left.Add(-1) < 0 {
						return syscall.EIO
					}
					return nil
				}
				options := testOptions(t, t.TempDir())
				options.FS, options.SegmentBytes = disk, 128<<10
				fatal := make(chan error, 1)
				options.Fatal = func(err error) { fatal <- err }
				n, err := Open(context.Background(), options)
				if err != nil {
					t.Fatal(err)
				}
				var told acks
				process := logtest.Append(t, n, logtest.ProcessItem(t, logtest.Signer(t, 9), "a"))
				told.add(process)
				armed.Store(true)
				if name == voteFileName {
					// Only elections write the vote.
					n.groups[0].stable.Set([]byte("CurrentTerm"), []byte("12345678"))
					for range skip {
						n.groups[0].stable.Set([]byte("CurrentTerm"), []byte("12345678"))
					}
				}
				for i := 0; ; i++ {
					item := logtest.MessageItem(t, logtest.Signer(t, 9), process.Process, fmt.Sprint(i))
					entry, _, err := n.Append(t.Context(), log.Proposal{Item: item})
					if err != nil {
						if ao.CodeOf(err) != ao.CodeUnavailable {
							t.Errorf("append: %v (%s)", err, ao.CodeOf(err))
						}
						break
					}
					told.add(entry)
				}
				if err := <-fatal; !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), name) {
					t.Errorf("the owner was told %v", err)
				}
				item := logtest.MessageItem(t, logtest.Signer(t, 9), process.Process, "later")
				if _, _, err := n.Append(t.Context(), log.Proposal{Item: item}); ao.CodeOf(err) != ao.CodeUnavailable {
					t.Errorf("append after the failure: %v", err)
				}
				armed.Store(false)
				_ = n.Close()
				options.FS = disk.PowerCut(rand.New(rand.NewSource(1)))
				options.Fatal = func(err error) { t.Errorf("fatal: %v", err) }
				if n, err = Open(context.Background(), options); err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(checkAcks(n, told.snapshot()), n.Close()); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestFlippedBitsInVoteAndSnapshot(t *testing.T) {
	disk := fsxtest.NewDisk()
	options := testOptions(t, t.TempDir())
	options.FS = disk
	n, err := Open(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	var told acks
	var count atomic.Int64
	load(t, n, 1, func() bool { return count.Add(1) > 40 }, &told)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	known := told.snapshot()
	reopen := func(image *fsxtest.Disk) error {
		options.FS = image
		n, err := Open(context.Background(), options)
		if err != nil {
			return err
		}
		return errors.Join(checkAcks(n, known), n.Close())
	}
	for _, name := range []string{voteFileName, snapshotFileName} {
		path := filepath.Join(groupDir(options.Dir, 0), name)
		for _, bit := range []int{3, 64, 100, 130, 200, 400, slotBytes*8 + 3, slotBytes*8 + 64, slotBytes*8 + 130, slotBytes*8 + 300} {
			image := disk.Clone()
			image.Flip(path, bit)
			if err := reopen(image); err != nil {
				t.Errorf("bit %d of %s, whose other copy is whole: %v", bit, name, err)
			}
			image = disk.Clone()
			image.Flip(path, bit)
			image.Flip(path, (bit+slotBytes*8)%(2*slotBytes*8))
			err := reopen(image)
			if name == voteFileName && (!errors.Is(err, log.ErrCorrupt) || !strings.Contains(err.Error(), path)) {
				t.Errorf("bit %d of both copies of the vote: %v", bit, err)
			}
			if name == snapshotFileName && err != nil {
				t.Errorf("bit %d of both copies of the snapshot: %v", bit, err)
			}
		}
	}
	image := disk.Clone()
	image.Remove(filepath.Join(groupDir(options.Dir, 0), voteFileName))
	if err := reopen(image); !errors.Is(err, log.ErrCorrupt) || !strings.Contains(err.Error(), voteFileName) {
		t.Errorf("without a vote file: %v", err)
	}
}

func TestDamagedMessagesAreNamedWhenRead(t *testing.T) {
	options := testOptions(t, t.TempDir())
	options.SegmentBytes = 128 << 10
	n, err := Open(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	process := logtest.Spawn(t, n, "a")
	entry := logtest.Append(t, n, logtest.MessageItem(t, logtest.Signer(t, 9), process, "some text of its own"))
	// Push the entry into a sealed segment, which is not read at open.
	for _, item := range logtest.Messages(t, logtest.Signer(t, 9), process, 300) {
		logtest.Append(t, n, item)
	}
	place, err := n.index.Place(process, entry.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	path := n.ledger.SegmentPath(place.Location)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[int(place.Offset)+int(place.Length)-3] ^= 4
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err = Open(context.Background(), options); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Read(t.Context(), process, entry.Nonce); !errors.Is(err, log.ErrCorrupt) || !strings.Contains(err.Error(), path) {
		t.Errorf("read a damaged entry: %v", err)
	}
	if _, err := n.Read(t.Context(), process, entry.Nonce+1); err != nil {
		t.Errorf("read its neighbour: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOneLogPerDirectory(t *testing.T) {
	dir := t.TempDir()
	n := openNode(t, dir)
	if _, err := Open(context.Background(), testOptions(t, dir)); !errors.Is(err, log.ErrLocked) || !strings.Contains(err.Error(), dir) {
		t.Errorf("a second log in one directory: %v", err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	n = openNode(t, dir)
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), testOptions(t, filepath.Join(file, "log"))); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a directory that cannot be made: %v", err)
	}
}

// TestEverythingAtOnce is of most use under the race detector.
func TestEverythingAtOnce(t *testing.T) {
	n := openNode(t, t.TempDir())
	process := logtest.Spawn(t, n, "a")
	items := logtest.Messages(t, logtest.Signer(t, 9), process, 60)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var fresh, followed atomic.Int64
	var clients, readers sync.WaitGroup
	for client := range 6 {
		clients.Go(func() {
			// Clients start at different places, so that they often send the same.
			for i := range items {
				item := items[(i+client*10)%len(items)]
				entry, duplicate, err := n.Append(ctx, log.Proposal{Item: item})
				if err != nil {
					t.Error(err)
					return
				}
				if !duplicate {
					fresh.Add(1)
				}
				read, err := n.Read(ctx, process, entry.Nonce)
				if err != nil || read.Message != item.ID() {
					t.Errorf("read after the answer: %s, want %s, %v", read.Message, item.ID(), err)
				}
			}
		})
	}
	done := errors.New("done")
	readers.Go(func() {
		err := n.Follow(ctx, 0, log.Position{}, func(_ log.Position, e log.Entry) error {
			if e.Nonce != uint64(followed.Load()) {
				return fmt.Errorf("nonce %d after %d entries", e.Nonce, followed.Load())
			}
			if followed.Add(1) == int64(len(items)+1) {
				return done
			}
			return nil
		})
		if !errors.Is(err, done) {
			t.Error(err)
		}
	})
	clients.Wait()
	readers.Wait()
	if fresh.Load() != int64(len(items)) {
		t.Errorf("%d first answers for %d messages", fresh.Load(), len(items))
	}
	logtest.CheckChain(t, n, process, uint64(len(items)))
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
}

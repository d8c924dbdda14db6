package logtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
)

// Run holds a log to its contract. open makes an empty log that signs with
// Signer(t, 1) and that the suite closes.
func Run(t *testing.T, open func(t *testing.T) log.Log) {
	for name, test := range map[string]func(*testing.T, log.Log){
		"a process starts at nonce 0":              testProcessStarts,
		"nonces, chain and time go on":             testOrder,
		"twice the same gives the first place":     testDuplicates,
		"many at once of the same are one":         testConcurrentDuplicates,
		"many at once leave no gap":                testConcurrentAppends,
		"pushes are known again by content":        testContentDuplicates,
		"bare assignments":                         testBareAssignments,
		"what is refused leaves no trace":          testRefusals,
		"look-ups":                                 testLookups,
		"ranges":                                   testRanges,
		"processes are listed in order":            testProcesses,
		"followers see everything once, in order":  testFollow,
		"a follower goes on where it stopped":      testFollowResumes,
		"a process and its message at once":        testSpawnAndSend,
		"append after close is refused, not stuck": testClosed,
		"what comes after a promise is later":      testPromises,
		"time can be left out":                     testSkips,
		"processes are watched or not":             testWatches,
	} {
		t.Run(name, func(t *testing.T) {
			l := open(t)
			defer func() {
				if err := l.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			}()
			test(t, l)
		})
	}
}

// Append appends an item and fails the test when it is refused.
func Append(t *testing.T, l log.Log, item *dataitem.Item) log.Entry {
	t.Helper()
	entry, _, err := l.Append(t.Context(), log.Proposal{Item: item})
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return entry
}

// Spawn appends a new process and gives its id.
func Spawn(t *testing.T, l log.Log, name string) ao.ID {
	t.Helper()
	return Append(t, l, ProcessItem(t, Signer(t, 9), name)).Process
}

func testProcessStarts(t *testing.T, l log.Log) {
	item := ProcessItem(t, Signer(t, 9), "a")
	entry := Append(t, l, item)
	if entry.Process != item.ID() || entry.Nonce != 0 || !entry.Message.IsZero() || entry.HashChain != ao.FirstHashChain(item.ID()) {
		t.Errorf("entry %+v", entry.Assignment)
	}
	signed, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil || signed.Verify() != nil {
		t.Fatalf("assignment: %v, %v", err, signed.Verify())
	}
	if signed.OwnerAddress() != dataitem.AddressOf(Signer(t, 1).Owner()) || signed.ID() != entry.ID || signed.Anchor == nil {
		t.Error("the assignment is not the scheduler's, or has no anchor")
	}
	if string(entry.ItemBytes) != string(item.Bytes()) {
		t.Error("the item's bytes changed")
	}
}

func testOrder(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	previous, err := l.Head(t.Context(), process)
	if err != nil {
		t.Fatal(err)
	}
	for i, item := range Messages(t, Signer(t, 9), process, 20) {
		entry := Append(t, l, item)
		if entry.Nonce != uint64(i+1) || entry.HashChain != ao.NextHashChain(previous.Assignment, previous.HashChain) {
			t.Fatalf("message %d: %+v after %+v", i, entry.Assignment, previous)
		}
		if entry.TimestampMS <= previous.TimestampMS {
			t.Fatalf("message %d: timestamp %d after %d", i, entry.TimestampMS, previous.TimestampMS)
		}
		head, err := l.Head(t.Context(), process)
		if err != nil || head != log.HeadOf(entry) {
			t.Fatalf("message %d: head %+v, %v", i, head, err)
		}
		previous = head
	}
}

func testDuplicates(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	items := Messages(t, Signer(t, 9), process, 2)
	first := Append(t, l, items[0])
	Append(t, l, items[1])
	for _, item := range []*dataitem.Item{items[0], ProcessItem(t, Signer(t, 9), "a")} {
		entry, duplicate, err := l.Append(t.Context(), log.Proposal{Item: item})
		if err != nil || !duplicate {
			t.Fatalf("duplicate %v, %v", duplicate, err)
		}
		if item == items[0] && entry.ID != first.ID {
			t.Error("another assignment came back")
		}
	}
	if head, _ := l.Head(t.Context(), process); head.Nonce != 2 {
		t.Errorf("the head is at %d", head.Nonce)
	}
}

func testConcurrentDuplicates(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	item := MessageItem(t, Signer(t, 9), process, "x")
	const clients = 200
	var (
		wait  sync.WaitGroup
		mu    sync.Mutex
		fresh int
		ids   = map[ao.ID]bool{}
	)
	for range clients {
		wait.Go(func() {
			entry, duplicate, err := l.Append(t.Context(), log.Proposal{Item: item})
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			ids[entry.ID] = true
			if !duplicate {
				fresh++
			}
		})
	}
	wait.Wait()
	if head, _ := l.Head(t.Context(), process); fresh != 1 || len(ids) != 1 || head.Nonce != 1 {
		t.Errorf("%d first answers, %d assignments, head at %d", fresh, len(ids), head.Nonce)
	}
}

func testConcurrentAppends(t *testing.T, l log.Log) {
	processes := []ao.ID{Spawn(t, l, "a"), Spawn(t, l, "b"), Spawn(t, l, "c")}
	const each = 40
	var wait sync.WaitGroup
	for _, process := range processes {
		for _, item := range Messages(t, Signer(t, 9), process, each) {
			wait.Go(func() {
				if _, duplicate, err := l.Append(t.Context(), log.Proposal{Item: item}); err != nil || duplicate {
					t.Errorf("duplicate %v, %v", duplicate, err)
				}
			})
		}
	}
	wait.Wait()
	for _, process := range processes {
		CheckChain(t, l, process, each)
	}
}

// CheckChain reads a process's whole log and checks that it is one unbroken
// chain up to the given nonce.
func CheckChain(t *testing.T, l log.Log, process ao.ID, lastNonce uint64) {
	t.Helper()
	var head log.Head
	started := false
	err := l.Range(t.Context(), process, 0, lastNonce+100, func(entry log.Entry) error {
		if err := (log.Sequencer{}).Check(head, started, entry); err != nil {
			return fmt.Errorf("nonce %d: %w", entry.Nonce, err)
		}
		head, started = log.HeadOf(entry), true
		return nil
	})
	if err != nil || head.Nonce != lastNonce {
		t.Fatalf("process %s: chain ends at %d of %d, %v", process, head.Nonce, lastNonce, err)
	}
}

func testContentDuplicates(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	from := dataitem.Tag{Name: ao.TagFromProcess, Value: "p"}
	pushed := func(signer byte, root string) *dataitem.Item {
		return MessageItem(t, Signer(t, signer), process, "same", from, dataitem.Tag{Name: ao.TagPushedFor, Value: root})
	}
	first := Append(t, l, pushed(2, "root 1"))
	entry, duplicate, err := l.Append(t.Context(), log.Proposal{Item: pushed(2, "root 2")})
	if err != nil || !duplicate || entry.ID != first.ID {
		t.Errorf("the same push for another root: duplicate %v, %v", duplicate, err)
	}
	if _, duplicate, err = l.Append(t.Context(), log.Proposal{Item: pushed(3, "root 1")}); err != nil || duplicate {
		t.Errorf("a stranger's copy must not count as the push: duplicate %v, %v", duplicate, err)
	}
}

func testBareAssignments(t *testing.T, l log.Log) {
	source, target := Spawn(t, l, "a"), Spawn(t, l, "b")
	message := Append(t, l, MessageItem(t, Signer(t, 9), source, "x"))
	proposal := log.Proposal{Process: target, Message: message.Message, Exclude: []string{"Data"}}
	entry, duplicate, err := l.Append(t.Context(), proposal)
	if err != nil || duplicate || !entry.IsBare() || entry.Nonce != 1 || entry.Message != message.Message || len(entry.Exclude) != 1 {
		t.Fatalf("%+v, duplicate %v, %v", entry.Assignment, duplicate, err)
	}
	if again, duplicate, err := l.Append(t.Context(), proposal); err != nil || !duplicate || again.ID != entry.ID {
		t.Errorf("again: duplicate %v, %v", duplicate, err)
	}
	if process, nonce, err := l.Locate(t.Context(), message.Message); err != nil || process != source || nonce != 1 {
		t.Errorf("the assignment hides the message itself: %s %d %v", process, nonce, err)
	}
	if nonce, err := l.Find(t.Context(), target, message.Message); err != nil || nonce != 1 {
		t.Errorf("find: %d, %v", nonce, err)
	}
}

func testRefusals(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	good := MessageItem(t, Signer(t, 9), process, "x")
	raw := append([]byte(nil), good.Bytes()...)
	raw[len(raw)-1] ^= 1
	forged, err := dataitem.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		proposal log.Proposal
		code     ao.Code
	}{
		"bad signature":      {log.Proposal{Item: forged}, ao.CodeInvalid},
		"unknown process":    {log.Proposal{Item: MessageItem(t, Signer(t, 9), ao.ID{5}, "x")}, ao.CodeNotFound},
		"unknown, bare":      {log.Proposal{Process: ao.ID{5}, Message: ao.ID{6}}, ao.CodeNotFound},
		"no tags":            {log.Proposal{Item: sign(t, Signer(t, 9), dataitem.Draft{Target: process[:]})}, ao.CodeInvalid},
		"nothing to assign":  {log.Proposal{Process: process}, ao.CodeInvalid},
		"nothing to give to": {log.Proposal{Message: ao.ID{6}}, ao.CodeInvalid},
	} {
		if _, _, err := l.Append(t.Context(), c.proposal); ao.CodeOf(err) != c.code {
			t.Errorf("%s: %v (%s), want %s", name, err, ao.CodeOf(err), c.code)
		}
	}
	if head, _ := l.Head(t.Context(), process); head.Nonce != 0 {
		t.Errorf("something got in: the head is at %d", head.Nonce)
	}
	if heads, _ := l.Processes(t.Context(), ao.ID{}, 10); len(heads) != 1 {
		t.Errorf("%d processes", len(heads))
	}
}

func testLookups(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	entry := Append(t, l, MessageItem(t, Signer(t, 9), process, "x"))
	for name, id := range map[string]ao.ID{"message": entry.Message, "assignment": entry.ID} {
		if nonce, err := l.Find(t.Context(), process, id); err != nil || nonce != 1 {
			t.Errorf("find by %s: %d, %v", name, nonce, err)
		}
		if p, nonce, err := l.Locate(t.Context(), id); err != nil || p != process || nonce != 1 {
			t.Errorf("locate by %s: %s %d %v", name, p, nonce, err)
		}
	}
	if nonce, err := l.Find(t.Context(), process, process); err != nil || nonce != 0 {
		t.Errorf("find the process itself: %d, %v", nonce, err)
	}
	read, err := l.Read(t.Context(), process, 1)
	if err != nil || read.ID != entry.ID || string(read.ItemBytes) != string(entry.ItemBytes) {
		t.Errorf("read: %v", err)
	}
	if _, err := l.Read(t.Context(), process, 2); !errors.Is(err, log.ErrEntryUnknown) {
		t.Errorf("read past the end: %v", err)
	}
	if _, err := l.Read(t.Context(), ao.ID{5}, 0); !errors.Is(err, log.ErrProcessUnknown) {
		t.Errorf("read a stranger: %v", err)
	}
	if _, err := l.Head(t.Context(), ao.ID{5}); !errors.Is(err, log.ErrProcessUnknown) {
		t.Errorf("head of a stranger: %v", err)
	}
	if _, err := l.Find(t.Context(), process, ao.ID{5}); !errors.Is(err, log.ErrEntryUnknown) {
		t.Errorf("find a stranger: %v", err)
	}
	for after, want := range map[int64]uint64{0: 0, entry.TimestampMS - 1: 1, entry.TimestampMS: 2, entry.TimestampMS + 9: 2} {
		if nonce, err := l.NonceAfter(t.Context(), process, after); err != nil || nonce != want {
			t.Errorf("nonce after %d: %d, want %d, %v", after, nonce, want, err)
		}
	}
}

func testRanges(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	for _, item := range Messages(t, Signer(t, 9), process, 300) {
		Append(t, l, item)
	}
	for _, c := range []struct{ from, to, first, count uint64 }{{0, 0, 0, 1}, {0, 1 << 60, 0, 301}, {5, 7, 5, 3}, {300, 301, 300, 1}, {301, 400, 0, 0}, {7, 5, 0, 0}} {
		var nonces []uint64
		err := l.Range(t.Context(), process, c.from, c.to, func(e log.Entry) error {
			nonces = append(nonces, e.Nonce)
			return nil
		})
		if err != nil || uint64(len(nonces)) != c.count || c.count > 0 && (nonces[0] != c.first || nonces[c.count-1] != c.first+c.count-1) {
			t.Errorf("range %d..%d gave %d entries, %v", c.from, c.to, len(nonces), err)
		}
	}
	stop := errors.New("stop")
	if err := l.Range(t.Context(), process, 0, 9, func(log.Entry) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("an error of fn was lost: %v", err)
	}
}

func testProcesses(t *testing.T, l log.Log) {
	want := map[ao.ID]bool{}
	for i := range 7 {
		want[Spawn(t, l, fmt.Sprint(i))] = true
	}
	var after ao.ID
	for len(want) > 0 {
		heads, err := l.Processes(t.Context(), after, 3)
		if err != nil || len(heads) == 0 {
			t.Fatalf("%d left, %v", len(want), err)
		}
		for _, head := range heads {
			if !want[head.Process] || bytes.Compare(after[:], head.Process[:]) >= 0 {
				t.Fatalf("process %s is unknown, listed twice or out of order", head.Process)
			}
			delete(want, head.Process)
			after = head.Process
		}
	}
}

// groupOf finds the group that orders a process: the one that shows it.
func groupOf(t *testing.T, l log.Log, process ao.ID) uint32 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	groups := l.Groups()
	found := make(chan uint32, len(groups))
	var wait sync.WaitGroup
	defer wait.Wait()
	for _, group := range groups {
		wait.Go(func() {
			_ = l.Follow(ctx, group, log.Position{}, func(_ log.Position, entry log.Entry) error {
				if entry.Process == process {
					found <- group
					cancel()
				}
				return ctx.Err()
			})
		})
	}
	select {
	case group := <-found:
		return group
	case <-ctx.Done():
	}
	select {
	case group := <-found:
		return group
	default:
		t.Fatalf("no group shows process %s", process)
		return 0
	}
}

func testFollow(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	items := Messages(t, Signer(t, 9), process, 50)
	for _, item := range items[:25] {
		Append(t, l, item)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() {
		for _, item := range items[25:] {
			if _, _, err := l.Append(ctx, log.Proposal{Item: item}); err != nil {
				t.Error(err)
			}
		}
	})
	defer wait.Wait()
	next := uint64(0)
	var last log.Position
	done := errors.New("done")
	err := l.Follow(ctx, groupOf(t, l, process), log.Position{}, func(at log.Position, entry log.Entry) error {
		if entry.Nonce != next || at.Index < last.Index || at.Index == last.Index && at.Offset <= last.Offset {
			return fmt.Errorf("nonce %d at %v after nonce %d at %v", entry.Nonce, at, next, last)
		}
		next, last = next+1, at
		if next == 51 {
			return done
		}
		return nil
	})
	if !errors.Is(err, done) {
		t.Fatalf("stopped at %d: %v", next, err)
	}
}

func testFollowResumes(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	var wait sync.WaitGroup
	for _, item := range Messages(t, Signer(t, 9), process, 30) {
		wait.Go(func() {
			if _, _, err := l.Append(t.Context(), log.Proposal{Item: item}); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	var position log.Position
	stop := errors.New("stop")
	group := groupOf(t, l, process)
	for want := uint64(0); want <= 30; want++ {
		err := l.Follow(t.Context(), group, position, func(at log.Position, entry log.Entry) error {
			if entry.Nonce != want {
				return fmt.Errorf("nonce %d, want %d", entry.Nonce, want)
			}
			position = at
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
}

func testSpawnAndSend(t *testing.T, l log.Log) {
	var wait sync.WaitGroup
	for i := range 20 {
		process := ProcessItem(t, Signer(t, 9), fmt.Sprint(i))
		message := MessageItem(t, Signer(t, 9), process.ID(), "x")
		wait.Go(func() {
			if _, _, err := l.Append(t.Context(), log.Proposal{Item: process}); err != nil {
				t.Error(err)
				return
			}
			if entry, _, err := l.Append(t.Context(), log.Proposal{Item: message}); err != nil || entry.Nonce != 1 {
				t.Errorf("nonce %d, %v", entry.Nonce, err)
			}
		})
	}
	wait.Wait()
}

func testClosed(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, _, err := l.Append(t.Context(), log.Proposal{Item: MessageItem(t, Signer(t, 9), process, "x")})
	if ao.CodeOf(err) != ao.CodeUnavailable {
		t.Errorf("append after close: %v", err)
	}
	if err := l.Follow(t.Context(), l.Groups()[0], log.Position{Index: 1 << 40}, func(log.Position, log.Entry) error { return nil }); !errors.Is(err, log.ErrClosed) {
		t.Errorf("follow after close: %v", err)
	}
}

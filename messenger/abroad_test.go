package messenger

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// abroad is what other schedulers were asked for. Like them it keeps the first of
// equal items.
type abroad struct {
	mu      sync.Mutex
	items   map[string][]*dataitem.Item
	assigns map[string][]courier.Assignment
	asked   int
	// fail is asked before something is taken, with its target or id.
	fail func(scheduler string, id ao.ID) error
	// lost is how many answers do not arrive.
	lost int
}

func (w *weave) Own(scheduler string) bool { return scheduler == "own" }

func (w *weave) SchedulerOf(_ context.Context, id ao.ID) (string, error) { return w.processes[id], nil }

func (w *weave) Post(_ context.Context, scheduler string, item *dataitem.Item) error {
	a := &w.abroad
	id := item.TargetID()
	if id.IsZero() {
		id = item.ID()
	}
	return a.take(scheduler, id, func() {
		for _, known := range a.items[scheduler] {
			if known.ID() == item.ID() {
				return
			}
		}
		a.items[scheduler] = append(a.items[scheduler], item)
	})
}

func (w *weave) Assign(_ context.Context, scheduler string, assignment courier.Assignment) (ao.ID, error) {
	a := &w.abroad
	err := a.take(scheduler, assignment.Process, func() { a.assigns[scheduler] = append(a.assigns[scheduler], assignment) })
	return ao.ID{0xa5}, err
}

func (a *abroad) take(scheduler string, id ao.ID, keep func()) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked++
	if a.fail != nil {
		if err := a.fail(scheduler, id); err != nil {
			return err
		}
	}
	if a.items == nil {
		a.items, a.assigns = map[string][]*dataitem.Item{}, map[string][]courier.Assignment{}
	}
	keep()
	if a.lost > 0 {
		a.lost--
		return courier.Laterf(0, "no answer")
	}
	return nil
}

func (a *abroad) data(scheduler string) (texts []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, item := range a.items[scheduler] {
		texts = append(texts, string(item.Data))
	}
	return texts
}

// TestProcessesElsewhereGetTheirMessagesOnceInOrder loses every answer for a
// while: what was taken is sent again, as the same bytes.
func TestProcessesElsewhereGetTheirMessagesOnceInOrder(t *testing.T) {
	w := newWorld(t)
	sender := logtest.Spawn(t, w.log, "sender")
	far, farther := ao.ID{0xb1}, ao.ID{0xb2}
	w.weave.processes[far], w.weave.processes[farther] = "one", "two"
	for i := range 30 {
		for _, target := range []ao.ID{far, farther} {
			w.outbox.put(t, sender, uint64(i+1), engine.EffectMessage, message(target, i+1, fmt.Sprint(i)))
		}
	}
	w.weave.abroad.lost = 25
	w.deliver()
	for _, scheduler := range []string{"one", "two"} {
		if diff := cmp.Diff(numbers(30), w.weave.abroad.data(scheduler)); diff != "" {
			t.Errorf("scheduler %s has (-want +got):\n%s", scheduler, diff)
		}
	}
	if asked := w.weave.abroad.asked; asked != 60+25 {
		t.Errorf("asked %d times for 60 messages and 25 lost answers", asked)
	}
	if len(w.weave.items) != 0 {
		t.Errorf("%d messages to processes were uploaded as to wallets", len(w.weave.items))
	}
}

func TestAssignmentsAndSpawnsGoToTheirSchedulers(t *testing.T) {
	w := newWorld(t)
	parent := logtest.Spawn(t, w.log, "parent")
	far := ao.ID{0xb1}
	w.weave.processes[far] = "far away"
	assign := w.outbox.put(t, parent, 1, engine.EffectAssign, map[string]any{
		"Processes": []string{far.String()}, "Message": parent.String(), "BaseLayer": true, "Exclude": []string{"Data", "Tags"},
	})
	w.deliver()
	both := w.outbox.put(t, parent, 2, engine.EffectMessage, message(parent, 1, "y", tag("Assignments", []string{far.String()})))
	spawnTags := func(scheduler string) map[string]any {
		return map[string]any{"Tags": []map[string]any{tag("Module", ao.ID{9}.String()), tag("Scheduler", scheduler), tag("Reference", scheduler)}}
	}
	abroad := w.outbox.put(t, parent, 3, engine.EffectSpawn, spawnTags("far away"))
	home := w.outbox.put(t, parent, 4, engine.EffectSpawn, spawnTags("own"))
	beside := w.outbox.put(t, parent, 5, engine.EffectSpawn, spawnTags("scheduler")) // where the parent is
	w.deliver()

	done, _ := w.outbox.effect(both.Key())
	want := []courier.Assignment{
		{Process: far, Message: parent, BaseLayer: true, Exclude: []string{"Data", "Tags"}},
		{Process: far, Message: done.Delivered[0]},
	}
	if diff := cmp.Diff(want, w.weave.abroad.assigns["far away"]); diff != "" {
		t.Errorf("assignments (-want +got):\n%s", diff)
	}
	if id := (ao.ID{0xa5}); done.Delivered[1] != id {
		t.Errorf("delivered %v", done.Delivered)
	}
	if done, _ = w.outbox.effect(assign.Key()); len(done.Delivered) != 1 {
		t.Errorf("delivered %v", done.Delivered)
	}
	done, _ = w.outbox.effect(abroad.Key())
	child := w.weave.abroad.items["far away"]
	if len(child) != 1 || child[0].ID() != done.Delivered[0] || child[0].Tags.Get(ao.TagScheduler) != "far away" {
		t.Errorf("posted %v, delivered %v", child, done.Delivered)
	}
	if _, err := w.log.Head(t.Context(), done.Delivered[0]); err == nil {
		t.Error("a process of another scheduler is in this node's log, too")
	}
	for _, effect := range []engine.Effect{home, beside} {
		done, _ := w.outbox.effect(effect.Key())
		if _, err := w.log.Head(t.Context(), done.Delivered[0]); err != nil {
			t.Error(err)
		}
	}
	// The parent is told of all three, wherever they are.
	var told []string
	for _, item := range w.items(parent) {
		if item.Tags.Get("Action") == "Spawned" {
			told = append(told, item.Tags.Get("Reference"))
		}
	}
	if len(told) != 3 {
		t.Errorf("the parent was told of %v", told)
	}
}

// fill puts messages to far targets into the outbox before one to a target here.
func (w *world) fill(targets, messages int) (sender, near ao.ID) {
	w.Helper()
	sender = logtest.Spawn(w.T, w.log, "sender")
	near = logtest.Spawn(w.T, w.log, "target")
	for i := range targets {
		far := ao.ID{0xb0, byte(i)}
		w.weave.processes[far] = fmt.Sprint("scheduler ", i)
		for n := range messages {
			w.outbox.put(w.T, sender, uint64(n+1), engine.EffectMessage, message(far, n+1, fmt.Sprint(n)))
		}
	}
	w.outbox.put(w.T, sender, uint64(messages+1), engine.EffectMessage, message(near, 1, "0"))
	return sender, near
}

// TestASchedulerThatIsDownLeavesRoomForOthers: more waits for it than fits into
// memory, and none of it gets there out of order.
func TestASchedulerThatIsDownLeavesRoomForOthers(t *testing.T) {
	w := newWorld(t)
	w.change = func(o *Options) { o.LoadedMax, o.AbroadAttemptsMax = 20, 1<<30 }
	_, near := w.fill(8, 30)
	var up atomic.Bool
	w.weave.abroad.fail = func(string, ao.ID) error {
		if up.Load() {
			return nil
		}
		return courier.Laterf(0, "it is down")
	}
	for range 2 { // and after a restart
		m := w.open()
		w.eventually("the local target has its message", func() bool { return len(w.items(near)) == 1 })
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	m := w.open()
	up.Store(true)
	w.eventually("the outbox is empty", w.outbox.quiet)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		if diff := cmp.Diff(numbers(30), w.weave.abroad.data(fmt.Sprint("scheduler ", i))); diff != "" {
			t.Errorf("scheduler %d has (-want +got):\n%s", i, diff)
		}
	}
}

// TestWhatFailedBeforeARestartLeavesRoom: it waits for its time, and with it, in
// the outbox, all that is behind it.
func TestWhatFailedBeforeARestartLeavesRoom(t *testing.T) {
	w := newWorld(t)
	w.change = func(o *Options) { o.LoadedMax, o.RetryBaseMS, o.RetryMaxMS = 20, 3_600_000, 3_600_000 }
	sender, near := w.fill(8, 30)
	w.weave.abroad.fail = func(string, ao.ID) error { return courier.Laterf(0, "it is down") }
	for n := range 2 {
		m := w.open()
		w.eventually("the local target has its message", func() bool { return len(w.items(near)) == n+1 })
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		w.outbox.put(t, sender, 100, engine.EffectMessage, message(near, 2+n, "1"))
	}
}

// TestASchedulerThatHangsTakesNoWorker has more of them than workers.
func TestASchedulerThatHangsTakesNoWorker(t *testing.T) {
	w := newWorld(t)
	hanging := &hangingDirectory{weave: w.weave, release: make(chan struct{})}
	w.change = func(o *Options) { o.Workers, o.Directory = 2, hanging }
	sender, near := w.fill(8, 1)
	m := w.open()
	w.eventually("all of them hang", func() bool { return hanging.asked.Load() == 8 })
	w.outbox.put(t, sender, 100, engine.EffectMessage, message(near, 2, "1"))
	w.eventually("the local target has its messages", func() bool { return len(w.items(near)) == 2 })
	close(hanging.release)
	w.eventually("the outbox is empty", w.outbox.quiet)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// hangingDirectory answers nothing until it is released.
type hangingDirectory struct {
	*weave
	release chan struct{}
	asked   atomic.Int64
}

func (d *hangingDirectory) SchedulerOf(ctx context.Context, id ao.ID) (string, error) {
	d.asked.Add(1)
	select {
	case <-d.release:
		return d.weave.SchedulerOf(ctx, id)
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// pausingOutbox does something before it gives the second page of a scan.
type pausingOutbox struct {
	*memoryOutbox
	pause func()
}

func (o pausingOutbox) Pending(ctx context.Context, after engine.EffectKey, limit int) ([]engine.Effect, error) {
	if after != (engine.EffectKey{}) {
		o.pause()
	}
	return o.memoryOutbox.Pending(ctx, after, limit)
}

// TestAScanDoesNotOvertakeWhatWasUnloaded: while a scan is between two pages, the
// first message fails, those behind it leave the memory, and it succeeds.
func TestAScanDoesNotOvertakeWhatWasUnloaded(t *testing.T) {
	w := newWorld(t)
	_, targets := w.spawnMany(1, scanPage+50)
	w.change = func(o *Options) {
		o.Outbox = pausingOutbox{w.outbox, func() {
			w.eventually("the first has succeeded", func() bool { return len(w.items(targets[0])) > 0 })
		}}
	}
	var failed atomic.Bool
	w.log.fail = func(aolog.Proposal) error {
		if failed.Swap(true) {
			return nil
		}
		return ao.Errorf(ao.CodeUnavailable, "not now")
	}
	w.deliver()
	if diff := cmp.Diff(numbers(scanPage+50), w.data(targets[0])); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// TestOthersGetMorePatience: an effect that waits for another scheduler outlives
// the attempts that one of this node's own has, and in the end is given up too.
func TestOthersGetMorePatience(t *testing.T) {
	w := newWorld(t)
	w.change = func(o *Options) { o.AttemptsMax, o.AbroadAttemptsMax = 3, 20 }
	sender, targets := w.spawnMany(1, 1)
	far := ao.ID{0xb1}
	w.weave.processes[far] = "away"
	abroad := w.outbox.put(t, sender, 9, engine.EffectMessage, message(far, 1, "x"))
	w.weave.abroad.lost = 1000
	w.log.fail = func(p aolog.Proposal) error {
		if p.Item.TargetID() == targets[0] {
			return ao.Errorf(ao.CodeUnavailable, "not now")
		}
		return nil
	}
	m := w.open()
	w.eventually("both are given up", w.outbox.quiet)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	effect, _ := w.outbox.effect(abroad.Key())
	near, _ := w.outbox.effect(engine.EffectKey{Process: sender, Nonce: 1})
	if effect.Attempts != 20 || near.Attempts != 3 || !effect.Dead || !near.Dead {
		t.Errorf("%d attempts abroad, %d here", effect.Attempts, near.Attempts)
	}
	if strings.Contains(effect.Error, "not now") {
		t.Error(effect.Error)
	}
}

package messenger

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// spawnMany starts processes and puts messages from the first of them to each
// of the others into the outbox.
func (w *world) spawnMany(targets, messages int) (sender ao.ID, all []ao.ID) {
	w.Helper()
	sender = logtest.Spawn(w.T, w.log, "sender")
	for i := range targets {
		all = append(all, logtest.Spawn(w.T, w.log, fmt.Sprint("target ", i)))
	}
	for n := range messages {
		for _, target := range all {
			w.outbox.put(w.T, sender, uint64(n+1), engine.EffectMessage, message(target, n+1, fmt.Sprint(n)))
		}
	}
	return sender, all
}

func numbers(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

func TestOneSendersMessagesToOneTargetStayInOrder(t *testing.T) {
	w := newWorld(t)
	// Few effects fit into memory, so that lanes fill while others wait.
	w.change = func(o *Options) { o.LoadedMax, o.Workers = 7, 3 }
	_, targets := w.spawnMany(5, 40)
	// Every third attempt fails, so that there is much to confuse the order.
	var mu sync.Mutex
	attempts := 0
	w.log.fail = func(aolog.Proposal) error {
		mu.Lock()
		defer mu.Unlock()
		if attempts++; attempts%3 == 0 {
			return ao.Errorf(ao.CodeUnavailable, "not now")
		}
		return nil
	}
	w.deliver()
	for _, target := range targets {
		if diff := cmp.Diff(numbers(40), w.data(target)); diff != "" {
			t.Errorf("order at %s (-want +got):\n%s", target, diff)
		}
	}
}

func TestATargetThatFailsHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	w.change = func(o *Options) { o.RetryBaseMS, o.RetryMaxMS = 60_000, 60_000 }
	_, targets := w.spawnMany(3, 5)
	stuck := targets[0]
	w.log.fail = func(p aolog.Proposal) error {
		if p.Item.TargetID() == stuck {
			return ao.Errorf(ao.CodeUnavailable, "not now")
		}
		return nil
	}
	m := w.open()
	w.eventually("the others have all", func() bool {
		return len(w.items(targets[1])) == 5 && len(w.items(targets[2])) == 5
	})
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(w.items(stuck)); n != 0 {
		t.Errorf("the stuck target has %d messages", n)
	}
}

func TestRetriesWaitLongerAndEndInADeadLetter(t *testing.T) {
	w := newWorld(t)
	now := time.UnixMilli(1_000_000)
	var mu sync.Mutex
	w.change = func(o *Options) {
		o.RetryBaseMS, o.RetryMaxMS, o.AttemptsMax, o.Node = 100, 350, 5, "n1"
		// Time passes as fast as the messenger asks for it.
		o.Now = func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			now = now.Add(time.Millisecond * 360)
			return now
		}
	}
	sender, targets := w.spawnMany(1, 1)
	w.log.fail = func(aolog.Proposal) error { return ao.Errorf(ao.CodeUnavailable, "the disk is away") }
	m := w.open()
	w.eventually("it is given up", w.outbox.quiet)
	effect, _ := w.outbox.effect(engine.EffectKey{Process: sender, Nonce: 1})
	if !effect.Dead || effect.Attempts != 5 || !strings.Contains(effect.Error, "the disk is away") {
		t.Errorf("dead %v after %d attempts: %s", effect.Dead, effect.Attempts, effect.Error)
	}
	mu.Lock()
	latest := now.UnixMilli()
	mu.Unlock()
	if effect.TimeMS <= 1_000_000 || effect.TimeMS > latest || effect.Node != "n1" {
		t.Errorf("the last attempt was at %d by %q", effect.TimeMS, effect.Node)
	}
	if got := m.Status(); got != (Status{RetriesTotal: 4, DeadTotal: 1}) {
		t.Errorf("counted %+v", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if len(w.items(targets[0])) != 0 {
		t.Error("it was delivered all the same")
	}
}

func TestBackOff(t *testing.T) {
	o := newOutbox()
	m := &Messenger{options: Options{Outbox: o, RetryBaseMS: 100, RetryMaxMS: 350, AttemptsMax: 40, Now: func() time.Time { return time.UnixMilli(5000) }}.withDefaults()}
	effect := engine.Effect{Kind: engine.EffectMessage}
	var waits []int64
	for range 20 {
		if done, err := m.note(&effect, errors.New("no")); done || err != nil {
			t.Fatal(done, err)
		}
		waits = append(waits, effect.NextMS-5000)
	}
	want := []int64{100, 200, 350, 350}
	if diff := cmp.Diff(want, waits[:4]); diff != "" || waits[19] != 350 {
		t.Errorf("waits %v", waits)
	}
}

// TestDeliveredTwiceTakesEffectOnce has the messenger die between the delivery
// and the note of it, for every kind of effect.
func TestDeliveredTwiceTakesEffectOnce(t *testing.T) {
	w := newWorld(t)
	sender, targets := w.spawnMany(2, 3)
	w.outbox.put(t, sender, 9, engine.EffectSpawn, map[string]any{"Tags": []map[string]any{tag("Module", ao.ID{9}.String())}})
	w.outbox.put(t, sender, 9, engine.EffectAssign, map[string]any{"Processes": []string{targets[0].String()}, "Message": sender.String()})
	var before []string
	for round := range 4 {
		w.outbox.broken = errors.New("the power is gone")
		if round == 3 {
			w.outbox.broken = nil
		}
		m := w.open()
		if w.outbox.broken != nil {
			if err := <-w.fatal; !errors.Is(err, w.outbox.broken) {
				t.Errorf("told %v", err)
			}
			w.eventually("much was delivered", func() bool { return len(w.items(sender)) == 1 && len(w.items(targets[1])) > 0 })
		} else {
			w.eventually("the outbox is empty", w.outbox.quiet)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.fatal:
		default:
		}
		ids := []string{w.items(sender)[0].ID().String()}
		if before != nil && before[0] != ids[0] {
			t.Errorf("the spawn was signed as %s and as %s", before[0], ids[0])
		}
		before = ids
	}
	if diff := cmp.Diff(numbers(3), w.data(targets[1])); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if n := len(w.items(targets[0])); n != 4 {
		t.Errorf("%d entries where three messages and one assignment were sent", n)
	}
	heads, err := w.log.Processes(t.Context(), ao.ID{}, 100)
	if err != nil || len(heads) != 4 {
		t.Errorf("%d processes, want the sender, two targets and one child, %v", len(heads), err)
	}
}

func TestCloseLeavesTheRestInTheOutbox(t *testing.T) {
	w := newWorld(t)
	_, targets := w.spawnMany(1, 300)
	for !w.outbox.quiet() {
		m := w.open()
		have := len(w.items(targets[0]))
		w.eventually("it goes on", func() bool { return w.outbox.quiet() || len(w.items(targets[0])) > have })
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(numbers(300), w.data(targets[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

package messenger

import (
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

// settled waits until nothing is pending, with a messenger that goes on running.
func (w *world) settled() {
	w.Helper()
	w.eventually("nothing is pending", w.outbox.quiet)
}

func (w *world) resume(m *Messenger, cascade ao.ID) {
	w.Helper()
	if err := m.Resume(cascade, func() error { return w.outbox.resume(cascade) }); err != nil {
		w.Fatal(err)
	}
}

// TestALoopIsParked has two processes answer each other for ever: when their
// message has caused as much as it may, it is parked, also after a restart, and goes
// on as far again when it is resumed.
func TestALoopIsParked(t *testing.T) {
	const hops = 40
	w := newWorld(t)
	w.change = func(o *Options) { o.HopsMax = hops }
	one, two := logtest.Spawn(t, w.log, "one"), logtest.Spawn(t, w.log, "two")
	other := map[ao.ID]ao.ID{one: two, two: one}
	var mu sync.Mutex
	sent := 0
	// Whoever gets a message sends the next.
	w.log.fail = func(p aolog.Proposal) error {
		mu.Lock()
		defer mu.Unlock()
		sent++
		target := p.Item.TargetID()
		w.outbox.put(t, target, uint64(sent), engine.EffectMessage, message(other[target], sent, fmt.Sprint(sent)))
		return nil
	}
	w.outbox.put(t, one, 0, engine.EffectMessage, message(two, 0, "0"))
	m := w.open()
	check := func(when string, deliveries int) {
		t.Helper()
		w.settled()
		if got := len(w.data(one)) + len(w.data(two)); got != deliveries {
			t.Errorf("%s: %d messages were delivered, want %d", when, got, deliveries)
		}
		parked := w.outbox.parked()
		if len(parked) != 1 || !strings.Contains(parked[0].Parked, fmt.Sprintf("%d deliveries, the most that message %s may cause", hops, ao.ID{7})) {
			t.Errorf("%s: %+v is parked", when, parked)
		}
	}
	check("at first", hops)
	if got := m.Status(); got != (Status{DeliveredTotal: hops, ParkedTotal: 1}) {
		t.Errorf("counted %+v", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := m.Resume(ao.ID{}, func() error { return w.outbox.resume(ao.ID{}) }); ao.CodeOf(err) != ao.CodeUnavailable {
		t.Errorf("a closed messenger resumed: %v", err)
	}
	m = w.open()
	defer m.Close()
	check("after a restart", hops)
	w.resume(m, ao.ID{1})
	check("after another was resumed", hops)
	w.resume(m, ao.ID{7})
	check("resumed", 2*hops)
	w.resume(m, ao.ID{})
	check("resumed with all", 3*hops)
	if diff := cmp.Diff(evens(0, 3*hops), w.data(two)); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func evens(from, to int) (texts []string) {
	for i := from; i < to; i += 2 {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

// TestAParkedCascadeKeepsItsOrderAndHoldsUpNoOther sends for two messages of a user
// over one pair of processes; one of them sends too fast.
func TestAParkedCascadeKeepsItsOrderAndHoldsUpNoOther(t *testing.T) {
	const rate, messages = 5, 23
	w := newWorld(t)
	w.change = func(o *Options) {
		o.PairRateMax = rate
		o.Now = func() time.Time { return time.UnixMilli(1_000_000) }
	}
	loud, calm := ao.ID{7}, ao.ID{8}
	sender, target := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "target")
	number := 0
	put := func(root ao.ID, prefix string, n int) {
		number++
		w.outbox.putFor(t, root, sender, uint64(number), engine.EffectMessage, message(target, number, prefix+fmt.Sprint(n)))
	}
	for i := range messages {
		put(loud, "loud ", i)
		if i%5 == 4 {
			put(calm, "calm ", i/5)
		}
	}
	m := w.open()
	defer m.Close()
	only := func(prefix string) (texts []string) {
		for _, text := range w.data(target) {
			if strings.HasPrefix(text, prefix) {
				texts = append(texts, text)
			}
		}
		return texts
	}
	numbered := func(prefix string, n int) (texts []string) {
		for i := range n {
			texts = append(texts, prefix+fmt.Sprint(i))
		}
		return texts
	}
	for round := 1; ; round++ {
		w.settled()
		if diff := cmp.Diff(numbered("calm ", 4), only("calm ")); diff != "" {
			t.Errorf("round %d, the calm one (-want +got):\n%s", round, diff)
		}
		if round == 2 {
			// What comes while the rest is parked waits behind it.
			put(loud, "loud ", messages)
			w.settled()
		}
		done := min(round*rate, messages+1)
		if diff := cmp.Diff(numbered("loud ", done), only("loud ")); diff != "" {
			t.Fatalf("round %d, the loud one (-want +got):\n%s", round, diff)
		}
		if done == messages+1 {
			break
		}
		if reason := w.outbox.Parked(loud); !strings.Contains(reason, fmt.Sprintf("more than %d messages a minute from process %s to %s", rate, sender, target)) {
			t.Errorf("parked for %q", reason)
		}
		w.resume(m, loud)
	}
}

// TestWhatHasNoRootIsBoundByItsRateAlone: a process that sends of its own accord,
// such as from a cron, may do so for ever, but not too fast.
func TestWhatHasNoRootIsBoundByItsRateAlone(t *testing.T) {
	w := newWorld(t)
	w.change = func(o *Options) {
		o.HopsMax, o.PairRateMax = 3, 10
		o.Now = func() time.Time { return time.UnixMilli(1_000_000) }
	}
	fast, slow := logtest.Spawn(t, w.log, "fast"), logtest.Spawn(t, w.log, "slow")
	target := logtest.Spawn(t, w.log, "target")
	for i := range 12 {
		w.outbox.putFor(t, ao.ID{}, fast, uint64(i+1), engine.EffectMessage, message(target, 10+i, "fast"))
		if i < 8 {
			w.outbox.putFor(t, ao.ID{}, slow, uint64(i+1), engine.EffectMessage, message(target, 10+i, "slow"))
		}
	}
	w.deliver()
	counts := map[string]int{}
	for _, text := range w.data(target) {
		counts[text]++
	}
	if diff := cmp.Diff(map[string]int{"fast": 10, "slow": 8}, counts); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
	if w.outbox.Parked(fast) == "" || w.outbox.Parked(slow) != "" || len(w.outbox.parked()) != 2 {
		t.Errorf("parked: %+v", w.outbox.parked())
	}
}

// TestTicksAreNoLoop lets a process that was away send what its crons ask for.
func TestTicksAreNoLoop(t *testing.T) {
	b := newBreaker(3, 3)
	for tick := range uint64(1000) {
		effect := engine.Effect{Process: ao.ID{1}, Tick: tick + 1}
		if reason := b.admit(effect, ao.ID{2}, time.UnixMilli(5)); reason != "" {
			t.Fatalf("tick %d: %s", tick, reason)
		}
	}
}

func TestTheBreakerCanBeOff(t *testing.T) {
	b := newBreaker(-1, -1)
	for range 100_000 {
		if reason := b.admit(engine.Effect{Root: ao.ID{1}}, ao.ID{2}, time.Time{}); reason != "" {
			t.Fatal(reason)
		}
	}
}

func TestARateIsThatOfTheLastMinute(t *testing.T) {
	b := newBreaker(-1, 10)
	start := time.UnixMilli(100 * minuteMS)
	admitted := func(at time.Duration, tries int) (n int) {
		for range tries {
			if b.admit(engine.Effect{Process: ao.ID{1}}, ao.ID{2}, start.Add(at)) == "" {
				n++
			}
		}
		return n
	}
	for _, c := range []struct {
		at   time.Duration
		want int
	}{
		{0, 10}, {59 * time.Second, 0},
		{60 * time.Second, 0}, {90 * time.Second, 5}, {119 * time.Second, 5},
		{10 * time.Minute, 10},
	} {
		if got := admitted(c.at, 20); got != c.want {
			t.Errorf("after %s %d were admitted, want %d", c.at, got, c.want)
		}
	}
	if reason := b.admit(engine.Effect{Process: ao.ID{1}}, ao.ID{3}, start.Add(10*time.Minute)); reason != "" {
		t.Errorf("another target: %s", reason)
	}
}

func TestTheBreakerForgetsWhatItHasNotSeenForLong(t *testing.T) {
	r := recent[int, int]{max: 10}
	for i := range 1000 {
		r.set(-1, r.get(-1)+1)
		r.set(i, i)
		if size := len(r.young) + len(r.old); size > 20 {
			t.Fatalf("it remembers %d keys", size)
		}
	}
	if r.get(-1) != 1000 || r.get(999) != 999 || r.get(991) != 991 || r.get(900) != 0 {
		t.Errorf("it remembers %d, %d, %d, %d", r.get(-1), r.get(999), r.get(991), r.get(900))
	}
	r.forget(func(key int) bool { return key == 999 })
	if r.get(999) != 0 || r.get(998) != 998 {
		t.Error("it forgot the wrong one")
	}
}

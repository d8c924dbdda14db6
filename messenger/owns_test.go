package messenger

import (
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
)

// TestOnlyTheOwnerDelivers: what another node delivers stays in the outbox, and
// is taken up, in order, when this one becomes its owner.
func TestOnlyTheOwnerDelivers(t *testing.T) {
	w := newWorld(t)
	var (
		owns  atomic.Bool
		asked atomic.Int64
	)
	w.change = func(o *Options) {
		o.Owns = func(ao.ID) bool {
			asked.Add(1)
			return owns.Load()
		}
	}
	sender, targets := w.spawnMany(2, 20)
	m := w.open()
	defer m.Close()
	w.eventually("it has looked at the outbox", func() bool { return asked.Load() > 0 })
	if got := w.data(targets[0]); len(got) != 0 {
		t.Errorf("a stranger delivered %v for %s", got, sender)
	}
	owns.Store(true)
	m.Wake()
	for _, target := range targets {
		w.eventually("all is delivered", func() bool { return len(w.data(target)) == 20 })
		if diff := cmp.Diff(numbers(20), w.data(target)); diff != "" {
			t.Errorf("order at %s (-want +got):\n%s", target, diff)
		}
	}
}

// TestALostLeadStopsDelivery: an owner that is one no more leaves the rest to
// the next, and takes it up again if it comes back.
func TestALostLeadStopsDelivery(t *testing.T) {
	w := newWorld(t)
	var left atomic.Int64
	left.Store(5)
	w.change = func(o *Options) {
		// Ownership is asked twice before each attempt.
		o.Owns = func(ao.ID) bool { return left.Add(-1) >= 0 }
	}
	_, targets := w.spawnMany(1, 30)
	m := w.open()
	defer m.Close()
	w.eventually("it has asked often enough", func() bool { return left.Load() < 0 })
	if got := len(w.data(targets[0])); got >= 30 {
		t.Errorf("%d messages were delivered without the lead", got)
	}
	left.Store(1 << 40)
	m.Wake()
	w.eventually("the rest is delivered", func() bool { return len(w.data(targets[0])) == 30 })
	if diff := cmp.Diff(numbers(30), w.data(targets[0])); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

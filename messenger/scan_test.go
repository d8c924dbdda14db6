package messenger

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// lists gives how often messengers have gone through the whole outbox.
func (o *memoryOutbox) lists() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.listed
}

// TestNewEffectsNeedNoList: what comes while a messenger is idle is delivered
// without a look at all that is pending.
func TestNewEffectsNeedNoList(t *testing.T) {
	w := newWorld(t)
	sender, targets := w.spawnMany(1, 0)
	m := w.open()
	defer m.Close()
	w.eventually("it has listed the outbox", func() bool { return w.outbox.lists() == 1 })
	for n := range 50 {
		w.outbox.put(t, sender, uint64(n+1), engine.EffectMessage, message(targets[0], n+1, fmt.Sprint(n)))
		w.eventually("it is delivered", func() bool { return len(w.items(targets[0])) == n+1 })
	}
	if lists := w.outbox.lists(); lists != 1 {
		t.Errorf("the outbox was listed %d times", lists)
	}
	if diff := cmp.Diff(numbers(50), w.data(targets[0])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestWhatWasLeftOutComesFirst: effects that were left to another messenger are
// not overtaken by later ones when their process becomes this one's.
func TestWhatWasLeftOutComesFirst(t *testing.T) {
	w := newWorld(t)
	var owns atomic.Bool
	w.change = func(o *Options) { o.Owns = func(ao.ID) bool { return owns.Load() } }
	sender, targets := w.spawnMany(1, 10)
	m := w.open()
	defer m.Close()
	w.eventually("it has listed the outbox", func() bool { return w.outbox.lists() > 0 })
	owns.Store(true)
	for n := 10; n < 20; n++ {
		w.outbox.put(t, sender, uint64(n+1), engine.EffectMessage, message(targets[0], n+1, fmt.Sprint(n)))
	}
	w.eventually("all is delivered", func() bool { return len(w.items(targets[0])) == 20 })
	if diff := cmp.Diff(numbers(20), w.data(targets[0])); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

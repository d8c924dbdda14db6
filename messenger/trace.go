package messenger

import (
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// Hop is one attempt to deliver an effect.
type Hop struct {
	Effect    engine.EffectKey
	Kind      engine.EffectKind
	Root      ao.ID
	Delivered []ao.ID
	TimeMS    int64
	Error     string
}

// trace remembers the newest hops.
type trace struct {
	max int
	mu  struct {
		sync.Mutex
		hops []Hop
		next int
	}
}

func (t *trace) add(now time.Time, effect engine.Effect, failure error) {
	hop := Hop{Effect: effect.Key(), Kind: effect.Kind, Root: effect.Root, Delivered: effect.Delivered, TimeMS: now.UnixMilli()}
	if failure != nil {
		hop.Error = failure.Error()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.mu.hops) < t.max {
		t.mu.hops = append(t.mu.hops, hop)
		return
	}
	t.mu.hops[t.mu.next] = hop
	t.mu.next = (t.mu.next + 1) % t.max
}

// Trace lists the remembered hops of a process's effects, oldest first.
func (m *Messenger) Trace(process ao.ID) []Hop {
	t := &m.trace
	t.mu.Lock()
	defer t.mu.Unlock()
	var hops []Hop
	for i := range t.mu.hops {
		if hop := t.mu.hops[(t.mu.next+i)%len(t.mu.hops)]; hop.Effect.Process == process {
			hops = append(hops, hop)
		}
	}
	return hops
}

package messenger

import (
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// breaker stops loops: it counts what each message of a user causes, and how fast
// one process sends to another for it. Its memory is bounded and ends with the
// messenger; that a cascade is parked stands in the outbox.
type breaker struct {
	hopsMax int // negative: no bound
	rateMax int // deliveries of a pair in a minute; negative: no bound

	mu    sync.Mutex
	hops  recent[ao.ID, int]
	pairs recent[pair, window]
}

// pair is who sends to whom within a cascade. A spawn has no target.
type pair struct{ cascade, sender, target ao.ID }

// The most roots and pairs that are counted; what was counted longest ago is
// forgotten first.
const (
	rootsMax = 1 << 15
	pairsMax = 1 << 15
)

func newBreaker(hopsMax, rateMax int) *breaker {
	return &breaker{hopsMax: hopsMax, rateMax: rateMax, hops: recent[ao.ID, int]{max: rootsMax}, pairs: recent[pair, window]{max: pairsMax}}
}

// admit counts one more delivery, or says why the cascade must not go on.
func (b *breaker) admit(effect engine.Effect, target ao.ID, now time.Time) (reason string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	cascade := effect.Cascade()
	// Nothing that anybody sends makes a tick: a tick is no loop, and many at once
	// are a process that catches up.
	if effect.Tick > 0 {
		return ""
	}
	// What has no root, such as an answer to a cron, goes on for ever: there is no
	// end of it to wait for, only its rate.
	if !effect.Root.IsZero() && b.hopsMax >= 0 {
		hops := b.hops.get(cascade)
		if hops >= b.hopsMax {
			return fmt.Sprintf("%d deliveries, the most that message %s may cause (hops-max)", hops, cascade)
		}
		b.hops.set(cascade, hops+1)
	}
	if b.rateMax >= 0 {
		between := pair{cascade, effect.Process, target}
		sent := b.pairs.get(between).at(now)
		if sent.estimate(now) >= b.rateMax {
			return fmt.Sprintf("more than %d messages a minute from process %s to %s (pair-rate-max)", b.rateMax, effect.Process, describeTarget(target))
		}
		sent.count++
		b.pairs.set(between, sent)
	}
	return ""
}

func describeTarget(target ao.ID) string {
	if target.IsZero() {
		return "new processes"
	}
	return target.String()
}

// forget gives a cascade a fresh budget, or all with the zero id.
func (b *breaker) forget(cascade ao.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hops.forget(func(id ao.ID) bool { return cascade.IsZero() || id == cascade })
	b.pairs.forget(func(p pair) bool { return cascade.IsZero() || p.cascade == cascade })
}

// park puts an effect aside whose cascade is parked, or has just gone too far.
func (m *Messenger) park(effect *engine.Effect, id lane) (parked bool, err error) {
	reason := m.options.Outbox.Parked(effect.Cascade())
	if reason == "" && effect.Attempts == 0 {
		target, _ := ao.ParseID(id.target) // a spawn has none
		if reason = m.breaker.admit(*effect, target, m.options.Now()); reason != "" {
			m.options.Logger.Warn().Stringer("cascade", effect.Cascade()).Str("reason", reason).
				Msg("a cascade is parked: see wallaby outbox parked")
		}
	}
	if reason == "" {
		return false, nil
	}
	m.counters.parked.Add(1)
	effect.Parked = reason
	return true, m.options.Outbox.Update(*effect)
}

// Resume gives a cascade a fresh budget, or all with the zero id. change makes its
// effects pending again. Nothing is delivered meanwhile, and all is loaded anew, so
// that they go before what the same process has sent since.
func (m *Messenger) Resume(cascade ao.ID, change func() error) error {
	m.life.Lock()
	defer m.life.Unlock()
	if m.closed {
		return ao.Errorf(ao.CodeUnavailable, "the node is stopping: ask again when it is back")
	}
	m.stop()
	defer m.start()
	m.breaker.forget(cascade)
	return change()
}

// window counts within a minute of the clock, and remembers the one before.
type window struct {
	minute        int64
	count, before int
}

const minuteMS = int64(time.Minute / time.Millisecond)

// at gives the window as it is at a time.
func (w window) at(now time.Time) window {
	switch minute := now.UnixMilli() / minuteMS; minute - w.minute {
	case 0:
		return w
	case 1:
		return window{minute: minute, before: w.count}
	default:
		return window{minute: minute}
	}
}

// estimate is how many there were in the last 60 seconds, if those of the minute
// before were spread evenly.
func (w window) estimate(now time.Time) int {
	left := minuteMS - now.UnixMilli()%minuteMS
	return w.count + int(int64(w.before)*left/minuteMS)
}

// recent remembers what was set last: max keys at least, twice as many at most.
type recent[K comparable, V any] struct {
	max        int
	young, old map[K]V
}

func (r *recent[K, V]) get(key K) V {
	if value, ok := r.young[key]; ok {
		return value
	}
	return r.old[key]
}

func (r *recent[K, V]) set(key K, value V) {
	if r.young == nil || len(r.young) >= r.max {
		r.young, r.old = map[K]V{}, r.young
	}
	r.young[key] = value
}

func (r *recent[K, V]) forget(which func(K) bool) {
	for _, m := range []map[K]V{r.young, r.old} {
		maps.DeleteFunc(m, func(key K, _ V) bool { return which(key) })
	}
}

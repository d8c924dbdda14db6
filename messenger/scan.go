package messenger

import (
	"context"
	"time"

	"github.com/wallaby-ao/wallaby/engine"
)

// lookInterval is how long an effect is in no lane at most if nobody says that
// it could be loaded.
const lookInterval = time.Second

// load brings pending effects into their lanes whenever there are new ones or
// there is room again.
func (m *Messenger) load(ctx context.Context) {
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		if err := m.bring(ctx); err != nil && ctx.Err() == nil {
			m.options.Fatal(err)
			return
		}
		select {
		case <-m.options.Outbox.Changed():
		case <-m.mu.freed:
		case <-ticker.C:
			if len(m.strangers) > 0 || m.isDue() {
				m.fallBehind()
			}
		case <-ctx.Done():
			return
		}
	}
}

// bring takes what is new, and goes through the whole outbox if that may hold
// more than the lanes do.
func (m *Messenger) bring(ctx context.Context) error {
	behind := m.beginPage(false)
	effects, all, err := m.options.Outbox.News()
	if err != nil {
		return err
	}
	if behind || !all {
		return m.scan(ctx)
	}
	for _, effect := range effects {
		if !m.consider(ctx, effect) {
			return nil
		}
	}
	return nil
}

// scanPage is how many effects are read at once.
const scanPage = 512

// scan goes through the outbox in key order, which is delivery order, and takes
// what is not in a lane yet.
func (m *Messenger) scan(ctx context.Context) error {
	clear(m.strangers)
	var after engine.EffectKey
	for first := true; ; first = false {
		m.beginPage(first)
		page, err := m.options.Outbox.Pending(ctx, after, scanPage)
		if err != nil {
			return err
		}
		for _, effect := range page {
			if !m.consider(ctx, effect) {
				return nil
			}
			after = effect.Key()
		}
		if len(page) < scanPage {
			return nil
		}
	}
}

// consider takes an effect if it is to be delivered here and now; false when there
// is no room, or a scan must come first. Once an effect of a lane was left to
// another messenger, later ones are too until the next scan: to leave one effect
// and take the next would turn them round.
func (m *Messenger) consider(ctx context.Context, effect engine.Effect) bool {
	id := laneOf(effect)
	switch {
	case m.strangers[id] || !m.owns(effect):
		m.strangers[id] = true
		return true
	case m.postponed(effect):
		m.dueAt(effect.NextMS)
		return true
	}
	return m.take(ctx, effect, id)
}

// dueAt has a scan come by at a time at which something that was left is due.
func (m *Messenger) dueAt(ms int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.mu.dueMS == 0 || ms < m.mu.dueMS {
		m.mu.dueMS = ms
	}
}

func (m *Messenger) isDue() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mu.dueMS != 0 && m.mu.dueMS <= m.options.Now().UnixMilli()
}

// beginPage comes before effects are read, and reports whether some may be in no
// lane. The first page of a scan changes that.
func (m *Messenger) beginPage(first bool) (behind bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.passed = map[engine.EffectKey]bool{}
	if first {
		m.mu.behind, m.mu.abandoned = false, false
		m.mu.left, m.mu.dueMS = map[lane]bool{}, 0
	}
	return m.mu.behind
}

// take puts an effect into its lane and starts the lane if it was empty; false
// when there is no room, or a scan must come first. What belongs behind an effect
// that is tried again stays in the outbox.
func (m *Messenger) take(ctx context.Context, effect engine.Effect, id lane) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := effect.Key()
	if m.mu.loaded[key] || m.mu.passed[key] {
		return true
	}
	if m.mu.stuck[id] || m.mu.left[id] {
		m.mu.left[id] = true
		return true
	}
	if m.mu.abandoned || len(m.mu.loaded) >= m.options.LoadedMax {
		m.mu.behind = true
		return false
	}
	m.mu.loaded[key] = true
	if effect.Attempts > 0 {
		m.mu.stuck[id] = true
	}
	m.mu.lanes[id] = append(m.mu.lanes[id], effect)
	if len(m.mu.lanes[id]) == 1 {
		m.wait.Go(func() { m.run(ctx, id) })
	}
	return true
}

// roomShare is what part of LoadedMax must be free before a scan looks for more:
// one for each place that becomes free would cost more than the deliveries do.
const roomShare = 8

// hasRoom reports whether a scan would find something to load; mu is held.
func (m *Messenger) hasRoom() bool {
	return m.mu.behind && m.options.LoadedMax-len(m.mu.loaded) >= m.options.LoadedMax/roomShare
}

// fallBehind has the next look be a scan.
func (m *Messenger) fallBehind() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.behind = true
}

// look has the loader come by.
func (m *Messenger) look() {
	select {
	case m.mu.freed <- struct{}{}:
	default:
	}
}

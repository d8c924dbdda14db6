package messenger

import (
	"context"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// load brings pending effects into their lanes whenever there are new ones or
// there is room again.
func (m *Messenger) load(ctx context.Context) {
	for {
		if err := m.scan(ctx); err != nil && ctx.Err() == nil {
			m.options.Fatal(err)
			return
		}
		select {
		case <-m.options.Outbox.Changed():
		case <-m.mu.freed:
		case <-ctx.Done():
			return
		}
	}
}

// scanPage is how many effects are read at once.
const scanPage = 512

// scan goes through the outbox in key order, which is delivery order, and takes
// what is not in a lane yet. Whether it owns a process it decides once: to leave
// one effect and take the next would turn them round.
func (m *Messenger) scan(ctx context.Context) error {
	owns := map[ao.ID]bool{}
	var after engine.EffectKey
	for first := true; ; first = false {
		m.beginPage(first)
		page, err := m.options.Outbox.Pending(ctx, after, scanPage)
		if err != nil {
			return err
		}
		for _, effect := range page {
			mine, decided := owns[effect.Process]
			if !decided {
				mine = m.options.Owns(effect.Process)
				owns[effect.Process] = mine
			}
			if mine && !m.take(ctx, effect) {
				return nil
			}
			after = effect.Key()
		}
		if len(page) < scanPage {
			return nil
		}
	}
}

func (m *Messenger) beginPage(first bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.passed = map[engine.EffectKey]bool{}
	if first {
		m.mu.abandoned = false
	}
}

// take puts an effect into its lane and starts the lane if it was empty; false
// when there is no room, or another scan must come first.
func (m *Messenger) take(ctx context.Context, effect engine.Effect) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := effect.Key()
	if m.mu.loaded[key] || m.mu.passed[key] {
		return true
	}
	if m.mu.abandoned || len(m.mu.loaded) >= m.options.LoadedMax {
		return false
	}
	m.mu.loaded[key] = true
	id := laneOf(effect)
	m.mu.lanes[id] = append(m.mu.lanes[id], effect)
	if len(m.mu.lanes[id]) == 1 {
		m.wait.Go(func() { m.run(ctx, id) })
	}
	return true
}

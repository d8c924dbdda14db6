package messenger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Outbox is where effects come from and where their fate is noted.
type Outbox interface {
	Pending(ctx context.Context, after engine.EffectKey, limit int) ([]engine.Effect, error)
	Update(effect engine.Effect) error
	Complete(effect engine.Effect) error
	Changed() <-chan struct{}
}

// Uploader takes items for targets that are no processes, such as wallets.
type Uploader interface {
	PutItem(ctx context.Context, item *dataitem.Item) (stored bool, err error)
}

// Directory knows what an id names when this node's log does not.
type Directory interface {
	// IsProcess reports whether the id is a process of some other scheduler.
	IsProcess(ctx context.Context, id ao.ID) (bool, error)
}

// Options says what a messenger works on.
type Options struct {
	Outbox Outbox
	Log    aolog.Log
	// Owns reports whether this messenger delivers what a process sends; nil: it
	// does for all. What it does not own stays in the outbox.
	Owns      func(process ao.ID) bool
	Signer    dataitem.Signer // the authority that processes trust
	Voice     Voice           // this messenger's own say; nil: it has none
	Uploader  Uploader
	Directory Directory
	// Weave knows what can be assigned and how deep it lies.
	Weave  aolog.Weave
	Now    func() time.Time // default time.Now
	Logger zerolog.Logger
	// Workers is how many deliveries run at once; default 32.
	Workers int
	// LoadedMax is how many effects are in memory at once; default 4096.
	LoadedMax int
	// RetryBaseMS is the wait after the first failure, doubled each time;
	// default 1000. RetryMaxMS bounds it; default 60,000.
	RetryBaseMS, RetryMaxMS int64
	// AttemptsMax is after how many failures an effect is given up; default 12.
	AttemptsMax int
	// TraceMax is how many deliveries are remembered; default 10,000.
	TraceMax int
	// Fatal is told when the outbox cannot be read or written.
	Fatal func(error)
}

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Fatal == nil {
		o.Fatal = func(error) {}
	}
	if o.Owns == nil {
		o.Owns = func(ao.ID) bool { return true }
	}
	for value, standard := range map[*int]int{&o.Workers: 32, &o.LoadedMax: 4096, &o.AttemptsMax: 12, &o.TraceMax: 10_000} {
		if *value == 0 {
			*value = standard
		}
	}
	if o.RetryBaseMS == 0 {
		o.RetryBaseMS = 1000
	}
	if o.RetryMaxMS == 0 {
		o.RetryMaxMS = 60_000
	}
	return o
}

// Messenger delivers effects until it is closed.
type Messenger struct {
	options Options
	cancel  context.CancelFunc
	wait    sync.WaitGroup
	slots   chan struct{}
	trace   trace

	mu struct {
		sync.Mutex
		lanes  map[lane][]engine.Effect
		loaded map[engine.EffectKey]bool
		// freed is signalled when there is room for more effects.
		freed chan struct{}
	}
}

// lane keeps order: effects of one sender for one target go one by one.
type lane struct {
	sender ao.ID
	target string
}

// Open starts delivering.
func Open(options Options) *Messenger {
	m := &Messenger{options: options.withDefaults()}
	m.slots = make(chan struct{}, m.options.Workers)
	m.trace.max = m.options.TraceMax
	m.mu.lanes = map[lane][]engine.Effect{}
	m.mu.loaded = map[engine.EffectKey]bool{}
	m.mu.freed = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.wait.Go(func() { m.load(ctx) })
	return m
}

// Close stops after the deliveries in hand; what is left stays in the outbox.
func (m *Messenger) Close() error {
	m.cancel()
	m.wait.Wait()
	return nil
}

// load brings pending effects into their lanes whenever there are new ones or
// there is room again.
func (m *Messenger) load(ctx context.Context) {
	for {
		postponed, err := m.scan(ctx)
		if err != nil && ctx.Err() == nil {
			m.options.Fatal(err)
			return
		}
		var later <-chan time.Time
		if postponed {
			later = time.After(time.Duration(m.options.RetryMaxMS) * time.Millisecond)
		}
		select {
		case <-later:
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
// what is not in a lane yet. It reports whether it left anything for later.
func (m *Messenger) scan(ctx context.Context) (postponed bool, err error) {
	var after engine.EffectKey
	for {
		page, err := m.options.Outbox.Pending(ctx, after, scanPage)
		if err != nil {
			return postponed, err
		}
		for _, effect := range page {
			after = effect.Key()
			if !m.owns(effect) {
				continue
			}
			if m.postponed(effect) {
				postponed = true
			} else if !m.take(ctx, effect) {
				return postponed, nil
			}
		}
		if len(page) < scanPage {
			return postponed, nil
		}
	}
}

// take puts an effect into its lane and starts the lane if it was empty; false
// when there is no room.
func (m *Messenger) take(ctx context.Context, effect engine.Effect) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := effect.Key()
	if m.mu.loaded[key] {
		return true
	}
	if len(m.mu.loaded) >= m.options.LoadedMax {
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

func laneOf(effect engine.Effect) lane {
	switch effect.Kind {
	case engine.EffectSpawn:
		return lane{effect.Process, "spawn"}
	case engine.EffectAssign:
		a, err := parseAssignment(effect)
		switch {
		case err != nil:
			return lane{effect.Process, ""}
		case a.baseLayer():
			// It may have to wait for blocks, and nothing with it.
			return lane{effect.Process, effect.Key().String()}
		}
		return lane{effect.Process, a.Processes[0]}
	}
	b, _, err := parseBody(effect)
	if err != nil {
		return lane{effect.Process, ""}
	}
	return lane{effect.Process, b.Target}
}

// run delivers a lane's effects in order until it is empty.
func (m *Messenger) run(ctx context.Context, id lane) {
	for {
		m.mu.Lock()
		effect := m.mu.lanes[id][0]
		m.mu.Unlock()
		if !m.owns(effect) {
			m.abandon(id)
			return
		}
		switch m.settle(ctx, effect) {
		case closing:
			return
		case disowned:
			m.abandon(id)
			return
		}
		m.mu.Lock()
		delete(m.mu.loaded, effect.Key())
		rest := m.mu.lanes[id][1:]
		m.mu.lanes[id] = rest
		if len(rest) == 0 {
			delete(m.mu.lanes, id)
		}
		m.mu.Unlock()
		select {
		case m.mu.freed <- struct{}{}:
		default:
		}
		if len(rest) == 0 {
			return
		}
	}
}

// abandon empties a lane whose effects another messenger delivers now. They
// stay in the outbox, to be taken up again if that changes, or at once if it is so
// for some only.
func (m *Messenger) abandon(id lane) {
	defer m.Wake()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, effect := range m.mu.lanes[id] {
		delete(m.mu.loaded, effect.Key())
	}
	delete(m.mu.lanes, id)
}

// Wake has the messenger look for effects that it owns now.
func (m *Messenger) Wake() {
	select {
	case m.mu.freed <- struct{}{}:
	default:
	}
}

// fate is what became of trying to deliver an effect.
type fate int

const (
	settled  fate = iota // delivered, or given up
	disowned             // another messenger delivers it
	closing
)

// settle tries an effect until it is delivered or given up.
func (m *Messenger) settle(ctx context.Context, effect engine.Effect) fate {
	for {
		if !m.sleepUntil(ctx, effect.NextMS) {
			return closing
		}
		if !m.owns(effect) {
			return disowned
		}
		select {
		case m.slots <- struct{}{}:
		case <-ctx.Done():
			return closing
		}
		delivered, err := m.deliver(ctx, effect)
		<-m.slots
		if ctx.Err() != nil {
			return closing
		}
		effect.Delivered = delivered
		m.trace.add(m.options.Now(), effect, err)
		done, err := m.note(&effect, err)
		if err != nil {
			m.options.Fatal(err)
			return closing
		}
		if done {
			return settled
		}
	}
}

// note writes an attempt's outcome to the outbox; done says that there is nothing
// more to do about the effect for now.
func (m *Messenger) note(effect *engine.Effect, failure error) (done bool, err error) {
	if failure == nil {
		effect.Error = ""
		return true, m.options.Outbox.Complete(*effect)
	}
	if isNotSettled(failure) {
		return true, m.postpone(effect, failure)
	}
	effect.Attempts++
	effect.Error = failure.Error()
	effect.Dead = isPermanent(failure) || effect.Attempts >= m.options.AttemptsMax
	wait := m.options.RetryMaxMS
	if shift := effect.Attempts - 1; shift < 16 {
		wait = min(wait, m.options.RetryBaseMS<<shift)
	}
	effect.NextMS = m.options.Now().UnixMilli() + wait
	if effect.Dead {
		m.options.Logger.Warn().Str("process", effect.Process.String()).Uint64("nonce", effect.Nonce).
			Uint32("index", effect.Index).Str("reason", effect.Error).Msg("an effect cannot be delivered")
	}
	return effect.Dead, m.options.Outbox.Update(*effect)
}

// isPermanent reports whether trying again cannot help.
func isPermanent(err error) bool {
	if errors.Is(err, aolog.ErrNotThere) {
		return false
	}
	switch ao.CodeOf(err) {
	case ao.CodeInvalid, ao.CodeNotFound, ao.CodeTooLarge, ao.CodeUnprocessable, ao.CodeUnauthorized, ao.CodeConflict:
		return true
	}
	return errors.Is(err, dataitem.ErrTags) || errors.Is(err, dataitem.ErrFormat)
}

func (m *Messenger) sleepUntil(ctx context.Context, ms int64) bool {
	wait := ms - m.options.Now().UnixMilli()
	if ms == 0 || wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(time.Duration(wait) * time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

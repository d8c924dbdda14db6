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
	// News gives the pending effects of results that came since it was last asked;
	// unless all is true there may be more, which Pending lists.
	News() (effects []engine.Effect, all bool, err error)
	Update(effect engine.Effect) error
	Complete(effect engine.Effect) error
	// Parked says why a cascade is parked, "" when it is not.
	Parked(cascade ao.ID) (reason string)
	Changed() <-chan struct{}
}

// Uploader takes items for targets that are no processes, such as wallets.
type Uploader interface {
	PutItem(ctx context.Context, item *dataitem.Item) (stored bool, err error)
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
	Node   string           // noted with what it has tried; "" when it is alone
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
	// AbroadAttemptsMax is the same where others have to be there, such as another
	// scheduler; default 1500, which is about a day.
	AbroadAttemptsMax int
	// HopsMax is how many deliveries one message of a user may cause here before the
	// rest is parked; default DefaultHopsMax, negative: no bound.
	HopsMax int
	// PairRateMax is how often in a minute one process may send to another for one
	// such message, or of its own accord; default DefaultPairRateMax, negative: no
	// bound.
	PairRateMax int
	// Fatal is told when the outbox cannot be read or written.
	Fatal func(error)
}

// The bounds of the loop breaker.
const (
	DefaultHopsMax     = 10_000
	DefaultPairRateMax = 6_000
)

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
	for value, standard := range map[*int]int{
		&o.Workers: 32, &o.LoadedMax: 4096, &o.AttemptsMax: 12, &o.AbroadAttemptsMax: 1500, &o.HopsMax: DefaultHopsMax, &o.PairRateMax: DefaultPairRateMax,
	} {
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
	options  Options
	slots    chan struct{}
	breaker  *breaker
	counters counters

	// life is held while delivering begins or ends.
	life   sync.Mutex
	closed bool
	cancel context.CancelFunc
	wait   sync.WaitGroup

	mu struct {
		sync.Mutex
		lanes  map[lane][]engine.Effect
		loaded map[engine.EffectKey]bool
		// passed has what left its lane since effects were read that still show it
		// as pending.
		passed map[engine.EffectKey]bool
		// behind says that effects that are delivered here may be in no lane.
		behind bool
		// abandoned says that a lane was emptied since the last scan began: what
		// comes later may not go into it ahead of that.
		abandoned bool
		// stuck are lanes whose first effect has failed and is tried again: they
		// hold no other, so that a target that does not answer leaves room.
		stuck map[lane]bool
		// left are lanes of which effects were left in the outbox since the last scan
		// began: what comes later may not go into them ahead of those.
		left map[lane]bool
		// dueMS is when something is due that was left in the outbox until its time;
		// 0: nothing is.
		dueMS int64
		// freed is signalled when the loader should look.
		freed chan struct{}
	}
	// strangers are lanes of which effects were left out since the last scan began,
	// because they are delivered elsewhere. They are the loader's own.
	strangers map[lane]bool
}

// lane keeps order: effects of one sender for one target go one by one.
type lane struct {
	sender ao.ID
	target string
}

// Open starts delivering.
func Open(options Options) *Messenger {
	m := newMessenger(options)
	m.start()
	return m
}

func newMessenger(options Options) *Messenger {
	m := &Messenger{options: options.withDefaults()}
	m.slots = make(chan struct{}, m.options.Workers)
	m.breaker = newBreaker(m.options.HopsMax, m.options.PairRateMax)
	m.mu.freed = make(chan struct{}, 1)
	return m
}

func (m *Messenger) start() {
	m.mu.lanes = map[lane][]engine.Effect{}
	m.mu.loaded = map[engine.EffectKey]bool{}
	m.mu.passed = map[engine.EffectKey]bool{}
	m.mu.behind = true
	m.mu.stuck, m.mu.left = map[lane]bool{}, map[lane]bool{}
	m.strangers = map[lane]bool{}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	m.wait.Go(func() { m.load(ctx) })
}

func (m *Messenger) stop() {
	m.cancel()
	m.wait.Wait()
}

// Close stops after the deliveries in hand; what is left stays in the outbox.
func (m *Messenger) Close() error {
	m.life.Lock()
	defer m.life.Unlock()
	m.closed = true
	m.stop()
	return nil
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
		switch m.settle(ctx, effect, id) {
		case closing:
			return
		case disowned:
			m.abandon(id)
			return
		}
		m.mu.Lock()
		delete(m.mu.loaded, effect.Key())
		m.mu.passed[effect.Key()] = true
		m.unstick(id)
		rest := m.mu.lanes[id][1:]
		m.mu.lanes[id] = rest
		if len(rest) == 0 {
			delete(m.mu.lanes, id)
		}
		room := m.hasRoom()
		m.mu.Unlock()
		if room {
			m.look()
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
	m.mu.Lock()
	for _, effect := range m.mu.lanes[id] {
		delete(m.mu.loaded, effect.Key())
	}
	delete(m.mu.lanes, id)
	delete(m.mu.stuck, id)
	m.mu.abandoned = true
	m.mu.Unlock()
	m.Wake()
}

// Wake has the messenger look for effects that it owns now.
func (m *Messenger) Wake() {
	m.fallBehind()
	m.look()
}

// fate is what became of trying to deliver an effect.
type fate int

const (
	settled  fate = iota // delivered, parked or given up
	disowned             // another messenger delivers it
	closing
)

// settle tries an effect until it is delivered, parked or given up.
func (m *Messenger) settle(ctx context.Context, effect engine.Effect, id lane) fate {
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
		parked, err := m.park(&effect, id)
		if parked {
			<-m.slots
			if err != nil {
				m.options.Fatal(err)
				return closing
			}
			return settled
		}
		if effect.Attempts > 0 {
			m.counters.retries.Add(1)
		}
		effect.Delivered, err = m.deliver(ctx, effect)
		<-m.slots
		if ctx.Err() != nil {
			return closing
		}
		done, err := m.note(&effect, err)
		if err != nil {
			m.options.Fatal(err)
			return closing
		}
		if done {
			return settled
		}
		m.unload(id)
	}
}

// note writes an attempt's outcome to the outbox; done says that there is nothing
// more to do about the effect for now.
func (m *Messenger) note(effect *engine.Effect, failure error) (done bool, err error) {
	effect.TimeMS, effect.Node = m.options.Now().UnixMilli(), m.options.Node
	if isNotSettled(failure) {
		return true, m.postpone(effect, failure)
	}
	effect.Attempts++
	if failure == nil {
		effect.Error = ""
		m.counters.delivered.Add(1)
		return true, m.options.Outbox.Complete(*effect)
	}
	effect.Error = failure.Error()
	attemptsMax, askedMS := m.patience(failure)
	effect.Dead = isPermanent(failure) || effect.Attempts >= attemptsMax
	wait := m.options.RetryMaxMS
	if shift := effect.Attempts - 1; shift < 16 {
		wait = min(wait, m.options.RetryBaseMS<<shift)
	}
	effect.NextMS = effect.TimeMS + max(wait, askedMS)
	if effect.Dead {
		effect.NextMS = 0
		m.counters.dead.Add(1)
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

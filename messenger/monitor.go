package messenger

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Clockwork evaluates processes as time passes.
type Clockwork interface {
	PassTime(ctx context.Context, process ao.ID, untilMS int64) error
	Crons(ctx context.Context, process ao.ID, behindMS, nextMS int64) (engine.Crons, error)
	Ahead(ctx context.Context, process ao.ID, count uint64, untilMS int64) (timeMS int64, any bool, err error)
}

// MonitorOptions says what a monitor works on.
type MonitorOptions struct {
	Log    aolog.Log
	Engine Clockwork
	// Owns reports whether this monitor has the time of a process promised; nil: it
	// does for all. The time of others is evaluated as far as it is promised.
	Owns   func(process ao.ID) bool
	Now    func() time.Time // default time.Now
	Logger zerolog.Logger
	// Workers is how many processes are driven at once; default 16.
	Workers int
	// AheadMax is how many ticks are promised before they are evaluated; default
	// 5,000. What is promised cannot be left out.
	AheadMax uint64
	// RefreshMS is how old the list of watched processes may be; default 2,000.
	RefreshMS int64
}

func (o MonitorOptions) withDefaults() MonitorOptions {
	if o.Owns == nil {
		o.Owns = func(ao.ID) bool { return true }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Workers == 0 {
		o.Workers = 16
	}
	if o.AheadMax == 0 {
		o.AheadMax = 5000
	}
	if o.RefreshMS == 0 {
		o.RefreshMS = 2000
	}
	return o
}

// Monitor drives the crons of watched processes: it sleeps until the next tick of any
// of them is due, has the scheduler promise that its time has come, and has it
// evaluated. What ticks send goes to the outbox as everything else does.
type Monitor struct {
	options MonitorOptions
	cancel  context.CancelFunc
	wait    sync.WaitGroup
	wake    chan struct{}
	jobs    chan ao.ID
	results chan driven

	mu       sync.Mutex
	catching map[ao.ID]catching
}

// catching is what a monitor tells of a process that is far behind.
type catching struct {
	of          uint64 // ticks that were behind in the beginning
	begun, told time.Time
}

// driven is a process that was driven and when it is to be driven again.
type driven struct {
	process ao.ID
	dueMS   int64
}

// OpenMonitor starts driving.
func OpenMonitor(options MonitorOptions) *Monitor {
	m := &Monitor{
		options: options.withDefaults(), wake: make(chan struct{}, 1),
		jobs: make(chan ao.ID), results: make(chan driven), catching: map[ao.ID]catching{},
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.cancel = cancel
	for range m.options.Workers {
		m.wait.Go(func() { m.work(ctx) })
	}
	m.wait.Go(func() { m.run(ctx) })
	return m
}

// Close stops it. What was promised is evaluated when somebody asks, or by the next
// monitor.
func (m *Monitor) Close() error {
	m.cancel()
	m.wait.Wait()
	return nil
}

// Wake has the monitor look who is watched.
func (m *Monitor) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// run hands due processes to workers.
func (m *Monitor) run(ctx context.Context) {
	w := watched{known: map[ao.ID]*watchedProcess{}}
	refreshMS := int64(math.MinInt64)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := m.options.Now().UnixMilli()
		if now >= refreshMS {
			refreshMS = now + m.options.RefreshMS
			if err := m.refresh(ctx, &w, now); err != nil && ctx.Err() == nil {
				m.options.Logger.Error().Err(err).Msg("list processes whose crons are driven")
			}
		}
		process, dueMS, any := w.first()
		jobs := m.jobs
		if !any || dueMS > now {
			jobs = nil
		}
		wakeMS := refreshMS
		if any && dueMS > now {
			wakeMS = min(wakeMS, dueMS)
		}
		timer.Reset(time.Duration(wakeMS-now) * time.Millisecond)
		select {
		case jobs <- process:
			w.take()
		case result := <-m.results:
			w.put(result)
		case <-m.wake:
			refreshMS = math.MinInt64
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

// watchedPage is how many watched processes are listed at once.
const watchedPage = 512

// refresh takes up processes that are watched and not known, and drops the others.
func (m *Monitor) refresh(ctx context.Context, w *watched, now int64) error {
	listed := map[ao.ID]bool{}
	for after := (ao.ID{}); ; {
		page, err := m.options.Log.Watched(ctx, after, watchedPage)
		if err != nil {
			return err
		}
		for _, process := range page {
			after, listed[process] = process, true
		}
		if len(page) < watchedPage {
			break
		}
	}
	w.set(listed, now)
	return nil
}

func (m *Monitor) work(ctx context.Context) {
	for {
		select {
		case process := <-m.jobs:
			result := driven{process, m.drive(ctx, process)}
			select {
			case m.results <- result:
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

const (
	// cronHorizonMS is how far ahead the next tick is looked for.
	cronHorizonMS = 3_600_000
	// cronRetryMS is when a process is tried again that could not be driven.
	cronRetryMS = 5000
	// promiseLagMS is how long after a tick was due its promise is looked for by those
	// who do not give it, and how often.
	promiseLagMS = 250
)

// drive has a process's time pass, by one step, and says when it is due again.
func (m *Monitor) drive(ctx context.Context, process ao.ID) (dueMS int64) {
	now := m.options.Now().UnixMilli()
	owns := m.options.Owns(process)
	done := true
	var err error
	if owns {
		done, err = m.step(ctx, process, now)
	} else {
		err = m.options.Engine.PassTime(ctx, process, now)
	}
	var status engine.Crons
	if err == nil {
		status, err = m.tell(ctx, process, now)
	}
	switch {
	case err != nil:
		if ctx.Err() == nil {
			m.options.Logger.Debug().Err(err).Stringer("process", process).Msg("crons cannot be driven for now")
		}
		return now + cronRetryMS
	case status.NextMS == 0:
		return now + cronHorizonMS
	case !owns || done && status.NextMS < now:
		// Somebody else gives the promise, perhaps by a clock that is late.
		return max(status.NextMS, now) + promiseLagMS
	}
	return status.NextMS + 1
}

// tellEvery is how often somebody who reads the log sees how far a process is that
// catches up.
const tellEvery = 5 * time.Second

// tell gives how a process's crons stand, and says so in the log while they are
// behind for long.
func (m *Monitor) tell(ctx context.Context, process ao.ID, untilMS int64) (engine.Crons, error) {
	status, err := m.options.Engine.Crons(ctx, process, untilMS, untilMS+cronHorizonMS)
	if err != nil {
		return status, err
	}
	now := m.options.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	c, known := m.catching[process]
	switch {
	case status.Behind == 0:
		if c.told.After(c.begun) {
			m.options.Logger.Info().Stringer("process", process).Msg("caught up with crons")
		}
		delete(m.catching, process)
	case !known:
		m.catching[process] = catching{status.Behind, now, now}
	case now.Sub(c.told) >= tellEvery:
		done := c.of - min(status.Behind, c.of)
		perSecond := float64(done) / now.Sub(c.begun).Seconds()
		left := time.Duration(float64(status.Behind) / max(perSecond, 1) * float64(time.Second))
		m.options.Logger.Info().Stringer("process", process).Uint64("done", done).Uint64("of", c.of).
			Float64("perSecond", math.Round(perSecond)).Stringer("left", left.Round(time.Second)).Msg("catching up with crons")
		c.told = now
		m.catching[process] = c
	}
	return status, nil
}

// step has a stretch of time promised in which no more than AheadMax ticks are due,
// and has them evaluated. It reports whether that was all until a time. Where nothing
// is due nothing needs a promise.
func (m *Monitor) step(ctx context.Context, process ao.ID, untilMS int64) (done bool, err error) {
	head, err := m.options.Log.Head(ctx, process)
	if err != nil {
		return false, fmt.Errorf("head of process %s: %w", process, err)
	}
	// What is promised comes first, so that no more than one step is ever ahead.
	if err := m.options.Engine.PassTime(ctx, process, head.PromisedMS); err != nil {
		return false, err
	}
	aheadMS, any, err := m.options.Engine.Ahead(ctx, process, m.options.AheadMax, untilMS)
	if err != nil || !any {
		return !any, err
	}
	if _, err := m.options.Log.Promise(ctx, aolog.Promise{Process: process, UntilMS: aheadMS}); err != nil {
		return false, err
	}
	return aheadMS >= untilMS, m.options.Engine.PassTime(ctx, process, aheadMS)
}

// CatchUp evaluates a process up to now, or to an earlier time, watched or not. If ctx
// ends before, what is done is done, and the error says how much is left.
func (m *Monitor) CatchUp(ctx context.Context, process ao.ID, untilMS int64) error {
	untilMS = min(untilMS, m.options.Now().UnixMilli())
	for {
		done, err := m.step(ctx, process, untilMS)
		if ctx.Err() != nil {
			return m.unfinished(context.WithoutCancel(ctx), process, untilMS, err)
		}
		if done || err != nil {
			return err
		}
		if _, err := m.tell(ctx, process, untilMS); err != nil {
			return err
		}
	}
}

// unfinished says how much is left, if that is why a process is not where it should
// be.
func (m *Monitor) unfinished(ctx context.Context, process ao.ID, untilMS int64, cause error) error {
	status, err := m.options.Engine.Crons(ctx, process, untilMS, untilMS)
	if err != nil || status.Behind == 0 {
		return cause
	}
	return ao.Errorf(ao.CodeUnavailable,
		"process %s is catching up with its crons, and %d ticks are left: ask again later, or have them left out with wallaby cron skip", process, status.Behind)
}

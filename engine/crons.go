package engine

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// allTime is up to when the ticks of a process without crons are evaluated.
const allTime = math.MaxInt64

// newest is the goal of everything that has happened to a process.
func newest(head aolog.Head) goal { return goal{head.Nonce, head.PromisedMS} }

// PassTime evaluates a process up to its newest message and the ticks behind it
// that are due before a time, as far as that has been promised.
func (e *Engine) PassTime(ctx context.Context, process ao.ID, untilMS int64) error {
	head, err := e.head(ctx, process)
	if err != nil {
		return err
	}
	want := newest(head)
	want.untilMS = min(want.untilMS, untilMS)
	return e.table.await(ctx, process, want, want)
}

// passQuietly lets time pass for a process that has nothing to run: most of the
// time of a cron is that, and needs no instance.
func (e *Engine) passQuietly(p *process, evaluated reach, want goal) (quiet bool, err error) {
	if evaluated.next.message() <= want.nonce {
		return false, nil
	}
	crons, err := e.schedule(e.running, p.id)
	if err != nil {
		return false, err
	}
	timeMS := int64(allTime)
	if crons != nil {
		g, err := e.ticksFrom(e.running, crons, evaluated.next, want.untilMS)
		if err != nil {
			return false, err
		}
		if _, due, err := g.next(e.running, want.untilMS); err != nil || due {
			return false, err
		}
		timeMS = want.untilMS
	}
	e.table.advance(p, reach{evaluated.next, timeMS})
	return true, nil
}

// ticksFrom begins at a tick of a process's history; those before it are due before
// the given time, which has come.
func (e *Engine) ticksFrom(ctx context.Context, crons *schedule, from place, untilMS int64) (*ticks, error) {
	g, found := e.passed.get(crons.process, from)
	if !found {
		left, err := e.options.Log.Read(ctx, crons.process, from.nonce)
		if err != nil {
			return nil, fmt.Errorf("read process %s at nonce %d: %w", crons.process, from.nonce, err)
		}
		g = *crons.ticksBehind(left.Assignment, nil)
	}
	var err error
	if g.skips, err = e.options.Log.Skips(ctx, crons.process, from.nonce); err != nil {
		return nil, fmt.Errorf("time left out of process %s behind nonce %d: %w", crons.process, from.nonce, err)
	}
	if err := g.pass(ctx, untilMS, from.tick-1); err != nil {
		return nil, err
	}
	e.passed.keep(crons.process, from.nonce, g)
	return &g, nil
}

// passed remembers up to where ticks were counted behind messages, so that those who
// look for the next ticks of a process, again and again, need not begin at a message
// that may be a year old.
type passed struct {
	mu     sync.Mutex
	places map[ao.ID]passedTicks
}

type passedTicks struct {
	nonce uint64
	ticks ticks
}

// passedMax is how many processes have a place there.
const passedMax = 1024

func (c *passed) get(process ao.ID, from place) (ticks, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.places[process]
	return at.ticks, ok && at.nonce == from.nonce && at.ticks.number < from.tick
}

func (c *passed) keep(process ao.ID, nonce uint64, g ticks) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.places[process]; !ok && len(c.places) >= passedMax {
		for other := range c.places { // any one
			delete(c.places, other)
			break
		}
	}
	c.places[process] = passedTicks{nonce, g}
}

// passTime runs the ticks behind the newest message that are due before a time. It
// reports false when it has to stop before.
func (e *Engine) passTime(p *process, b *batch, untilMS int64) (done bool, err error) {
	l := p.live
	if l.crons == nil || l.next.tick == 0 || untilMS <= l.timeMS {
		return true, nil
	}
	if err := e.readyTicks(l, untilMS); err != nil {
		return false, err
	}
	watches, err := e.options.Log.Watches(e.running, p.id)
	if err != nil {
		return false, fmt.Errorf("watches of process %s: %w", p.id, err)
	}
	for e.running.Err() == nil && !l.broken && !e.options.Now().After(b.deadline) {
		t, due, err := l.ticks.next(e.running, untilMS)
		if err != nil {
			return false, err
		}
		if !due {
			l.timeMS = untilMS
			e.caughtUp(l)
			return true, nil
		}
		if err := e.tick(l, b, t, watchedAt(watches, t.atMS)); err != nil {
			l.ticks = nil // it has gone past what was not run
			return false, err
		}
		if err := e.commitIfDue(p, b); err != nil {
			return false, err
		}
		if err := e.tellCatchUp(l, untilMS); err != nil {
			return false, err
		}
	}
	return false, nil
}

// readyTicks has an instance's ticks stand behind the last one that was run, with
// what is left out of them by now.
func (e *Engine) readyTicks(l *live, untilMS int64) (err error) {
	if l.ticks == nil || l.ticks.number < l.next.tick-1 {
		l.ticks, err = e.ticksFrom(e.running, l.crons, l.next, untilMS)
		return err
	}
	l.ticks.skips, err = e.options.Log.Skips(e.running, l.crons.process, l.next.nonce)
	if err != nil {
		return fmt.Errorf("time left out of process %s behind nonce %d: %w", l.crons.process, l.next.nonce, err)
	}
	return nil
}

// watchedAt reports whether what a cron sends is delivered if it was due at a time.
// What is said of a time is known before any tick of it is run: see log.Watch.
func watchedAt(watches []aolog.Watch, atMS int64) (on bool) {
	for _, watch := range watches {
		if watch.FromMS <= atMS {
			on = watch.On
		}
	}
	return on
}

// tick runs one tick, or brings the state past one whose evaluation is stored.
func (e *Engine) tick(l *live, b *batch, t tick, watched bool) error {
	at := place{l.next.nonce, t.number}
	message := func() ([]byte, error) { return appendTickMessage(nil, l.process, t), nil }
	if at.less(b.next) {
		if _, err := e.reevaluate(e.working, l, at, message); err != nil {
			return err
		}
		l.stepTick(at, t)
		return nil
	}
	r := record{timestampMS: t.timestampMS, blockHeight: t.blockHeight, cron: t.name}
	given, err := message()
	if err != nil {
		return err
	}
	result, err := e.evaluateNew(l, at, given, &r)
	if err != nil {
		return err
	}
	effects := 0
	if watched {
		effects = len(effectsOf(result))
	}
	b.add(at, r, effects, ao.ID{})
	l.stepTick(at, t)
	return nil
}

// stepTick moves past a tick.
func (l *live) stepTick(at place, t tick) {
	l.next, l.timeMS = at.after(), t.atMS
	l.last = applied{at, t.timestampMS, t.blockHeight}
	l.count++
	l.catchUp.done++
}

// catchUp is what an instance has to tell when ticks take it long.
type catchUp struct {
	done        uint64
	begun, told time.Time
}

// catchUpTold is how often a long stretch of ticks says how far it is.
const catchUpTold = 5 * time.Second

func (e *Engine) tellCatchUp(l *live, untilMS int64) error {
	now := e.options.Now()
	c := &l.catchUp
	if c.begun.IsZero() {
		c.begun, c.told = now, now
	}
	if now.Sub(c.told) < catchUpTold {
		return nil
	}
	c.told = now
	left, err := l.ticks.count(e.running, untilMS)
	if err != nil {
		return err
	}
	perSecond := float64(c.done) / max(now.Sub(c.begun).Seconds(), 0.001)
	e.options.Logger.Info().Str("pkg", "engine").Stringer("process", l.crons.process).
		Uint64("done", c.done).Uint64("of", c.done+left).Float64("perSecond", math.Round(perSecond)).
		Stringer("left", time.Duration(float64(left)/max(perSecond, 1)*float64(time.Second)).Round(time.Second)).
		Msg("catching up with crons")
	return nil
}

func (e *Engine) caughtUp(l *live) {
	if c := l.catchUp; c.told.After(c.begun) {
		e.options.Logger.Info().Str("pkg", "engine").Stringer("process", l.crons.process).
			Uint64("done", c.done).Stringer("took", e.options.Now().Sub(c.begun).Round(time.Second)).Msg("caught up with crons")
	}
	l.catchUp = catchUp{}
}

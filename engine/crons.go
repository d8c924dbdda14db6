package engine

import (
	"context"
	"fmt"
	"math"
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

// Crons is how a process's crons stand.
type Crons struct {
	Crons []ao.Cron // in order of tags; none: the process has no crons
	// EvaluatedMS is when what the process has come to was due.
	EvaluatedMS int64
	// Behind is how many ticks are due before some time and not evaluated, as far as
	// the log's newest message is.
	Behind uint64
	// NextMS is when the next tick is due; 0: not before the time given.
	NextMS int64
}

// Crons says how a process's crons stand: what is behind at a time, and when the next
// tick is due before another.
func (e *Engine) Crons(ctx context.Context, process ao.ID, behindMS, nextMS int64) (status Crons, err error) {
	head, err := e.head(ctx, process)
	if err != nil {
		return status, err
	}
	first, err := e.options.Log.Read(ctx, process, 0)
	if err != nil {
		return status, fmt.Errorf("read process %s: %w", process, err)
	}
	crons, err := scheduleOf(first, e.options.Blocks)
	if err != nil || crons == nil {
		return status, err
	}
	status.Crons = crons.all
	from, err := e.store.next(process)
	if err != nil {
		return status, fmt.Errorf("read progress of process %s: %w", process, err)
	}
	if last, found, err := e.store.last(process, from); err != nil {
		return status, fmt.Errorf("read progress of process %s: %w", process, err)
	} else if found {
		stored, err := e.store.record(process, last)
		if err != nil {
			return status, fmt.Errorf("read evaluation of process %s at %s: %w", process, last, err)
		}
		status.EvaluatedMS = stored.timestampMS
	}
	if from.tick == 0 {
		from.tick = 1
	}
	for ; from.nonce < head.Nonce; from = (place{from.nonce + 1, 1}) {
		right, err := e.options.Log.Read(ctx, process, from.nonce+1)
		if err != nil {
			return status, fmt.Errorf("read process %s at nonce %d: %w", process, from.nonce+1, err)
		}
		if err := e.countTicks(ctx, crons, from, right.TimestampMS, &status.Behind); err != nil {
			return status, err
		}
	}
	if err := e.countTicks(ctx, crons, from, behindMS, &status.Behind); err != nil {
		return status, err
	}
	g, err := e.ticksFrom(ctx, crons, from, nextMS)
	if err != nil {
		return status, err
	}
	t, due, err := g.next(ctx, nextMS)
	if due {
		status.NextMS = t.atMS
	}
	return status, err
}

func (e *Engine) countTicks(ctx context.Context, crons *schedule, from place, untilMS int64, count *uint64) error {
	g, err := e.ticksFrom(ctx, crons, from, untilMS)
	if err != nil {
		return err
	}
	more, err := g.count(ctx, untilMS)
	*count += more
	return err
}

// passQuietly lets time pass for a process that has nothing to run: most of the
// time of a cron is that, and needs no instance.
func (e *Engine) passQuietly(p *process, evaluated reach, want goal) (quiet bool, err error) {
	if evaluated.next.message() <= want.nonce {
		return false, nil
	}
	first, err := e.options.Log.Read(e.running, p.id, 0)
	if err != nil {
		return false, fmt.Errorf("read process %s: %w", p.id, err)
	}
	crons, err := scheduleOf(first, e.options.Blocks)
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
// the given time.
func (e *Engine) ticksFrom(ctx context.Context, crons *schedule, from place, untilMS int64) (*ticks, error) {
	left, err := e.options.Log.Read(ctx, crons.process, from.nonce)
	if err != nil {
		return nil, fmt.Errorf("read process %s at nonce %d: %w", crons.process, from.nonce, err)
	}
	skips, err := e.options.Log.Skips(ctx, crons.process, from.nonce)
	if err != nil {
		return nil, fmt.Errorf("time left out of process %s behind nonce %d: %w", crons.process, from.nonce, err)
	}
	g := crons.ticksBehind(left.Assignment, skips)
	return g, g.pass(ctx, untilMS, from.tick-1)
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
		if err := e.reevaluate(l, at, message); err != nil {
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

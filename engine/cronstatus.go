package engine

import (
	"context"
	"fmt"
	"math"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

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
	crons, err := e.schedule(ctx, process)
	if err != nil || crons == nil {
		return status, err
	}
	status.Crons = crons.all
	from, err := e.nextTick(process)
	if err != nil {
		return status, err
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
	for ; from.nonce < head.Nonce; from = (place{from.nonce + 1, 1}) {
		right, err := e.options.Log.Read(ctx, process, from.nonce+1)
		if err != nil {
			return status, fmt.Errorf("read process %s at nonce %d: %w", process, from.nonce+1, err)
		}
		if _, err := e.countTicks(ctx, crons, from, right.TimestampMS, &status.Behind); err != nil {
			return status, err
		}
	}
	g, err := e.countTicks(ctx, crons, from, behindMS, &status.Behind)
	if err != nil {
		return status, err
	}
	t, due, err := g.next(ctx, nextMS)
	if due {
		status.NextMS = t.atMS
	}
	return status, err
}

// countTicks adds the ticks from a place on, and gives what counts them.
func (e *Engine) countTicks(ctx context.Context, crons *schedule, from place, untilMS int64, count *uint64) (*ticks, error) {
	g, err := e.ticksFrom(ctx, crons, from, untilMS)
	if err != nil {
		return nil, err
	}
	more, err := g.count(ctx, untilMS)
	*count += more
	return g, err
}

// Ahead gives a time, at most untilMS, before which no more than so many ticks are
// due whose time is not promised; false if none are due before untilMS.
func (e *Engine) Ahead(ctx context.Context, process ao.ID, count uint64, untilMS int64) (timeMS int64, any bool, err error) {
	crons, err := e.schedule(ctx, process)
	if err != nil || crons == nil {
		return 0, false, err
	}
	head, err := e.head(ctx, process)
	if err != nil {
		return 0, false, err
	}
	from, err := e.nextTick(process)
	if err != nil {
		return 0, false, err
	}
	if from.nonce != head.Nonce {
		from = place{head.Nonce, 1} // messages are behind
	}
	g, err := e.ticksFrom(ctx, crons, from, untilMS)
	if err == nil {
		err = g.pass(ctx, min(head.PromisedMS, untilMS), math.MaxUint64)
	}
	if err != nil {
		return 0, false, err
	}
	ahead := *g
	if _, due, err := ahead.next(ctx, untilMS); err != nil || !due {
		return untilMS, false, err
	}
	if err := g.pass(ctx, untilMS, g.number+count); err != nil {
		return 0, false, err
	}
	if len(g.pending) > 0 {
		untilMS = g.pending[0].atMS
	}
	return untilMS, true, nil
}

// Due counts the ticks of a stretch of time behind a message.
func (e *Engine) Due(ctx context.Context, stretch aolog.Skip) (uint64, error) {
	crons, err := e.schedule(ctx, stretch.Process)
	if err != nil || crons == nil {
		return 0, err
	}
	left, err := e.options.Log.Read(ctx, stretch.Process, stretch.Nonce)
	if err != nil {
		return 0, fmt.Errorf("read process %s at nonce %d: %w", stretch.Process, stretch.Nonce, err)
	}
	g := crons.ticksBehind(left.Assignment, nil)
	if err := g.pass(ctx, stretch.FromMS, math.MaxUint64); err != nil {
		return 0, err
	}
	before := g.number
	err = g.pass(ctx, stretch.UntilMS, math.MaxUint64)
	return g.number - before, err
}

// schedule gives a process's crons; nil if it has none.
func (e *Engine) schedule(ctx context.Context, process ao.ID) (*schedule, error) {
	first, err := e.options.Log.Read(ctx, process, 0)
	if err != nil {
		return nil, fmt.Errorf("read process %s: %w", process, err)
	}
	return scheduleOf(first, e.options.Blocks)
}

// nextTick gives the place of the first tick that is not evaluated.
func (e *Engine) nextTick(process ao.ID) (place, error) {
	next, err := e.store.next(process)
	if err != nil {
		return next, fmt.Errorf("read progress of process %s: %w", process, err)
	}
	next.tick = max(next.tick, 1)
	return next, nil
}

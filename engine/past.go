package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

const (
	// pastWorkers is how many states of the past are made at once: each takes a core
	// for as long as the way from the nearest snapshot is.
	pastWorkers  = 1
	pastQueueMax = 64
	// pastIdleMax is how many are kept afterwards. Who asks about one nonce asks about
	// it again, or about the next.
	pastIdleMax = 2
)

// past makes states that processes have left behind, on machines of their own.
type past struct {
	pool     *pool
	bytesMax uint64

	mu   sync.Mutex
	idle []*live // oldest first
}

func newPast(bytesMax uint64) *past {
	return &past{pool: newPool("too many states of the past are asked for", pastWorkers, pastQueueMax), bytesMax: bytesMax}
}

// take gives the machine whose state is nearest to a place, from below and behind
// another; one that began at a vouched state, or one that did not.
func (p *past) take(process ao.ID, after, at place, vouched bool) *live {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, l := range p.idle {
		fits := l.process.ID() == process && l.vouched == vouched && !at.less(l.last.place) && after.less(l.last.place)
		if fits && (best < 0 || p.idle[best].last.less(l.last.place)) {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	l := p.idle[best]
	p.idle = slices.Delete(p.idle, best, best+1)
	return l
}

// put keeps a machine, and closes what there is no room for.
func (p *past) put(l *live) (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l.bytes = l.machine.ResidentBytes()
	p.idle = append(p.idle, l)
	for len(p.idle) > pastIdleMax || p.bytes() > p.bytesMax {
		err = errors.Join(err, p.idle[0].machine.Close())
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	return err
}

func (p *past) bytes() (bytes uint64) {
	for _, l := range p.idle {
		bytes += l.bytes
	}
	return bytes
}

// close closes what is kept once nothing is made any more.
func (p *past) close() (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.idle {
		err = errors.Join(err, l.machine.Close())
	}
	p.idle = nil
	return err
}

// reached waits until a process has been evaluated up to a place, and refuses one
// that it does not have.
func (e *Engine) reached(ctx context.Context, process ao.ID, at place) error {
	row, err := e.aheadOf(ctx, process, at)
	if err != nil {
		return err
	}
	if row != nil {
		_, err := e.options.Log.Read(ctx, process, at.nonce)
		return err
	}
	if _, err := e.ResultAt(ctx, process, at.nonce); err != nil {
		return err
	}
	if at.tick == 0 {
		return nil
	}
	_, _, ok, err := e.StoredTick(process, at.nonce, at.tick)
	if err == nil && !ok {
		err = ao.Errorf(ao.CodeNotFound, "process %s has no tick %d behind nonce %d", process, at.tick, at.nonce)
	}
	return err
}

// inPast has use look at a process's state behind a place that has been reached. It
// is made from the nearest state below that there is, apart from the process's own
// instance. use must leave it as it is; the context ends with the engine, too. What
// was done for somebody who gave up is kept: whoever asks next goes on there.
func (e *Engine) inPast(ctx context.Context, process ao.ID, at place, use func(context.Context, *live) error) error {
	leave, err := e.past.pool.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.running, cancel)()
	l, err := e.begin(ctx, process, at)
	if err != nil {
		return err
	}
	err = e.goOn(ctx, l, at)
	switch {
	case err == nil:
		err = use(ctx, l)
	case ctx.Err() != nil && errors.Is(err, ctx.Err()) && l.next != (place{}):
		// The message in hand has left no trace; see vm.Process.
		l.broken = false
	default:
		l.broken = true
	}
	if l.broken || isLost(err) {
		return errors.Join(err, l.machine.Close())
	}
	return errors.Join(err, e.past.put(l))
}

// copyPast has use take a copy of a state of the past: it closes it.
func (e *Engine) copyPast(ctx context.Context, process ao.ID, at place, use func(context.Context, *fork) error) error {
	if err := e.reached(ctx, process, at); err != nil {
		return err
	}
	return e.inPast(ctx, process, at, func(ctx context.Context, l *live) error {
		machine, err := l.machine.Fork(ctx)
		if err != nil {
			return fmt.Errorf("copy the state of process %s at %s: %w", process, at, err)
		}
		return use(ctx, &fork{definition: l.definition, machine: machine, reach: l.reach, last: l.last})
	})
}

// begin gives the nearest state at or below a place: of a machine that is at hand, of
// a snapshot, or the module's own.
func (e *Engine) begin(ctx context.Context, process ao.ID, at place) (*live, error) {
	nearest, err := e.snapshots.nearest(process, at)
	if err != nil {
		return nil, err
	}
	row, err := e.aheadOf(ctx, process, at)
	if err != nil {
		return nil, err
	}
	if row != nil {
		nearest = place{nonce: row.vouched.Nonce}
	}
	if l := e.past.take(process, nearest, at, row != nil); l != nil {
		return l, nil
	}
	if row != nil {
		return e.openAhead(ctx, process, row.vouched)
	}
	definition, err := e.define(ctx, process)
	if err != nil {
		return nil, err
	}
	return e.openBefore(process, definition, at.after())
}

// goOn brings a state to a place with what is in the log, and the ticks in between.
func (e *Engine) goOn(ctx context.Context, l *live, at place) (err error) {
	process := l.process.ID()
	defer func() {
		if err != nil {
			err = fmt.Errorf("go back to %s of process %s: %w", at, process, err)
		}
	}()
	if from := l.next.message(); from <= at.nonce {
		err := e.options.Log.Range(ctx, process, from, at.nonce, func(entry aolog.Entry) error { return e.goOnEntry(ctx, l, entry) })
		if err != nil {
			return err
		}
	}
	if l.next != at.after() {
		untilMS, err := e.endOf(ctx, process, at.nonce)
		if err != nil {
			return err
		}
		if err := e.goOnTicks(ctx, l, untilMS, at.tick); err != nil {
			return err
		}
	}
	if l.next != at.after() {
		return fmt.Errorf("%w: the state came to %s", ErrDamaged, l.last.place)
	}
	return nil
}

// endOf gives the time up to which the ticks behind a nonce have been run.
func (e *Engine) endOf(ctx context.Context, process ao.ID, nonce uint64) (int64, error) {
	head, err := e.head(ctx, process)
	if err != nil || nonce == head.Nonce {
		return head.PromisedMS, err
	}
	entry, err := e.options.Log.Read(ctx, process, nonce+1)
	return entry.TimestampMS, err
}

func (e *Engine) goOnEntry(ctx context.Context, l *live, entry aolog.Entry) error {
	if err := e.goOnTicks(ctx, l, entry.TimestampMS, math.MaxUint64); err != nil {
		return err
	}
	if err := l.follows(entry); err != nil {
		return err
	}
	if l.vouched {
		return e.goAhead(ctx, l, entry)
	}
	err := e.again(ctx, l, place{nonce: entry.Nonce}, func() ([]byte, error) { return e.message(nil, entry) })
	if err == nil {
		l.step(entry)
	}
	return err
}

// goOnTicks runs the ticks behind the newest message that are due before a time, up
// to the one with a number.
func (e *Engine) goOnTicks(ctx context.Context, l *live, untilMS int64, last uint64) error {
	if l.crons == nil || l.next.tick == 0 || l.next.tick > last {
		return nil
	}
	ticks, err := e.ticksFrom(ctx, l.crons, l.next, untilMS)
	if err != nil {
		return err
	}
	for {
		t, due, err := ticks.next(ctx, untilMS)
		if err != nil || !due || t.number > last {
			return err
		}
		at := place{l.next.nonce, t.number}
		if err := e.again(ctx, l, at, func() ([]byte, error) { return appendTickMessage(nil, l.process, t), nil }); err != nil {
			return err
		}
		l.stepTick(at, t)
	}
}

// again runs what was run before. A state that is not the one of then is of no use.
func (e *Engine) again(ctx context.Context, l *live, at place, message func() ([]byte, error)) error {
	same, err := e.reevaluate(ctx, l, at, message)
	if err == nil && !same {
		err = ao.Errorf(ao.CodeInternal, "evaluating %s again gave another result than the stored one: wallaby replay shows it", at)
	}
	return err
}

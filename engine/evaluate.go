package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

const (
	// sliceTime is how long one process keeps a worker while others wait.
	sliceTime = 100 * time.Millisecond
	// commitTime bounds how long a finished evaluation waits for its batch.
	commitTime = 20 * time.Millisecond
	// chunkEntries and chunkBytes bound what is read from the log at once.
	chunkEntries = 128
	chunkBytes   = 4 << 20
	// longRun is from how many messages on an evaluation keeps its thread. Without,
	// Go moves it between cores, whose caches then lack what the guest uses, which
	// costs up to a twentieth of the rate; for a few messages, waking the thread
	// whenever the evaluation waited costs more.
	longRun = 16
)

// work owns one process after the other until the engine closes.
func (e *Engine) work() {
	for {
		p := e.table.take()
		if p == nil {
			return
		}
		more := e.run(p)
		e.table.giveBack(p, e.resident(p), more)
		e.evict()
	}
}

// run evaluates a process for a slice of time and reports whether there is
// more to do.
func (e *Engine) run(p *process) (more bool) {
	err := e.load(p)
	if err == nil {
		more, err = e.slice(p)
	}
	if err != nil && e.running.Err() == nil {
		more, err = e.lost(p, err)
	}
	if p.live != nil && p.live.broken {
		e.discard(p)
	}
	if err == nil {
		return more
	}
	if e.running.Err() == nil {
		e.block(p, err)
	}
	return false
}

// load reads where a process stands in the store.
func (e *Engine) load(p *process) error {
	if p.known {
		return nil
	}
	next, cronless, err := e.store.progress(p.id)
	if err != nil {
		return fmt.Errorf("read progress of process %s: %w", p.id, err)
	}
	if cronless {
		crons, err := e.schedule(e.running, p.id)
		if err == nil && crons != nil {
			err = ao.Errorf(ao.CodeUnprocessable,
				"process %s has crons and was evaluated without them, by an earlier version: move the node's directory of results away, and start again", p.id)
		}
		if err != nil {
			return err
		}
	}
	behind, err := e.store.has(idKey(keyLag, p.id))
	if err != nil {
		return fmt.Errorf("read progress of process %s: %w", p.id, err)
	}
	e.table.mark(p, behind)
	e.table.advance(p, reach{next: next})
	return nil
}

// slice evaluates until what is wanted is reached, or until others should have a
// turn.
func (e *Engine) slice(p *process) (more bool, err error) {
	deadline := e.options.Now().Add(sliceTime)
	for e.running.Err() == nil {
		e.followChoice(p)
		evaluated, want, behind := e.table.goal(p)
		if !e.table.wantsFork(p) {
			if evaluated.covers(want) {
				return false, e.unmark(p, behind)
			}
			if quiet, err := e.passQuietly(p, evaluated, want); err != nil || quiet {
				if err != nil {
					return false, err
				}
				continue
			}
		}
		if p.live == nil {
			if p.live, err = e.open(p, evaluated.next); err != nil {
				return false, err
			}
		}
		if !p.live.covers(want) {
			if err := e.chunk(p, evaluated.next, want, deadline); err != nil {
				return false, err
			}
		}
		if p.live.broken {
			e.discard(p)
			continue
		}
		if e.options.snapshotDue(p.live.since) {
			e.snapshot(p)
		}
		if err := e.serveForks(p); err != nil {
			return false, err
		}
		if e.options.Now().After(deadline) {
			return true, nil
		}
	}
	return false, e.running.Err()
}

// unmark takes away the mark of a process that is not behind any more.
func (e *Engine) unmark(p *process, behind bool) error {
	if !behind {
		return nil
	}
	if err := e.store.catchUp(p.id); err != nil {
		return fmt.Errorf("unmark process %s: %w", p.id, err)
	}
	e.table.mark(p, false)
	return nil
}

// chunk reads a stretch of the log and evaluates it, and the ticks in between.
// Evaluations are stored in batches: a transaction for each would cost more than
// the evaluation.
func (e *Engine) chunk(p *process, next place, want goal, deadline time.Time) error {
	l := p.live
	entries, err := e.read(p.id, l.next.message(), want.nonce)
	if err != nil {
		return err
	}
	places, err := e.store.firstPlaces(p.id, next, entries)
	if err != nil {
		return fmt.Errorf("look up messages of process %s from %s: %w", p.id, next, err)
	}
	if len(entries) >= longRun {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	b := batch{process: p.id, next: next, places: places, want: want, begun: e.options.Now(), deadline: deadline}
	for _, entry := range entries {
		if e.running.Err() != nil || l.broken {
			break
		}
		var done bool
		if done, err = e.passTime(p, &b, entry.TimestampMS); err != nil || !done {
			break
		}
		if err = e.evaluate(l, &b, entry); err != nil {
			break
		}
		e.checkAhead(l, p.id, entry.Nonce)
		if err = e.noteRoot(l, &b, entry.Nonce); err != nil {
			break
		}
		if err = e.commitIfDue(p, &b); err != nil {
			return err
		}
	}
	if err == nil && l.next.message() > want.nonce {
		_, err = e.passTime(p, &b, want.untilMS)
	}
	return errors.Join(err, e.commit(p, &b))
}

// commitIfDue stores a batch that is full or has waited long enough.
func (e *Engine) commitIfDue(p *process, b *batch) error {
	if !b.full() && e.options.Now().Sub(b.begun) <= commitTime {
		return nil
	}
	b.begun = e.options.Now()
	return e.commit(p, b)
}

var errChunkFull = errors.New("chunk is full")

// read gives entries from a nonce on, at least one if that is not past the head.
func (e *Engine) read(process ao.ID, from, head uint64) (entries []aolog.Entry, err error) {
	if from > head {
		return nil, nil
	}
	size := 0
	err = e.options.Log.Range(e.running, process, from, min(head, from+chunkEntries-1), func(entry aolog.Entry) error {
		entries = append(entries, entry)
		if size += len(entry.ItemBytes) + len(entry.AssignmentBytes); size > chunkBytes {
			return errChunkFull
		}
		return nil
	})
	if err != nil && !errors.Is(err, errChunkFull) {
		return nil, fmt.Errorf("read process %s from nonce %d: %w", process, from, err)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%w: process %s has a head at nonce %d but no entry at %d", aolog.ErrCorrupt, process, head, from)
	}
	return entries, nil
}

// evaluate applies one entry to the state. What is stored already is not
// stored again: its messages are run only for the state they lead to.
func (e *Engine) evaluate(l *live, b *batch, entry aolog.Entry) error {
	if err := l.follows(entry); err != nil {
		return err
	}
	at := place{nonce: entry.Nonce}
	if at.less(b.next) {
		_, err := e.reevaluate(e.working, l, at, func() ([]byte, error) { return e.message(nil, entry) })
		if err == nil {
			l.step(entry)
		}
		return err
	}
	r := record{
		message:     messageID(entry),
		assignment:  entry.ID,
		timestampMS: entry.TimestampMS,
		blockHeight: entry.BlockHeight,
	}
	if first, known := b.places[r.message]; known && first < entry.Nonce {
		// No log gives a message two places, but histories made elsewhere may.
		r.flags = flagSkipped | flagKept
		r.result = emptyResult().JSON()
		r.evaluatedMS = e.options.Now().UnixMilli()
		b.add(at, r, 0, ao.ID{})
		l.step(entry)
		return nil
	}
	push, err := e.rule(e.running, l.definition, entry, e.tallyOf(b))
	if err != nil {
		return err
	}
	if push.why != "" {
		r.flags = flagSkipped | flagKept
		r.result = withheldResult(push.why).JSON()
		r.evaluatedMS = e.options.Now().UnixMilli()
		b.add(at, r, 0, ao.ID{})
		b.tally(push.change)
		e.withheld(entry, push.why)
		l.step(entry)
		return nil
	}
	root, err := e.rootOf(entry, r.message)
	if err != nil {
		return err
	}
	message, err := e.message(nil, entry)
	if err != nil {
		return err
	}
	result, err := e.evaluateNew(l, at, message, &r)
	if err != nil {
		return err
	}
	b.add(at, r, len(effectsOf(result)), root)
	b.tally(push.change)
	l.step(entry)
	return nil
}

// evaluateNew runs a message that has no evaluation yet, and puts what came of it
// into its record.
func (e *Engine) evaluateNew(l *live, at place, message []byte, r *record) (ao.Result, error) {
	e.shadow(l.process.ID(), l)
	result, err := e.apply(e.working, l, at, message)
	if err != nil {
		return ao.Result{}, err
	}
	e.compare(l, at, message, result)
	if result.keep {
		r.flags |= flagKept
	}
	if result.result.Error != nil {
		r.flags |= flagError
	}
	r.result = result.result.JSON()
	r.evaluatedMS = e.options.Now().UnixMilli()
	return result.result, nil
}

// reevaluate brings the state past a place whose evaluation is stored, and reports
// whether that came to the same.
func (e *Engine) reevaluate(ctx context.Context, l *live, at place, message func() ([]byte, error)) (same bool, err error) {
	process := l.process.ID()
	stored, err := e.store.record(process, at)
	if isMissing(err) {
		return false, errMissing(process, at)
	}
	if err != nil {
		return false, fmt.Errorf("read evaluation of process %s at %s: %w", process, at, err)
	}
	if stored.flags&flagKept != 0 {
		return true, nil
	}
	given, err := message()
	if err != nil {
		return false, err
	}
	result, err := e.apply(ctx, l, at, given)
	if err != nil {
		return false, err
	}
	if result.keep || !bytes.Equal(result.result.JSON(), stored.result) {
		e.counters.divergences.Add(1)
		e.options.Logger.Error().Str("pkg", "engine").Stringer("process", process).Stringer("place", at).
			Msg("evaluating a message again gave another result; the stored one stands")
		return false, nil
	}
	return true, nil
}

// apply runs a message and accounts for the time.
func (e *Engine) apply(ctx context.Context, l *live, at place, message []byte) (outcome, error) {
	l.trying = at
	start := e.options.Now()
	result, err := l.apply(ctx, message)
	l.since.add(e.options.Now().Sub(start), result.result.GasUsed)
	if err != nil {
		return outcome{}, fmt.Errorf("evaluate process %s at %s: %w", l.process.ID(), at, err)
	}
	e.counters.evaluations.Add(1)
	return result, nil
}

// messageID is the assigned message; the process itself at nonce 0.
func messageID(entry aolog.Entry) ao.ID {
	if entry.Message.IsZero() {
		return entry.Process
	}
	return entry.Message
}

// block leaves a process where it is because its next message cannot be
// evaluated now. The mark makes sure that it is tried again after a restart.
func (e *Engine) block(p *process, err error) {
	logger := e.options.Logger.With().Str("pkg", "engine").Stringer("process", p.id).Logger()
	if _, _, behind := e.table.goal(p); behind {
		logger.Debug().Err(err).Msg("process still cannot be evaluated")
	} else {
		logger.Warn().Err(err).Msg("process cannot be evaluated for now")
		if err := e.store.fallBehind(p.id); err != nil {
			logger.Error().Err(err).Msg("mark process as behind")
		}
		e.table.mark(p, true)
	}
	if errors.Is(err, aolog.ErrCorrupt) || errors.Is(err, ErrDamaged) {
		e.fatal(err)
	}
	e.table.refuse(p, visible(err))
}

// visible gives an error that says to a client as much as it may know.
func visible(err error) error {
	if shown, ok := errors.AsType[*ao.Error](err); ok {
		return shown
	}
	if errors.Is(err, context.Canceled) {
		return errClosing()
	}
	return &ao.Error{Code: ao.CodeInternal, Message: "the message cannot be evaluated: " + err.Error(), Cause: err}
}

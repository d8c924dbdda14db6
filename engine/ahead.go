package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
)

// Vouched is a state that somebody whom the operator trusts has signed.
type Vouched struct {
	Nonce uint64 // of the message behind which it lies
	Root  ao.ID  // zero: not said
	State vm.SnapshotReader
}

const (
	// aheadMax is how many processes have a vouched state in memory.
	aheadMax = 16
	// aheadResultsMax is how many results behind a vouched state are kept.
	aheadResultsMax = 4096
	// aheadAgain is how long after a search in vain the next may begin.
	aheadAgain = 30 * time.Second
)

// ahead has what reads are answered from while a node with a long log and no states
// of its own evaluates it from the beginning: a vouched state and the messages behind
// it. Nothing of that is stored or delivered; what a node promises rests on its own
// evaluation alone.
type ahead struct {
	mu   sync.Mutex
	rows map[ao.ID]*aheadRow
}

// aheadRow is what is known of one process.
type aheadRow struct {
	mu      sync.Mutex // held while a state is looked for
	vouched *Vouched
	looked  time.Time
	results map[uint64]record // of the newest messages that were run
}

func (a *ahead) row(process ao.ID) *aheadRow {
	a.mu.Lock()
	defer a.mu.Unlock()
	row := a.rows[process]
	if row == nil && len(a.rows) < aheadMax {
		row = &aheadRow{results: map[uint64]record{}}
		a.rows[process] = row
	}
	return row
}

func (a *ahead) known(process ao.ID) *aheadRow {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rows[process]
}

func (a *ahead) drop(process ao.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.rows, process)
}

// aheadOf gives the row with the vouched state from which reads of a place begin. Nil:
// the node's own evaluation has come that far, or is about to, or there is no such
// state.
func (e *Engine) aheadOf(ctx context.Context, process ao.ID, at place) (*aheadRow, error) {
	if e.options.Vouched == nil || at.tick > 0 {
		return nil, nil
	}
	next, err := e.store.next(process)
	if err != nil || at.nonce < next.message()+e.options.AheadMessages {
		return nil, err
	}
	row := e.ahead.row(process)
	if row == nil {
		return nil, nil
	}
	row.mu.Lock()
	defer row.mu.Unlock()
	if row.vouched == nil && e.options.Now().Sub(row.looked) >= aheadAgain {
		row.looked = e.options.Now()
		if row.vouched, err = e.vouched(ctx, process, next.message(), at.nonce); err != nil {
			e.options.Logger.Warn().Str("pkg", "engine").Stringer("process", process).Err(err).Msg("no checkpoint to answer reads from")
			return nil, ctx.Err()
		}
	}
	if row.vouched == nil || row.vouched.Nonce < next.message() || row.vouched.Nonce > at.nonce {
		return nil, nil
	}
	return row, nil
}

// vouched looks for a state. What a process with crons or a quorum gets does not
// follow from the messages behind a state alone.
func (e *Engine) vouched(ctx context.Context, process ao.ID, first, last uint64) (*Vouched, error) {
	definition, err := e.define(ctx, process)
	if err != nil {
		return nil, err
	}
	if definition.crons != nil || definition.authorities.Quorum > 0 {
		return nil, nil
	}
	found, err := e.options.Vouched(ctx, process, first, last)
	if found != nil {
		e.options.Logger.Info().Str("pkg", "engine").Stringer("process", process).Uint64("nonce", found.Nonce).Stringer("root", found.Root).
			Msg("reads are answered from a checkpoint until the log is evaluated")
	}
	return found, err
}

// openAhead makes an instance in a vouched state.
func (e *Engine) openAhead(ctx context.Context, process ao.ID, from *Vouched) (*live, error) {
	definition, err := e.define(ctx, process)
	if err != nil {
		return nil, err
	}
	machine, err := definition.module.code.New(e.working, e.config(process, definition), from.State)
	if err != nil {
		return nil, fmt.Errorf("begin process %s at the checkpoint behind nonce %d: %w", process, from.Nonce, err)
	}
	l := &live{definition: definition, machine: machine, vouched: true}
	if err := e.resume(l, process, place{nonce: from.Nonce}); err != nil {
		return nil, errors.Join(err, machine.Close())
	}
	return l, nil
}

// forkAhead gives a copy of a state that the node has not come to yet.
func (e *Engine) forkAhead(ctx context.Context, process ao.ID, at place) (copied *fork, err error) {
	err = e.copyPast(ctx, process, at, func(_ context.Context, f *fork) error {
		copied = f
		return nil
	})
	if err != nil && copied != nil {
		err = errors.Join(err, copied.machine.Close())
		copied = nil
	}
	return copied, err
}

// goAhead runs an entry that the node has not evaluated yet.
func (e *Engine) goAhead(ctx context.Context, l *live, entry aolog.Entry) error {
	r := record{message: messageID(entry), assignment: entry.ID, timestampMS: entry.TimestampMS, blockHeight: entry.BlockHeight}
	first, err := e.options.Log.Find(ctx, entry.Process, r.message)
	if err != nil {
		return fmt.Errorf("find %s in process %s: %w", r.message, entry.Process, err)
	}
	if first < entry.Nonce {
		r.flags = flagSkipped | flagKept
		r.result = emptyResult().JSON()
	} else {
		message, err := e.message(nil, entry)
		if err != nil {
			return err
		}
		result, err := e.apply(ctx, l, place{nonce: entry.Nonce}, message)
		if err != nil {
			return err
		}
		if result.result.Error != nil {
			r.flags |= flagError
		}
		r.result = result.result.JSON()
	}
	l.step(entry)
	if row := e.ahead.known(entry.Process); row != nil {
		row.mu.Lock()
		defer row.mu.Unlock()
		row.results[entry.Nonce] = r
		delete(row.results, entry.Nonce-aheadResultsMax)
	}
	return nil
}

// resultAhead gives the evaluation of a message behind a vouched state; false when
// the node's own has to be waited for.
func (e *Engine) resultAhead(ctx context.Context, process ao.ID, nonce uint64) (evaluation Evaluation, ok bool, err error) {
	at := place{nonce: nonce}
	row, err := e.aheadOf(ctx, process, at)
	if err != nil || row == nil || nonce == row.vouched.Nonce {
		return evaluation, false, err
	}
	r, ok := row.result(nonce)
	if !ok {
		if err := e.inPast(ctx, process, at, func(context.Context, *live) error { return nil }); err != nil {
			return evaluation, false, err
		}
		if r, ok = row.result(nonce); !ok {
			return evaluation, false, nil
		}
	}
	evaluation, err = r.evaluation(process, at)
	return evaluation, err == nil, err
}

func (row *aheadRow) result(nonce uint64) (record, bool) {
	row.mu.Lock()
	defer row.mu.Unlock()
	r, ok := row.results[nonce]
	return r, ok
}

// checkAhead compares a vouched state with the node's own once that has come to its
// place, and lets it go.
func (e *Engine) checkAhead(l *live, process ao.ID, nonce uint64) {
	row := e.ahead.known(process)
	if row == nil {
		return
	}
	row.mu.Lock()
	from := row.vouched
	row.mu.Unlock()
	if from == nil || nonce < from.Nonce {
		return
	}
	e.ahead.drop(process)
	if nonce > from.Nonce || from.Root.IsZero() {
		return
	}
	own, err := rootNow(l.machine)
	switch {
	case err != nil:
		e.options.Logger.Warn().Str("pkg", "engine").Stringer("process", process).Err(err).Msg("the checkpoint was not compared with the node's own state")
	case own != from.Root:
		e.counters.divergences.Add(1)
		e.options.Logger.Error().Str("pkg", "engine").Stringer("process", process).Uint64("nonce", nonce).Stringer("root", own).Stringer("checkpoint", from.Root).
			Msg("the checkpoint that reads were answered from was wrong: the node's own state has another root; do not trust its owner any more")
	default:
		e.options.Logger.Info().Str("pkg", "engine").Stringer("process", process).Uint64("nonce", nonce).Msg("the checkpoint was right: the node's own state is the same")
	}
}

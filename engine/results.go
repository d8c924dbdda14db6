package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// ResultsQuery selects evaluations of a process by place.
type ResultsQuery struct {
	From       *Cursor // exclusive lower bound in either direction; nil: the beginning
	To         *Cursor // inclusive upper bound; nil: the newest
	Limit      int
	Descending bool
	Crons      bool // those of crons alone
	Errors     bool // evaluations with an Error, too
}

// ResultsPage is one page of evaluations, in the query's direction.
type ResultsPage struct {
	Evaluations []Evaluation
	HasNext     bool
}

// Changed gives a channel that is closed when more of a process is evaluated than is
// now.
func (e *Engine) Changed(process ao.ID) <-chan struct{} { return e.table.watch(process) }

// Results lists what has been evaluated and gave no Error, unless the query asks for
// those, too. It does not wait for evaluation. Evaluations with an Error are passed over inside the query,
// so that pages are full and HasNext is right.
func (e *Engine) Results(ctx context.Context, process ao.ID, query ResultsQuery) (ResultsPage, error) {
	if query.Limit <= 0 {
		return ResultsPage{}, ao.Errorf(ao.CodeInvalid, "limit must be at least 1, not %d", query.Limit)
	}
	if _, err := e.head(ctx, process); err != nil {
		return ResultsPage{}, err
	}
	first, end, err := e.resultsRange(ctx, process, query)
	if err != nil || !first.less(end) {
		return ResultsPage{}, err
	}
	var page ResultsPage
	err = e.store.evaluations(ctx, process, first, end, query, func(evaluation Evaluation) bool {
		if len(page.Evaluations) == query.Limit {
			page.HasNext = true
			return false
		}
		page.Evaluations = append(page.Evaluations, evaluation)
		return true
	})
	return page, err
}

// resultsRange turns cursors into places: first inclusive, end exclusive.
func (e *Engine) resultsRange(ctx context.Context, process ao.ID, query ResultsQuery) (first, end place, err error) {
	if query.From != nil {
		if first, err = e.placeAfter(ctx, process, *query.From); err != nil {
			return first, end, err
		}
	}
	end = place{nonce: math.MaxUint64}
	if query.To != nil {
		end, err = e.placeAfter(ctx, process, *query.To)
	}
	return first, end, err
}

// placeAfter gives the first place behind a cursor. The ordinate and the cron
// decide among equal timestamps.
func (e *Engine) placeAfter(ctx context.Context, process ao.ID, cursor Cursor) (place, error) {
	nonce, err := strconv.ParseUint(cursor.Ordinate, 10, 63)
	if err == nil && cursor.Cron == "" {
		switch stored, err := e.store.record(process, place{nonce: nonce}); {
		case err == nil && stored.timestampMS == cursor.TimestampMS:
			return place{nonce, 1}, nil
		case err != nil && !isMissing(err):
			return place{}, err
		}
	}
	if err == nil && cursor.Cron != "" {
		if at, found, err := e.findTick(ctx, process, nonce, cursor); err != nil || found {
			return at.after(), err
		}
	}
	if nonce, err = e.options.Log.NonceAfter(ctx, process, cursor.TimestampMS); err != nil {
		return place{}, fmt.Errorf("find time %d in process %s: %w", cursor.TimestampMS, process, err)
	}
	if nonce == 0 {
		return place{}, nil
	}
	return e.firstTick(ctx, process, nonce-1, cursor.TimestampMS+1)
}

// findTick finds the evaluated tick behind a nonce that a cursor names.
func (e *Engine) findTick(ctx context.Context, process ao.ID, nonce uint64, cursor Cursor) (at place, found bool, err error) {
	first, err := e.firstTick(ctx, process, nonce, cursor.TimestampMS)
	if errors.Is(err, aolog.ErrEntryUnknown) {
		return at, false, nil
	}
	if err != nil {
		return at, false, err
	}
	// A tick of a block is due a moment later than the block.
	const slackMS = 60_000
	err = e.store.evaluations(ctx, process, first, place{nonce: nonce + 1}, ResultsQuery{Crons: true}, func(evaluation Evaluation) bool {
		found = evaluation.TimestampMS == cursor.TimestampMS && evaluation.Cron == cursor.Cron
		at = place{nonce, evaluation.Tick}
		return !found && evaluation.TimestampMS < cursor.TimestampMS+slackMS
	})
	return at, found, err
}

// firstTick gives the place of the first tick behind a nonce that is due at a time
// or later.
func (e *Engine) firstTick(ctx context.Context, process ao.ID, nonce uint64, timeMS int64) (place, error) {
	first := place{nonce, 1}
	crons, err := e.schedule(ctx, process)
	if err != nil || crons == nil {
		return first, err
	}
	left, err := e.options.Log.Read(ctx, process, nonce)
	if err != nil {
		return first, fmt.Errorf("read process %s at nonce %d: %w", process, nonce, err)
	}
	g := crons.ticksBehind(left.Assignment, nil)
	err = g.pass(ctx, timeMS, math.MaxUint64)
	return place{nonce, g.number + 1}, err
}

// head gives the newest place of a process, or an error a client may see.
func (e *Engine) head(ctx context.Context, process ao.ID) (aolog.Head, error) {
	head, err := e.options.Log.Head(ctx, process)
	if errors.Is(err, aolog.ErrProcessUnknown) {
		return head, ao.Errorf(ao.CodeNotFound, "process %s is not known here: spawn it first, or ask the node that schedules it", process)
	}
	if err != nil {
		return head, fmt.Errorf("head of process %s: %w", process, err)
	}
	return head, nil
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// ResultsQuery selects evaluations of a process by place.
type ResultsQuery struct {
	From       *Cursor // exclusive lower bound in either direction; nil: the beginning
	To         *Cursor // inclusive upper bound; nil: the newest
	Limit      int
	Descending bool
}

// ResultsPage is one page of evaluations, in the query's direction.
type ResultsPage struct {
	Evaluations []Evaluation
	HasNext     bool
}

// Results lists what has been evaluated and gave no Error. It does not wait
// for evaluation. Evaluations with an Error are passed over inside the query,
// so that pages are full and HasNext is right.
func (e *Engine) Results(ctx context.Context, process ao.ID, query ResultsQuery) (ResultsPage, error) {
	if query.Limit <= 0 {
		return ResultsPage{}, ao.Errorf(ao.CodeInvalid, "limit must be at least 1, not %d", query.Limit)
	}
	if _, err := e.head(ctx, process); err != nil {
		return ResultsPage{}, err
	}
	first, end, err := e.resultsRange(ctx, process, query)
	if err != nil || first >= end {
		return ResultsPage{}, err
	}
	var page ResultsPage
	err = e.store.evaluations(ctx, process, first, end, query.Descending, func(evaluation Evaluation) bool {
		if len(page.Evaluations) == query.Limit {
			page.HasNext = true
			return false
		}
		page.Evaluations = append(page.Evaluations, evaluation)
		return true
	})
	return page, err
}

// resultsRange turns cursors into nonces: first inclusive, end exclusive.
func (e *Engine) resultsRange(ctx context.Context, process ao.ID, query ResultsQuery) (first, end uint64, err error) {
	if query.From != nil {
		if first, err = e.nonceAfter(ctx, process, *query.From); err != nil {
			return 0, 0, err
		}
	}
	end = math.MaxUint64
	if query.To != nil {
		if end, err = e.nonceAfter(ctx, process, *query.To); err != nil {
			return 0, 0, err
		}
	}
	return first, end, nil
}

// nonceAfter gives the first nonce behind a cursor. The ordinate decides among
// equal timestamps, which only logs made elsewhere have.
func (e *Engine) nonceAfter(ctx context.Context, process ao.ID, cursor Cursor) (uint64, error) {
	if ordinate, err := strconv.ParseUint(cursor.Ordinate, 10, 63); err == nil {
		switch stored, err := e.store.record(process, ordinate); {
		case err == nil && stored.timestampMS == cursor.TimestampMS:
			return ordinate + 1, nil
		case err != nil && !errors.Is(err, badger.ErrKeyNotFound):
			return 0, err
		}
	}
	nonce, err := e.options.Log.NonceAfter(ctx, process, cursor.TimestampMS)
	if err != nil {
		return 0, fmt.Errorf("find time %d in process %s: %w", cursor.TimestampMS, process, err)
	}
	return nonce, nil
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

package http

import (
	"context"
	"errors"
	"net/http"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Elsewhere reaches the schedulers of processes that are not in the log.
type Elsewhere interface {
	// Knows reports whether a scheduler of somebody else has said where it
	// answers.
	Knows(ctx context.Context, scheduler string) (bool, error)
	// SchedulerOf gives the scheduler that a process names, or "" when the id is
	// none of a process.
	SchedulerOf(ctx context.Context, process ao.ID) (scheduler string, err error)
	Post(ctx context.Context, scheduler string, item *dataitem.Item) error
	Assign(ctx context.Context, scheduler string, a courier.Assignment) (ao.ID, error)
}

// take puts an item into the log that it is for, here or elsewhere. What another
// scheduler has taken is evaluated on its side.
func (m *mu) take(ctx context.Context, item *dataitem.Item) (duplicate bool, err error) {
	kind, process, _ := ao.CheckItem(item) // of what is wrong the log speaks
	if m.Elsewhere != nil && kind == ao.KindProcess {
		// One whose scheduler nobody knows is taken here: alone on a machine,
		// clients name whatever they like.
		scheduler := item.Tags.Get(ao.TagScheduler)
		away, err := m.Elsewhere.Knows(ctx, scheduler)
		if err != nil {
			return false, err
		}
		if away {
			return false, m.pass(ctx, scheduler, item)
		}
	}
	_, duplicate, err = m.Log.Append(ctx, aolog.Proposal{Item: item})
	if m.Elsewhere == nil || kind != ao.KindMessage || codeOf(err) != ao.CodeNotFound {
		return duplicate, err
	}
	scheduler, failed := m.Elsewhere.SchedulerOf(ctx, process)
	switch {
	case failed != nil:
		return false, failed
	case scheduler == "":
		return false, err
	}
	return false, m.pass(ctx, scheduler, item)
}

// pass posts only what is signed: this node vouches for nothing else.
func (m *mu) pass(ctx context.Context, scheduler string, item *dataitem.Item) error {
	if err := item.Verify(); err != nil {
		return ao.Errorf(ao.CodeInvalid, "item %s cannot be accepted: %w", item.ID(), err)
	}
	return m.Elsewhere.Post(ctx, scheduler, item)
}

// assignElsewhere passes an assignment on if its process is not in the log; away
// is false when there is nobody to pass it to.
func (m *mu) assignElsewhere(r *http.Request) (id ao.ID, away bool, err error) {
	ctx := r.Context()
	process, hasProcess, _ := queryID(r, "process-id")
	message, hasMessage, _ := queryID(r, "assign")
	if m.Elsewhere == nil || !hasProcess || !hasMessage {
		return id, false, nil
	}
	if _, err := m.Log.Head(ctx, process); !errors.Is(err, aolog.ErrProcessUnknown) {
		return id, false, nil
	}
	scheduler, err := m.Elsewhere.SchedulerOf(ctx, process)
	if err != nil || scheduler == "" {
		return id, false, err
	}
	id, err = m.Elsewhere.Assign(ctx, scheduler, courier.Assignment{
		Process: process, Message: message, BaseLayer: r.URL.Query().Has("base-layer"), Exclude: excluded(r),
	})
	if err == nil && id.IsZero() {
		err = ao.Errorf(ao.CodeConflict, "%s was assigned to %s before, and scheduler %s does not say under which id", message, process, scheduler)
	}
	return id, true, err
}

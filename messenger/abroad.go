package messenger

import (
	"context"
	"errors"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Directory knows what an id names when this node's log does not, and reaches the
// schedulers of others. Failures that may pass are of type *courier.Later.
type Directory interface {
	// Own reports whether an address is that of this node's scheduler.
	Own(scheduler string) bool
	// SchedulerOf gives the scheduler that a process names, or "" when the id is
	// none of a process.
	SchedulerOf(ctx context.Context, id ao.ID) (scheduler string, err error)
	// Post and Assign put something into a log of a scheduler; what is there
	// already is a success, and may have no id.
	Post(ctx context.Context, scheduler string, item *dataitem.Item) error
	Assign(ctx context.Context, scheduler string, a courier.Assignment) (ao.ID, error)
}

// abroad carries something to the scheduler of a process that is not in the log.
// known is false when the id is no process.
func (m *Messenger) abroad(ctx context.Context, id ao.ID, carry func(scheduler string) error) (known bool, err error) {
	err = m.away(func() error {
		scheduler, err := m.options.Directory.SchedulerOf(ctx, id)
		if err != nil || scheduler == "" {
			return err
		}
		known = true
		return carry(scheduler)
	})
	return known, err
}

// away gives its place among the workers to others while it waits for what may
// never answer. The courier bounds how many wait.
func (m *Messenger) away(do func() error) error {
	<-m.slots
	defer func() { m.slots <- struct{}{} }()
	return do()
}

// assignAnywhere puts an assignment into the log of its process, wherever that is. An id
// of zero is one that the other side did not tell.
func (m *Messenger) assignAnywhere(ctx context.Context, a courier.Assignment) (id ao.ID, err error) {
	if _, err := m.options.Log.Head(ctx, a.Process); errors.Is(err, aolog.ErrProcessUnknown) {
		known, err := m.abroad(ctx, a.Process, func(scheduler string) (err error) {
			id, err = m.options.Directory.Assign(ctx, scheduler, a)
			return err
		})
		if known || err != nil {
			return id, err
		}
	}
	return m.assignHere(ctx, aolog.Proposal{Process: a.Process, Message: a.Message, Exclude: a.Exclude}, a.BaseLayer)
}

// startAnywhere puts a new process where its scheduler is. One that names its parent's
// is ordered where its parent is.
func (m *Messenger) startAnywhere(ctx context.Context, child *dataitem.Item, parent sender) error {
	scheduler := child.Tags.Get(ao.TagScheduler)
	if scheduler == parent.scheduler || m.options.Directory.Own(scheduler) {
		_, _, err := m.options.Log.Append(ctx, aolog.Proposal{Item: child, Own: true})
		return err
	}
	return m.away(func() error { return m.options.Directory.Post(ctx, scheduler, child) })
}

// unload leaves to the outbox what stands in a lane behind an effect that has
// failed. A scan finds it again when that is settled.
func (m *Messenger) unload(id lane) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mu.stuck[id], m.mu.left[id] = true, true
	for _, effect := range m.mu.lanes[id][1:] {
		delete(m.mu.loaded, effect.Key())
	}
	m.mu.lanes[id] = m.mu.lanes[id][:1]
	if m.hasRoom() {
		m.look()
	}
}

// unstick ends that a lane is held up, and has a scan bring what it left; mu is
// held.
func (m *Messenger) unstick(id lane) {
	if m.mu.stuck[id] && m.mu.left[id] {
		m.mu.behind = true
	}
	delete(m.mu.stuck, id)
}

// patience says how many attempts a failure is worth, and for how long the other
// side asked to be left alone.
func (m *Messenger) patience(failure error) (attemptsMax int, waitMS int64) {
	if later, ok := errors.AsType[*courier.Later](failure); ok {
		return m.options.AbroadAttemptsMax, later.RetryAfter().Milliseconds()
	}
	return m.options.AttemptsMax, 0
}

package settlement

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// extras settles items that stand in no log: modules and checkpoints. Each has a
// record in the store, so that an upload that was cut off is made after a restart.
type extras struct {
	settler *Settler
	woken   chan struct{}

	mu      sync.Mutex
	waiting int
	failure string
}

// ExtraState is how far an item beside the log has come.
type ExtraState string

// The states of an item beside the log.
const (
	ExtraWaiting   ExtraState = "waiting" // to be uploaded
	ExtraUploaded  ExtraState = "uploaded"
	ExtraConfirmed ExtraState = "confirmed"
	ExtraRefused   ExtraState = "refused"
)

// Extra is an item beside the log.
type Extra struct {
	ID    ao.ID       `json:"id"`
	State ExtraState  `json:"state"`
	AtMS  int64       `json:"at"`
	Tx    *arweave.Tx `json:"tx,omitempty"`
	Error string      `json:"error,omitempty"`
}

const extraPrefix = "extra/"

func extraKey(id ao.ID) string { return extraPrefix + id.String() }

// Enqueue has an item uploaded that Options.Items gives. What was enqueued before is
// not uploaded again, unless it was refused.
func (s *Settler) Enqueue(id ao.ID) error {
	var extra Extra
	if err := load(s.options.Store, extraKey(id), &extra); err != nil || !extra.ID.IsZero() && extra.State != ExtraRefused {
		return err
	}
	if err := save(s.options.Store, extraKey(id), Extra{ID: id, State: ExtraWaiting, AtMS: s.options.Now().UnixMilli()}); err != nil {
		return err
	}
	select {
	case s.extras.woken <- struct{}{}:
	default:
	}
	return nil
}

// Extra gives what became of an item that was enqueued; false: it was not.
func (s *Settler) Extra(id ao.ID) (extra Extra, ok bool, err error) {
	err = load(s.options.Store, extraKey(id), &extra)
	return extra, !extra.ID.IsZero(), err
}

func (e *extras) open() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.waiting
}

func (e *extras) problem() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.failure
}

func (e *extras) run(ctx context.Context) error {
	o := e.settler.options
	for ctx.Err() == nil {
		open, err := e.unfinished()
		if err != nil {
			return err
		}
		e.mu.Lock()
		e.waiting, e.failure = len(open), ""
		e.mu.Unlock()
		for _, extra := range open {
			if err := e.step(ctx, extra); err != nil {
				return err
			}
		}
		pause, stop := context.WithTimeout(ctx, o.Timing.Confirm)
		select {
		case <-e.woken:
		case <-pause.Done():
		}
		stop()
	}
	return ctx.Err()
}

func (e *extras) unfinished() (open []Extra, err error) {
	err = e.settler.options.Store.List(extraPrefix, func(key string, value []byte) error {
		var extra Extra
		if err := json.Unmarshal(value, &extra); err != nil || key != extraPrefix+extra.ID.String() {
			return fmt.Errorf("%s is no record of an upload", strings.TrimPrefix(key, extraPrefix))
		}
		if extra.State == ExtraWaiting || extra.State == ExtraUploaded {
			open = append(open, extra)
		}
		return nil
	})
	return open, err
}

// step takes an item one state on, if it can. Its error is one of the store.
func (e *extras) step(ctx context.Context, extra Extra) error {
	o := e.settler.options
	it, err := o.Items(ctx, extra.ID)
	if err != nil {
		e.fail(err)
		return nil
	}
	if extra.State == ExtraUploaded {
		found, err := e.settler.check(ctx, []*dataitem.Item{it}, extra.Tx, true)
		switch late := o.Now().UnixMilli()-extra.AtMS >= o.Timing.Lost.Milliseconds(); {
		case err != nil:
			e.fail(err)
			return nil
		case found == settled:
			return e.finish(extra, ExtraConfirmed, nil)
		case found == waiting || !late:
			return nil
		case found == missing:
			extra.Tx = nil
		}
		e.settler.counts.again.Add(1)
	}
	return e.upload(ctx, extra, it)
}

// upload sends one item.
func (e *extras) upload(ctx context.Context, extra Extra, it *dataitem.Item) error {
	listening := &extraListener{extras: e, extra: extra}
	sending, stop := context.WithTimeout(ctx, 2*(e.settler.options.Timing.Attempt+timeFor(len(it.Bytes()))))
	defer stop()
	if b, ok := e.settler.carrier.(*bundler); ok {
		if err := b.post(ctx, it); isRefusal(err) {
			return e.finish(extra, ExtraRefused, err)
		} else if err != nil {
			e.fail(err)
			return nil
		}
	} else if err := e.settler.carrier.send(sending, []parcel{{items: []*dataitem.Item{it}}}, extra.Tx, listening); err != nil {
		e.fail(err)
		return nil
	}
	return e.finish(listening.extra, ExtraUploaded, nil)
}

func (e *extras) finish(extra Extra, state ExtraState, why error) error {
	extra.State, extra.AtMS, extra.Error = state, e.settler.options.Now().UnixMilli(), ""
	if why != nil {
		extra.Error = why.Error()
		e.settler.options.Logger.Error().Err(why).Stringer("item", extra.ID).Msg("an item beside the log cannot be settled")
	}
	return save(e.settler.options.Store, extraKey(extra.ID), extra)
}

func (e *extras) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failure = err.Error()
}

// extraListener remembers the transaction of one item.
type extraListener struct {
	extras *extras
	extra  Extra
}

var _ listener = (*extraListener)(nil)

func (l *extraListener) failed(err error) {
	if err != nil {
		l.extras.fail(err)
	}
}

func (l *extraListener) refused(*dataitem.Item, error) error { return nil }

func (l *extraListener) remember(tx *arweave.Tx) error {
	l.extra.Tx = tx
	return save(l.extras.settler.options.Store, extraKey(l.extra.ID), l.extra)
}

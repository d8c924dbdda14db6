package settlement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// lane settles one group.
type lane struct {
	settler *Settler
	group   uint32

	mu        sync.Mutex
	state     State
	committed Mark
	waitingMS int64  // time of the oldest entry that is being uploaded
	upFailure string // why the newest upload failed
	atFailure string // why what was uploaded could not be looked at
}

// run uploads and confirms while this node leads the group, and learns from the
// node that leads while it does not.
func (l *lane) run(ctx context.Context) error {
	o := l.settler.options
	for ctx.Err() == nil {
		if !o.Leads(l.group) {
			l.adopt(ctx)
			if err := sleep(ctx, o.Timing.Poll); err != nil {
				return err
			}
			continue
		}
		leading, stop := context.WithCancel(ctx)
		var work sync.WaitGroup
		results := make(chan error, 2)
		work.Go(func() { results <- l.upload(leading); stop() })
		work.Go(func() { results <- l.confirm(leading); stop() })
		for leading.Err() == nil && o.Leads(l.group) {
			_ = sleep(leading, o.Timing.Poll)
		}
		stop()
		work.Wait()
		for range 2 {
			if err := <-results; err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
		}
	}
	return ctx.Err()
}

// adopt takes over how far the node has come that leads. What cannot be learned is
// asked again, and at worst uploaded again.
func (l *lane) adopt(ctx context.Context) {
	o := l.settler.options
	if o.Ask == nil {
		return
	}
	theirs, err := o.Ask(ctx, l.group)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if before(theirs.Confirmed.Position, l.state.Confirmed.Position) || theirs.Uploaded == l.state.Uploaded && theirs.Confirmed == l.state.Confirmed {
		return
	}
	l.upFailure, l.atFailure, l.waitingMS, l.state = "", "", 0, theirs
	if err := save(o.Store, stateKey(l.group), l.state); err != nil {
		o.Fatal(err)
	}
}

func before(a, b aolog.Position) bool {
	return a.Index < b.Index || a.Index == b.Index && a.Offset < b.Offset
}

func (s State) clone() State {
	s.Shipments = slices.Clone(s.Shipments)
	return s
}

// change alters the state and stores it.
func (l *lane) change(alter func(*State)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	alter(&l.state)
	return save(l.settler.options.Store, stateKey(l.group), l.state)
}

func (l *lane) snapshot() State {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.clone()
}

// queueMax is how many entries are read ahead.
const queueMax = 16

// upload ships what the log takes, in order, until ctx ends.
func (l *lane) upload(ctx context.Context) error {
	if err := l.resume(ctx); err != nil {
		return err
	}
	queue := make(chan parcel, queueMax)
	reading, stop := context.WithCancel(ctx)
	defer stop()
	done := make(chan error, 1)
	go func() {
		defer close(queue)
		done <- l.follow(reading, l.snapshot().Uploaded, func(p parcel) error {
			select {
			case queue <- p:
				return nil
			case <-reading.Done():
				return reading.Err()
			}
		})
	}()
	for {
		parcels := l.gather(queue)
		if len(parcels) == 0 {
			return <-done
		}
		if err := l.ship(ctx, parcels); err != nil {
			stop()
			for range queue { // until the reader is gone
			}
			return err
		}
	}
}

// follow reads entries behind a mark as parcels.
func (l *lane) follow(ctx context.Context, after Mark, fn func(parcel) error) error {
	mark := after
	return l.settler.options.Log.Follow(ctx, l.group, after.Position, func(at aolog.Position, entry aolog.Entry) error {
		items, err := EntryItems(entry)
		if err != nil {
			return err
		}
		mark = Mark{Position: at, Entries: mark.Entries + 1}
		return fn(parcel{mark: mark, process: entry.Process, timestampMS: entry.TimestampMS, items: items})
	})
}

// EntryItems are the data items that an entry adds to the weave, the assignment last.
func EntryItems(entry aolog.Entry) ([]*dataitem.Item, error) {
	assignment, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil {
		return nil, fmt.Errorf("assignment %s: %w", entry.ID, err)
	}
	if entry.IsBare() {
		return []*dataitem.Item{assignment}, nil
	}
	item, err := entry.Item()
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", entry.Message, err)
	}
	return []*dataitem.Item{item, assignment}, nil
}

// gather waits for an entry, and a little for those behind it; none when the queue
// is closed.
func (l *lane) gather(queue <-chan parcel) (parcels []parcel) {
	entriesMax, bytesMax := l.settler.carrier.limits()
	first, open := <-queue
	if !open {
		return nil
	}
	l.mu.Lock()
	l.waitingMS = first.timestampMS
	l.mu.Unlock()
	parcels = append(parcels, first)
	linger := time.NewTimer(l.settler.options.Timing.Linger)
	defer linger.Stop()
	for size := first.bytes(); len(parcels) < entriesMax && size < bytesMax; {
		select {
		case next, open := <-queue:
			if !open {
				return parcels
			}
			parcels, size = append(parcels, next), size+next.bytes()
		case <-linger.C:
			return parcels
		}
	}
	return parcels
}

// errEnough ends the reading of a stretch.
var errEnough = errors.New("that is enough")

// read gives the entries behind a mark up to another, at most limit.
func (l *lane) read(ctx context.Context, after, to Mark, limit int) (parcels []parcel, err error) {
	err = l.follow(ctx, after, func(p parcel) error {
		parcels = append(parcels, p)
		if len(parcels) == limit || !before(p.mark.Position, to.Position) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return parcels, err
}

// resume finishes a bundle that was on its way. Without a wallet its entries go one
// by one, with all that come after.
func (l *lane) resume(ctx context.Context) error {
	state := l.snapshot()
	if len(state.Shipments) == 0 {
		return nil
	}
	last := state.Shipments[len(state.Shipments)-1]
	if !before(state.Uploaded.Position, last.To.Position) {
		return nil
	}
	if l.settler.options.Wallet == nil {
		return l.change(func(s *State) { s.Shipments = s.Shipments[:len(s.Shipments)-1] })
	}
	parcels, err := l.read(ctx, state.Uploaded, last.To, -1)
	if err != nil {
		return err
	}
	return l.shipIn(ctx, parcels, last.Tx)
}

func (l *lane) ship(ctx context.Context, parcels []parcel) error {
	return l.shipIn(ctx, parcels, nil)
}

// shipIn uploads parcels, which are next, in a transaction if one was begun.
func (l *lane) shipIn(ctx context.Context, parcels []parcel, tx *arweave.Tx) error {
	o := l.settler.options
	to := parcels[len(parcels)-1].mark
	if err := l.settler.carrier.send(ctx, parcels, tx, shipping{l, to}); err != nil {
		return err
	}
	for _, p := range parcels {
		if it := p.items[0]; o.Module != nil && it.ID() == p.process {
			if id, ok := o.Module(it); ok {
				if err := l.settler.Enqueue(id); err != nil {
					return err
				}
			}
		}
	}
	l.mu.Lock()
	l.waitingMS = 0
	l.mu.Unlock()
	return l.change(func(s *State) { s.uploaded(to, o.Now().UnixMilli()) })
}

// shipmentMS is how long entries that go one by one are noted as one shipment.
const shipmentMS = 60_000

// uploaded notes that everything up to a mark was accepted.
func (s *State) uploaded(to Mark, nowMS int64) {
	s.Uploaded = to
	if n := len(s.Shipments); n > 0 {
		last := &s.Shipments[n-1]
		switch {
		case last.To == to:
			last.AtMS = nowMS
			return
		case last.Tx == nil && nowMS-last.AtMS < shipmentMS:
			last.To = to
			return
		}
	}
	s.Shipments = append(s.Shipments, Shipment{To: to, AtMS: nowMS})
}

// shipping is a shipment on its way.
type shipping struct {
	*lane
	to Mark
}

var _ listener = shipping{}

// failed shows why an attempt failed.
func (s shipping) failed(err error) {
	text := ""
	if err != nil {
		text = err.Error()
		s.settler.options.Logger.Debug().Err(err).Uint32("group", s.group).Msg("an upload failed and is made again")
	}
	s.mu.Lock()
	s.upFailure = text
	s.mu.Unlock()
}

// refused keeps the reason for what was left out.
func (s shipping) refused(it *dataitem.Item, why error) error {
	o := s.settler.options
	s.settler.counts.refused.Add(1)
	o.Logger.Error().Err(why).Stringer("item", it.ID()).Msg("this item is not taken: it is left out of settlement, and its assignment is not")
	return save(o.Store, refusedKey(it.ID()), Refusal{ID: it.ID(), AtMS: o.Now().UnixMilli(), Error: why.Error()})
}

// remember notes the bundle that the entries travel in.
func (s shipping) remember(tx *arweave.Tx) error {
	return s.change(func(state *State) {
		if n := len(state.Shipments); n > 0 && state.Shipments[n-1].To == s.to {
			state.Shipments[n-1].Tx = tx
			return
		}
		state.Shipments = append(state.Shipments, Shipment{To: s.to, AtMS: s.settler.options.Now().UnixMilli(), Tx: tx})
	})
}

// Refusal is an item that is not on the weave because nobody takes it.
type Refusal struct {
	ID    ao.ID  `json:"id"`
	AtMS  int64  `json:"at"`
	Error string `json:"error"`
}

func refusedKey(id ao.ID) string { return "refused/" + id.String() }

// countEvery is how often the count of entries is stored.
const countEvery = 5 * time.Second

// count counts the group's entries as they come: what uploading lags behind.
func (l *lane) count(ctx context.Context) error {
	o := l.settler.options
	stored := time.Now()
	err := o.Log.Follow(ctx, l.group, l.committed.Position, func(at aolog.Position, _ aolog.Entry) error {
		l.mu.Lock()
		l.committed = Mark{Position: at, Entries: l.committed.Entries + 1}
		mark := l.committed
		l.mu.Unlock()
		if time.Since(stored) < countEvery {
			return nil
		}
		stored = time.Now()
		return save(o.Store, censusKey(l.group), mark)
	})
	return errors.Join(err, save(o.Store, censusKey(l.group), l.committed))
}

package settlement

import (
	"context"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// verdict is what became of something that was uploaded.
type verdict int

const (
	settled verdict = iota // it is there, deep enough, with the right bytes
	waiting                // it is there, or may still come
	missing                // nobody knows of it
	wrong                  // other bytes are there
)

// confirmEntries is how many entries are looked for at once.
const confirmEntries = PageMax / 2

// confirm looks for what was uploaded until ctx ends.
func (l *lane) confirm(ctx context.Context) error {
	for {
		for {
			more, err := l.confirmNext(ctx)
			if err != nil {
				return err
			}
			if !more {
				break
			}
		}
		if err := sleep(ctx, l.settler.options.Timing.Confirm); err != nil {
			return err
		}
	}
}

// confirmNext looks at the oldest stretch that is not confirmed, and reports
// whether it is now, so that the next one can be looked at.
func (l *lane) confirmNext(ctx context.Context) (more bool, err error) {
	state := l.snapshot()
	if len(state.Shipments) == 0 || before(state.Uploaded.Position, state.Shipments[0].To.Position) {
		return false, nil
	}
	shipment := state.Shipments[0]
	limit := confirmEntries
	if shipment.Tx != nil {
		limit = -1
	}
	parcels, err := l.read(ctx, state.Confirmed, shipment.To, limit)
	if err != nil {
		return false, err
	}
	found, err := l.settler.check(ctx, itemsOf(parcels), shipment.Tx)
	l.mu.Lock()
	l.atFailure = ""
	if err != nil {
		l.atFailure = err.Error()
	}
	l.mu.Unlock()
	if err != nil {
		return false, ctx.Err() // it may answer later
	}
	reached := parcels[len(parcels)-1].mark
	switch {
	case found == settled:
		return true, l.change(func(s *State) {
			s.Confirmed = reached
			if reached == s.Shipments[0].To { // it may have grown meanwhile
				s.Shipments = s.Shipments[1:]
			}
		})
	case found == wrong, found == missing:
		return false, l.repeat(ctx, found, shipment, parcels)
	}
	return false, nil
}

// repeat uploads again what was lost, or is served with other bytes, once it has
// had its time.
func (l *lane) repeat(ctx context.Context, found verdict, shipment Shipment, parcels []parcel) error {
	o := l.settler.options
	if o.Now().UnixMilli()-shipment.AtMS < o.Timing.Lost.Milliseconds() {
		return nil
	}
	o.Logger.Warn().Uint32("group", l.group).Uint64("entries", uint64(len(parcels))).Bool("wrong", found == wrong).
		Msg("what was uploaded is not on the weave as it should be: uploading it again")
	l.settler.counts.again.Add(1)
	tx := shipment.Tx
	if found == missing {
		tx = nil
		if err := l.change(func(s *State) { s.Shipments[0].Tx = nil }); err != nil {
			return err
		}
	}
	reached := parcels[len(parcels)-1].mark
	if err := l.settler.carrier.send(ctx, parcels, tx, again{shipping{l, reached}}); err != nil {
		return err
	}
	return l.change(func(s *State) { s.Shipments[0].AtMS = o.Now().UnixMilli() })
}

// again is a shipment that is made once more: it is the oldest one.
type again struct{ shipping }

// remember puts the new bundle into the place of the old one. A part of what went
// one by one becomes a shipment of its own.
func (a again) remember(tx *arweave.Tx) error {
	return a.change(func(s *State) {
		first := &s.Shipments[0]
		if first.To == a.to {
			first.Tx = tx
			return
		}
		s.Shipments = append([]Shipment{{To: a.to, AtMS: first.AtMS, Tx: tx}}, s.Shipments...)
	})
}

// check looks for items, or for the bundle that they travelled in.
func (s *Settler) check(ctx context.Context, items []*dataitem.Item, tx *arweave.Tx) (verdict, error) {
	size := 0
	for _, it := range items {
		size += len(it.Bytes())
	}
	// A gateway that hangs must not be waited for.
	ctx, cancel := context.WithTimeout(ctx, 4*s.options.Timing.Attempt+timeFor(size))
	defer cancel()
	if tx != nil {
		return s.checkTx(ctx, tx)
	}
	found := make(map[ao.ID]Found, len(items))
	for rest := items; len(rest) > 0; {
		page := rest[:min(len(rest), PageMax)]
		rest = rest[len(page):]
		ids := make([]ao.ID, len(page))
		for i, it := range page {
			ids[i] = it.ID()
		}
		part, err := s.options.From.Look(ctx, ids)
		if err != nil {
			return waiting, err
		}
		for id, one := range part {
			found[id] = one
		}
	}
	height, err := s.options.From.Height(ctx)
	if err != nil {
		return waiting, err
	}
	deep := true
	var there []*dataitem.Item
	for _, it := range items {
		one, ok := found[it.ID()]
		if !ok {
			var refused Refusal
			if err := load(s.options.Store, refusedKey(it.ID()), &refused); err != nil {
				return waiting, err
			}
			if refused.ID == it.ID() {
				continue
			}
			return missing, nil
		}
		deep = deep && one.Height > 0 && height+1 >= one.Height+s.options.Depth
		there = append(there, it)
	}
	if !deep {
		return waiting, nil
	}
	return s.compare(ctx, there, found)
}

// compare reads everything and looks whether it is what was uploaded.
func (s *Settler) compare(ctx context.Context, items []*dataitem.Item, found map[ao.ID]Found) (verdict, error) {
	for _, it := range items {
		what, err := s.options.From.differs(ctx, found[it.ID()], it)
		if err != nil {
			return waiting, err
		}
		if what != "" {
			s.counts.wrong.Add(1)
			s.options.Logger.Error().Stringer("item", it.ID()).Str("differs", what).Msg("the gateway shows another item under this id")
			return wrong, nil
		}
	}
	return settled, nil
}

// checkTx looks for a bundle. Its root is signed, so right data is all right items.
func (s *Settler) checkTx(ctx context.Context, tx *arweave.Tx) (verdict, error) {
	client := s.options.From.client
	status, err := client.Status(ctx, tx.ID)
	switch {
	case ao.CodeOf(err) == ao.CodeNotFound && err != nil:
		return missing, nil
	case err != nil:
		return waiting, err
	case status == nil || status.Confirmations < s.options.Depth:
		return waiting, nil
	}
	data, err := client.Data(ctx, tx.ID)
	if err != nil && ao.CodeOf(err) != ao.CodeNotFound {
		return waiting, err
	}
	if err != nil || tx.CheckData(data) != nil {
		s.counts.wrong.Add(1)
		s.options.Logger.Error().Stringer("tx", tx.ID).Msg("the gateway has other data, or not all of it, for this bundle")
		return wrong, nil
	}
	return settled, nil
}

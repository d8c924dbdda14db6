package settlement

import (
	"context"
	"slices"

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

const (
	// confirmEntries is how many entries are looked for at once.
	confirmEntries = PageMax / 2
	// lookAheadMax is how many stretches behind the oldest that is not confirmed are
	// looked at, too: what is lost should not be found one stretch after the other.
	lookAheadMax = 20
)

// confirm looks for what was uploaded until ctx ends.
func (l *lane) confirm(ctx context.Context) error {
	resent := map[uint64]int64{}
	for {
		if err := l.confirmRound(ctx, resent); err != nil {
			return err
		}
		if err := sleep(ctx, l.settler.options.Timing.Confirm); err != nil {
			return err
		}
	}
}

// confirmRound looks at one stretch after the other, from the oldest that is not
// confirmed. resent says when one was uploaded again in this run, by its end.
func (l *lane) confirmRound(ctx context.Context, resent map[uint64]int64) error {
	after := l.snapshot().Confirmed
	for ahead := 0; ahead < lookAheadMax; {
		shipment, ok := l.snapshot().behind(after)
		if !ok {
			return nil
		}
		limit := confirmEntries
		if shipment.Tx != nil {
			limit = -1
		}
		parcels, err := l.read(ctx, after, shipment.To, limit)
		if err != nil {
			return err
		}
		oldest := ahead == 0
		found, err := l.settler.check(ctx, itemsOf(parcels), shipment.Tx, oldest)
		l.looked(err)
		if err != nil {
			return ctx.Err() // it may answer later
		}
		after = parcels[len(parcels)-1].mark
		if found == settled && oldest {
			delete(resent, after.Entries)
			if err := l.change(func(s *State) { s.confirmed(after) }); err != nil {
				return err
			}
			continue
		}
		ahead++
		if found == missing || found == wrong {
			if err := l.repeat(ctx, found, shipment, parcels, resent); err != nil {
				return err
			}
		}
	}
	return nil
}

// behind gives the shipment that goes on behind a mark; false when all that was
// uploaded lies before it.
func (s State) behind(after Mark) (Shipment, bool) {
	for _, shipment := range s.Shipments {
		if before(after.Position, shipment.To.Position) {
			return shipment, !before(s.Uploaded.Position, shipment.To.Position)
		}
	}
	return Shipment{}, false
}

// confirmed notes that everything up to a mark is settled.
func (s *State) confirmed(to Mark) {
	s.Confirmed = to
	for len(s.Shipments) > 0 && !before(to.Position, s.Shipments[0].To.Position) {
		s.Shipments = s.Shipments[1:]
	}
}

// looked shows why the weave could not be looked at; nil: it could.
func (l *lane) looked(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.atFailure = ""
	if err != nil {
		l.atFailure = err.Error()
	}
}

// repeat uploads again what was lost, or is served with other bytes, once it has
// had its time.
func (l *lane) repeat(ctx context.Context, found verdict, shipment Shipment, parcels []parcel, resent map[uint64]int64) error {
	o := l.settler.options
	reached := parcels[len(parcels)-1].mark
	now := o.Now().UnixMilli()
	if now-max(shipment.AtMS, resent[reached.Entries]) < o.Timing.Lost.Milliseconds() {
		return nil
	}
	o.Logger.Warn().Uint32("group", l.group).Int("entries", len(parcels)).Bool("wrong", found == wrong).
		Msg("what was uploaded is not on the weave as it should be: uploading it again")
	l.settler.counts.again.Add(1)
	tx := shipment.Tx
	if found == missing && tx != nil {
		tx = nil
		if err := l.change(func(s *State) { s.carry(reached, nil) }); err != nil {
			return err
		}
	}
	if err := l.settler.carrier.send(ctx, parcels, tx, again{shipping{l, reached}}); err != nil {
		return err
	}
	resent[reached.Entries] = now
	return nil
}

// again is a shipment that is made once more.
type again struct{ shipping }

// remember notes the bundle that it travels in.
func (a again) remember(tx *arweave.Tx) error {
	return a.change(func(s *State) { s.carry(a.to, tx) })
}

// carry notes in which transaction the entries up to a mark were uploaded. Those that
// were uploaded with others become a shipment of their own.
func (s *State) carry(to Mark, tx *arweave.Tx) {
	for i := range s.Shipments {
		switch {
		case s.Shipments[i].To == to:
			s.Shipments[i].Tx = tx
			return
		case before(to.Position, s.Shipments[i].To.Position):
			s.Shipments = slices.Insert(s.Shipments, i, Shipment{To: to, AtMS: s.Shipments[i].AtMS, Tx: tx})
			return
		}
	}
}

// check looks for items, or for the bundle that they travelled in, and reads them if
// they are to be compared.
func (s *Settler) check(ctx context.Context, items []*dataitem.Item, tx *arweave.Tx, compare bool) (verdict, error) {
	size := 0
	for _, it := range items {
		size += len(it.Bytes())
	}
	// A gateway that hangs must not be waited for.
	ctx, cancel := context.WithTimeout(ctx, 4*s.options.Timing.Attempt+timeFor(size))
	defer cancel()
	if tx != nil {
		return s.checkTx(ctx, tx, compare)
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
	switch {
	case !deep:
		return waiting, nil
	case !compare:
		return settled, nil
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
func (s *Settler) checkTx(ctx context.Context, tx *arweave.Tx, compare bool) (verdict, error) {
	client := s.options.From.client
	status, err := client.Status(ctx, tx.ID)
	switch {
	case ao.CodeOf(err) == ao.CodeNotFound && err != nil:
		return missing, nil
	case err != nil:
		return waiting, err
	case status == nil || status.Confirmations < s.options.Depth:
		return waiting, nil
	case !compare:
		return settled, nil
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

package raft

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/wallaby-ao/wallaby/log"
)

// control decides about what a group agrees on beside messages. Each can come
// again, because two leaders proposed it.
func (b *applyBatch) control(c log.Control) (applyResult, error) {
	switch {
	case c.Promise != nil:
		return b.promise(*c.Promise)
	case c.Watch != nil:
		return b.watch(*c.Watch)
	}
	b.moves = true
	switch {
	case c.Seal != nil:
		return b.seal(*c.Seal)
	case c.Opening != nil:
		return b.open(*c.Opening)
	case c.ShardSeal != nil:
		return b.sealShard(*c.ShardSeal)
	case c.ShardOpening != nil:
		return b.openShard(*c.ShardOpening)
	case c.Attested != nil:
		return b.attest(*c.Attested)
	}
	return applyResult{refused: errors.New("a control of an unknown kind")}, nil
}

// seal ends an epoch, if its head is the one that the leader saw.
func (b *applyBatch) seal(s log.Seal) (applyResult, error) {
	o, err := b.ordering(s.Head.Process)
	if err != nil {
		return applyResult{}, err
	}
	switch {
	case !o.started || o.Epoch > s.Head.Epoch || o.Sealed && o.Epoch == s.Head.Epoch:
		return b.sealAgain(o, s)
	case o.Sealed:
		return applyResult{refused: errNotOrderedHere}, nil
	case o.Head != s.Head:
		return applyResult{refused: fmt.Errorf("its head is at nonce %d, not %d", o.Nonce, s.Head.Nonce)}, nil
	case o.Counts() != o.Nonce+1:
		return applyResult{refused: fmt.Errorf("nonce %d has too few signatures of operators yet", o.Counts())}, nil
	}
	next := o.Ordering
	next.Sealed, next.To = true, s.To
	b.set(next)
	b.changes.Sealed = append(b.changes.Sealed, next)
	b.changes.Waiting = append(b.changes.Waiting, log.Opening{Seal: s, From: b.fsm.group, Before: o.Mode})
	return applyResult{}, nil
}

// sealAgain takes a seal that was taken before for the same; one
// that never was is refused.
func (b *applyBatch) sealAgain(o ordered, s log.Seal) (applyResult, error) {
	newest, err := b.fsm.index.Ordering(s.Head.Process)
	if errors.Is(err, log.ErrProcessUnknown) || err == nil && newest.Epoch < s.Head.Epoch {
		return applyResult{refused: errNotOrderedHere}, nil
	}
	if err != nil {
		return applyResult{}, err
	}
	if o.started && o.Sealed && o.Epoch == s.Head.Epoch && o.To != s.To {
		return applyResult{refused: errNotOrderedHere}, nil
	}
	known, err := b.fsm.index.SealedEpoch(s.Head.Process, s.Head.Epoch)
	switch {
	case errors.Is(err, log.ErrProcessUnknown):
		known = log.Ordering{Head: s.Head, Mode: b.fsm.mode, Group: b.fsm.group, Sealed: true, To: s.To}
		if opening, err := b.fsm.index.Epoch(s.Head.Process, s.Head.Epoch); err == nil {
			known.Mode, known.First = opening.Mode, opening.Ordering().First
		}
		b.changes.Sealed = append(b.changes.Sealed, known)
	case err != nil:
		return applyResult{}, err
	case known.Head != s.Head || known.To != s.To:
		return applyResult{refused: errNotOrderedHere}, nil
	}
	if !o.started {
		o.Ordering = known
	}
	b.set(o.Ordering)
	b.changes.Waiting = append(b.changes.Waiting, log.Opening{Seal: s, From: b.fsm.group, Before: known.Mode})
	return applyResult{duplicate: true}, nil
}

// open begins an epoch with exactly the head that was sealed.
func (b *applyBatch) open(opening log.Opening) (applyResult, error) {
	o, err := b.ordering(opening.Head.Process)
	if err != nil {
		return applyResult{}, err
	}
	next := opening.Ordering()
	b.changes.Opened = append(b.changes.Opened, opening)
	if o.started && o.Epoch >= next.Epoch {
		return applyResult{duplicate: true}, nil
	}
	b.set(next)
	return applyResult{}, nil
}

// attest notes that enough operators have signed a process's order up to a
// nonce.
func (b *applyBatch) attest(a log.Attested) (applyResult, error) {
	a.Index = b.index
	o, err := b.ordering(a.Process)
	switch {
	case err != nil:
		return applyResult{}, err
	case o.started && o.Epoch == a.Epoch && a.First < o.Attested, o.started && o.Epoch > a.Epoch:
		return b.attestAgain(a)
	case !o.started || o.Epoch != a.Epoch || a.First != o.Attested || a.Nonce > o.Nonce:
		return applyResult{refused: fmt.Errorf("signatures for nonces %d to %d do not fit", a.First, a.Nonce)}, nil
	}
	next := o.Ordering
	next.Attested = a.Nonce + 1
	b.set(next)
	b.changes.Attested = append(b.changes.Attested, a)
	return applyResult{}, nil
}

// attestAgain takes signatures that the index does not have; those for places that
// others are for already are left out.
func (b *applyBatch) attestAgain(a log.Attested) (applyResult, error) {
	known, err := b.fsm.index.Attestations(a.Process, a.First, math.MaxUint64, 1)
	if err == nil && (len(known) == 0 || known[0].First > a.Nonce) {
		b.changes.Attested = append(b.changes.Attested, a)
	}
	return applyResult{duplicate: true}, err
}

// sealShard ends a group's right to take new processes of a shard.
func (b *applyBatch) sealShard(s log.Shard) (applyResult, error) {
	shard, err := b.fsm.handovers.shard(s.Voters, s.Number)
	switch {
	case err != nil:
		return applyResult{}, err
	case shard.Version > s.Version || shard.Sealed:
		return applyResult{duplicate: true}, nil
	}
	s.Sealed = true
	b.changes.Shards = append(b.changes.Shards, s)
	return applyResult{}, nil
}

// openShard gives that right to another group.
func (b *applyBatch) openShard(s log.Shard) (applyResult, error) {
	shard, err := b.fsm.handovers.shard(s.Voters, s.Number)
	switch {
	case err != nil:
		return applyResult{}, err
	case shard.Version >= s.Version:
		return applyResult{duplicate: true}, nil
	}
	b.changes.Shards = append(b.changes.Shards, s)
	return applyResult{}, nil
}

// handOver puts each process's ordering where it belongs: with the newest if all
// before it is here, else apart until that has come.
func (b *applyBatch) handOver() (log.Update, error) {
	update := b.changes
	for _, process := range b.touched {
		own := b.orderings[process].Ordering
		newest, known, err := b.newest(own)
		if err != nil {
			return update, err
		}
		if known {
			update.Newest = append(update.Newest, newest)
			update.Waiting = slices.DeleteFunc(update.Waiting, func(o log.Opening) bool {
				return o.Head.Process == process && o.Head.Epoch < newest.Epoch
			})
		}
		if !known || newest.Epoch != own.Epoch || own.Sealed {
			update.Apart = append(update.Apart, own)
		}
	}
	return update, nil
}

// newest gives the newest ordering of a process of which all before is here, now
// that its group has come as far as own.
func (b *applyBatch) newest(own log.Ordering) (newest log.Ordering, known bool, err error) {
	newest, err = b.fsm.index.Ordering(own.Process)
	if err != nil && !errors.Is(err, log.ErrProcessUnknown) {
		return newest, false, err
	}
	known = err == nil
	next, group := uint64(0), own.Group // the epoch to look for, and where
	switch {
	case known && newest.Sealed:
		next, group = newest.Epoch+1, newest.To
	case known:
		next, group = newest.Epoch, newest.Group
	}
	for {
		ordering, err := b.epoch(own, group, next)
		if errors.Is(err, log.ErrProcessUnknown) {
			return newest, known, nil
		}
		if err != nil || !ordering.Sealed {
			return ordering, true, err
		}
		newest, known = ordering, true
		next, group = next+1, ordering.To
	}
}

// epoch gives how far a group has come with one epoch of a process, or
// ErrProcessUnknown.
func (b *applyBatch) epoch(own log.Ordering, group uint32, number uint64) (log.Ordering, error) {
	for _, sealed := range b.changes.Sealed {
		if sealed.Process == own.Process && sealed.Epoch == number {
			return sealed, nil
		}
	}
	sealed, err := b.fsm.index.SealedEpoch(own.Process, number)
	if err == nil || !errors.Is(err, log.ErrProcessUnknown) {
		return sealed, err
	}
	if group == b.fsm.group {
		if own.Epoch == number {
			return own, nil
		}
		return own, log.ErrProcessUnknown
	}
	ordering, _, err := b.fsm.index.OrderingIn(own.Process, group)
	if err == nil && ordering.Epoch != number {
		return ordering, log.ErrProcessUnknown
	}
	return ordering, err
}

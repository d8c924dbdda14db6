package raft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// applyBatch collects what one Raft entry changes: later parts of it must see the
// heads and keys of those before.
type applyBatch struct {
	fsm       *fsm
	index     uint64
	orderings map[ao.ID]ordered
	keys      map[[2]ao.ID]bool
	touched   []ao.ID // whose ordering changes, in order
	changes   log.Update
	results   []applyResult
	// moves is set when an epoch begins or ends, or goes on apart from the newest
	// one that this node knows in full.
	moves bool
}

// ordered is a group's ordering of a process.
type ordered struct {
	log.Ordering
	started bool
	changed bool // by this batch
}

func newBatch(f *fsm, index uint64) *applyBatch {
	return &applyBatch{fsm: f, index: index, orderings: map[ao.ID]ordered{}, keys: map[[2]ao.ID]bool{}}
}

// ordering gives the group's own ordering of a process.
func (b *applyBatch) ordering(process ao.ID) (ordered, error) {
	if o, ok := b.orderings[process]; ok {
		return o, nil
	}
	ordering, whole, err := b.fsm.index.OrderingIn(process, b.fsm.group)
	if errors.Is(err, log.ErrProcessUnknown) {
		// Known elsewhere: what is here is no longer, or not yet, in line.
		_, err = b.fsm.index.Ordering(process)
		b.moves = b.moves || err == nil
		if err != nil && !errors.Is(err, log.ErrProcessUnknown) {
			return ordered{}, err
		}
		return ordered{}, nil
	}
	b.moves = b.moves || !whole
	return ordered{Ordering: ordering, started: true}, err
}

func (b *applyBatch) set(o log.Ordering) {
	if !b.orderings[o.Process].changed {
		b.touched = append(b.touched, o.Process)
	}
	b.orderings[o.Process] = ordered{o, true, true}
}

// take checks an entry against its process's head and adds it to the batch.
func (b *applyBatch) take(e log.Entry, place log.Place) (applyResult, error) {
	keys, err := log.KeysOf(e)
	if err != nil {
		return applyResult{}, err
	}
	o, err := b.ordering(e.Process)
	if err != nil {
		return applyResult{}, err
	}
	inEpoch, anywhere, err := b.knows(e, keys, o.First)
	if err != nil {
		return applyResult{}, err
	}
	if anywhere || e.Nonce <= o.Nonce || !o.started {
		again, err := b.isAgain(o, e, place)
		if err != nil {
			return applyResult{}, err
		}
		if again {
			return applyResult{entry: e}, b.putAgain(o, log.Indexed{Entry: e, Place: place, Keys: keys})
		}
	}
	switch {
	case inEpoch:
		return applyResult{entry: e, duplicate: true}, nil
	case o.Sealed, !o.started && !e.Message.IsZero():
		return applyResult{entry: e, refused: errNotOrderedHere}, nil
	}
	if refused := b.fsm.sequencer.Check(o.Head, o.started, e); refused != nil {
		return applyResult{entry: e, refused: refused}, nil
	}
	if err := b.add(o, e); err != nil {
		return applyResult{}, err
	}
	b.changes.Entries = append(b.changes.Entries, log.Indexed{Entry: e, Place: place, Keys: keys})
	for _, key := range keys {
		b.keys[[2]ao.ID{e.Process, key}] = true
	}
	return applyResult{entry: e}, nil
}

// putAgain indexes an entry that was taken before, and moves the head to it only
// if the head was lost.
func (b *applyBatch) putAgain(o ordered, indexed log.Indexed) error {
	e := indexed.Entry
	b.changes.Entries = append(b.changes.Entries, indexed)
	_, err := b.fsm.index.Ordering(e.Process)
	lost := !o.started && e.Message.IsZero() && err != nil
	if lost || o.started && !o.Sealed && e.Nonce > o.Nonce {
		return b.add(o, e)
	}
	return nil
}

// add moves a process's head to an entry.
func (b *applyBatch) add(o ordered, e log.Entry) (err error) {
	next := o.Ordering
	next.Head = log.HeadOf(e)
	if !o.started {
		next.Group = b.fsm.group
		next.Mode, err = modeOf(e, b.fsm.mode)
	}
	b.set(next)
	return err
}

// modeOf gives the mode that a process is spawned with. Whoever proposed it has
// refused what cannot be read.
func modeOf(spawn log.Entry, otherwise log.Mode) (log.Mode, error) {
	item, err := spawn.Item()
	if err != nil {
		return otherwise, fmt.Errorf("process %s: %w", spawn.Process, err)
	}
	if text, ok := item.Tags.Lookup(ao.TagSequencing); ok {
		if mode, err := log.ParseMode(text); err == nil {
			return mode, nil
		}
	}
	return otherwise, nil
}

// knows reports whether the process has a message already, at another nonce: in
// this epoch, and anywhere. At its own nonce it is known from before a crash that
// lost a part of what the index had, or it is another leader's try, which does
// not follow the head. Those of epochs before are the leader's to refuse: other
// nodes may not have them yet.
func (b *applyBatch) knows(e log.Entry, keys []ao.ID, first uint64) (inEpoch, anywhere bool, err error) {
	for _, key := range keys {
		if b.keys[[2]ao.ID{e.Process, key}] {
			return true, true, nil
		}
		nonce, err := b.fsm.index.Find(e.Process, key)
		if errors.Is(err, log.ErrEntryUnknown) {
			continue
		}
		if err != nil {
			return false, false, err
		}
		anywhere = true
		inEpoch = inEpoch || nonce >= first && nonce != e.Nonce
	}
	return inEpoch, anywhere, nil
}

// isAgain reports whether an entry was taken before: after a restart the state
// machine sees entries again that the index holds, and some that it held and
// lost. Such a one must still follow the entry before it: a gap in the index is
// no place for what a stale leader proposed.
func (b *applyBatch) isAgain(o ordered, e log.Entry, place log.Place) (bool, error) {
	at, err := b.fsm.index.Place(e.Process, e.Nonce)
	if err == nil {
		return at == place, nil
	}
	if !errors.Is(err, log.ErrEntryUnknown) {
		return false, err
	}
	head, known := o.Head, o.started
	if newest, err := b.fsm.index.Ordering(e.Process); err == nil && (!known || newest.Epoch > head.Epoch) {
		head, known = newest.Head, true
	}
	if !known || e.Nonce > head.Nonce {
		return false, nil
	}
	before, started, err := b.before(e)
	if err != nil {
		return false, err
	}
	return b.fsm.sequencer.Check(before, started, e) == nil, nil
}

// before gives the head that an entry followed when it was taken.
func (b *applyBatch) before(e log.Entry) (head log.Head, started bool, err error) {
	if e.Nonce == 0 {
		return head, false, nil
	}
	opening, err := b.fsm.index.Epoch(e.Process, e.Epoch)
	if err == nil && opening.Head.Nonce+1 == e.Nonce {
		return opening.Ordering().Head, true, nil
	}
	if err != nil && !errors.Is(err, log.ErrEntryUnknown) {
		return head, false, err
	}
	for _, taken := range slices.Backward(b.changes.Entries) {
		if taken.Entry.Process == e.Process && taken.Entry.Nonce == e.Nonce-1 {
			return log.HeadOf(taken.Entry), true, nil
		}
	}
	previous, err := b.fsm.index.Place(e.Process, e.Nonce-1)
	if err != nil {
		return head, false, fmt.Errorf("entry before %d of %s: %w", e.Nonce, e.Process, err)
	}
	bytes, err := b.fsm.ledger.ReadAt(previous.Location, int(previous.Length))
	if err != nil {
		return head, false, err
	}
	entry, _, err := log.DecodeEntry(bytes)
	if err != nil {
		return head, false, fmt.Errorf("entry before %d of %s: %w", e.Nonce, e.Process, err)
	}
	return log.HeadOf(entry), true, nil
}

// update gives what a batch changes that begins and ends no epoch.
func (b *applyBatch) update() log.Update {
	for _, process := range b.touched {
		b.changes.Newest = append(b.changes.Newest, b.orderings[process].Ordering)
	}
	return b.changes
}

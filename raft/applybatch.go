package raft

import (
	"errors"
	"fmt"

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

func newBatch(f *fsm, index uint64, parts int) *applyBatch {
	return &applyBatch{
		fsm: f, index: index, results: make([]applyResult, parts),
		orderings: map[ao.ID]ordered{}, keys: make(map[[2]ao.ID]bool, parts),
		changes: log.Update{Entries: make([]log.Indexed, 0, parts)},
	}
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
func (b *applyBatch) take(indexed log.Indexed) (applyResult, error) {
	e := indexed.Entry
	o, err := b.ordering(e.Process)
	if err != nil {
		return applyResult{}, err
	}
	known, err := b.knows(e.Process, indexed.Keys, o.First)
	switch {
	case err != nil:
		return applyResult{}, err
	case known:
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
	b.changes.Entries = append(b.changes.Entries, indexed)
	for _, key := range indexed.Keys {
		b.keys[[2]ao.ID{e.Process, key}] = true
	}
	return applyResult{entry: e}, nil
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

// knows reports whether a process has a message already, in this epoch. Those of
// epochs before are the leader's to refuse: other nodes may not have them yet.
func (b *applyBatch) knows(process ao.ID, keys []ao.ID, first uint64) (bool, error) {
	for _, key := range keys {
		if b.keys[[2]ao.ID{process, key}] {
			return true, nil
		}
		nonce, err := b.fsm.index.Find(process, key)
		if err == nil && nonce >= first {
			return true, nil
		}
		if err != nil && !errors.Is(err, log.ErrEntryUnknown) {
			return false, err
		}
	}
	return false, nil
}

// update gives what a batch changes that begins and ends no epoch.
func (b *applyBatch) update() log.Update {
	for _, process := range b.touched {
		b.changes.Newest = append(b.changes.Newest, b.orderings[process].Ordering)
	}
	return b.changes
}

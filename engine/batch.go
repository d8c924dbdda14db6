package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
)

const (
	batchRecords = 64
	batchBytes   = 256 << 10
)

// batch collects evaluations of one process until they are stored together.
type batch struct {
	process ao.ID
	next    uint64 // nonce of the first evaluation in the batch
	items   []batchItem
	bytes   int
	// places has the first nonces of messages: of those that the batch and the
	// ones committed before it evaluate, and of those among the messages to come
	// that the store knows.
	places map[ao.ID]uint64
	// tallies has the pushes that the batch and the ones committed before it
	// changed what is known of.
	tallies map[ao.ID]tally
}

type batchItem struct {
	record
	effects int
	root    ao.ID
	push    *tallied // nil: nothing to remember
}

func (b *batch) add(r record, effects int, root ao.ID) {
	if r.flags&flagSkipped == 0 {
		b.places[r.message] = b.next + uint64(len(b.items))
	}
	b.items = append(b.items, batchItem{record: r, effects: effects, root: root})
	b.bytes += len(r.result) + recordHeaderBytes
}

func (b *batch) full() bool { return len(b.items) >= batchRecords || b.bytes >= batchBytes }

// commit stores a batch and empties it: evaluations, outbox records, where
// messages have their first place, and how far the process has come.
func (e *Engine) commit(p *process, b *batch, head uint64) error {
	if len(b.items) == 0 {
		return nil
	}
	for len(b.items) > 0 {
		_, _, behind := e.table.goal(p)
		caughtUp := behind && b.next+uint64(len(b.items)) > head
		count, err := e.store.commit(b, caughtUp)
		if err != nil {
			return fmt.Errorf("store evaluations of process %s from nonce %d: %w", p.id, b.next, err)
		}
		effects := 0
		var results []EffectKey
		for i, item := range b.items[:count] {
			if item.effects > 0 {
				effects += item.effects
				results = append(results, EffectKey{Process: p.id, Nonce: b.next + uint64(i)})
			}
		}
		b.items = b.items[count:]
		b.next += uint64(count)
		e.counters.stored.Add(uint64(count))
		e.outbox.added(results, effects)
		e.table.advance(p, b.next)
		if caughtUp && len(b.items) == 0 {
			e.table.mark(p, false)
		}
	}
	*b = batch{process: b.process, next: b.next, places: b.places, tallies: b.tallies}
	return nil
}

// commit writes as many of a batch's evaluations as one transaction takes, and
// gives their number. Those that do not fit follow in the next.
func (s *store) commit(b *batch, caughtUp bool) (count int, err error) {
	for count = len(b.items); ; count /= 2 {
		err = s.db.Update(func(txn *badger.Txn) error {
			for i, item := range b.items[:count] {
				if err := putEvaluation(txn, b, b.next+uint64(i), item); err != nil {
					return err
				}
			}
			if caughtUp && count == len(b.items) {
				if err := txn.Delete(idKey(keyLag, b.process)); err != nil {
					return err
				}
			}
			next := binary.BigEndian.AppendUint64(nil, b.next+uint64(count))
			return txn.Set(idKey(keyProgress, b.process), next)
		})
		if count == 1 || !errors.Is(err, badger.ErrTxnTooBig) {
			return count, err
		}
	}
}

func putEvaluation(txn *badger.Txn, b *batch, nonce uint64, item batchItem) error {
	entry := badger.NewEntry(nonceKey(keyRecord, b.process, nonce), item.encode()).WithMeta(item.flags)
	if err := txn.SetEntry(entry); err != nil {
		return err
	}
	if item.flags&flagSkipped == 0 {
		place := binary.BigEndian.AppendUint64(nil, nonce)
		if err := txn.Set(idsKey(keyMessage, b.process, item.message), place); err != nil {
			return err
		}
	}
	if item.push != nil {
		if err := putTally(txn, b.process, item.push); err != nil {
			return err
		}
	}
	if item.effects == 0 {
		return nil
	}
	outbox := outboxRecord{Root: item.root, Count: uint32(item.effects)}
	return txn.Set(nonceKey(keyOutbox, b.process, nonce), outbox.encode())
}

// fallBehind marks a process as behind what has been followed.
func (s *store) fallBehind(process ao.ID) error {
	return s.db.Update(func(txn *badger.Txn) error { return txn.Set(idKey(keyLag, process), nil) })
}

// catchUp takes the mark away.
func (s *store) catchUp(process ao.ID) error {
	return s.db.Update(func(txn *badger.Txn) error { return txn.Delete(idKey(keyLag, process)) })
}

func isMissing(err error) bool { return errors.Is(err, badger.ErrKeyNotFound) }

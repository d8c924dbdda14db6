package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

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
	next    place // of the first evaluation to come
	items   []batchItem
	bytes   int
	want    goal
	begun   time.Time // collecting
	// deadline is when other processes should have a turn.
	deadline time.Time
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
	at      place
	effects int
	root    ao.ID
	push    *tallied    // nil: nothing to remember
	state   *storedRoot // nil: the state's root is not kept
}

func (b *batch) add(at place, r record, effects int, root ao.ID) {
	if at.tick == 0 && r.flags&flagSkipped == 0 {
		b.places[r.message] = at.nonce
	}
	b.items = append(b.items, batchItem{record: r, at: at, effects: effects, root: root})
	b.next = at.after()
	b.bytes += len(r.result) + recordHeaderBytes
}

// effects counts what the batch's results have a messenger do.
func (b *batch) effects() (count int) {
	for _, item := range b.items {
		count += item.effects
	}
	return count
}

func (b *batch) full() bool { return len(b.items) >= batchRecords || b.bytes >= batchBytes }

// commit stores a batch and empties it: evaluations, outbox records, where
// messages have their first place, and how far the process has come.
func (e *Engine) commit(p *process, b *batch) error {
	// Effects are counted before they can be read: who sees all results, and
	// nothing pending, may believe it.
	e.outbox.expect(b.effects())
	for len(b.items) > 0 {
		_, _, behind := e.table.goal(p)
		caughtUp := behind && p.live.covers(b.want)
		count, err := e.store.commit(b, caughtUp)
		if err != nil {
			e.outbox.expect(-b.effects())
			return fmt.Errorf("store evaluations of process %s from %s: %w", p.id, b.items[0].at, err)
		}
		var results []EffectKey
		for _, item := range b.items[:count] {
			if item.effects > 0 {
				results = append(results, EffectKey{Process: p.id, Nonce: item.at.nonce, Tick: item.at.tick})
			}
		}
		next := b.items[count-1].at.after()
		b.items = b.items[count:]
		e.counters.stored.Add(uint64(count))
		e.outbox.added(results)
		e.table.advance(p, reach{next: next})
		if caughtUp && len(b.items) == 0 {
			e.table.mark(p, false)
		}
	}
	if p.live.next == b.next {
		e.table.advance(p, p.live.reach)
	}
	b.items, b.bytes = nil, 0
	return nil
}

// commit writes as many of a batch's evaluations as one transaction takes, and
// gives their number. Those that do not fit follow in the next.
func (s *store) commit(b *batch, caughtUp bool) (count int, err error) {
	for count = len(b.items); ; count /= 2 {
		err = s.db.Update(func(txn *badger.Txn) error {
			for _, item := range b.items[:count] {
				if err := putEvaluation(txn, b.process, item); err != nil {
					return err
				}
			}
			if caughtUp && count == len(b.items) {
				if err := txn.Delete(idKey(keyLag, b.process)); err != nil {
					return err
				}
			}
			return txn.Set(idKey(keyProgress, b.process), encodeProgress(b.items[count-1].at.after()))
		})
		if count == 1 || !errors.Is(err, badger.ErrTxnTooBig) {
			return count, err
		}
	}
}

func putEvaluation(txn *badger.Txn, process ao.ID, item batchItem) error {
	entry := badger.NewEntry(placeKey(keyRecord, process, item.at), item.encode()).WithMeta(item.flags)
	if err := txn.SetEntry(entry); err != nil {
		return err
	}
	if item.at.tick == 0 && item.flags&flagSkipped == 0 {
		nonce := binary.BigEndian.AppendUint64(nil, item.at.nonce)
		if err := txn.Set(idsKey(keyMessage, process, item.message), nonce); err != nil {
			return err
		}
	}
	if item.push != nil {
		if err := putTally(txn, process, item.push); err != nil {
			return err
		}
	}
	if item.state != nil {
		if err := txn.Set(placeKey(keyStateRoot, process, item.at), item.state.encode()); err != nil {
			return err
		}
	}
	if item.effects == 0 {
		return nil
	}
	outbox := outboxRecord{Root: item.root, Count: uint32(item.effects)}
	return txn.Set(placeKey(keyOutbox, process, item.at), outbox.encode())
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

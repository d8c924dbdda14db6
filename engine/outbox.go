package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
)

// Outbox holds the effects of results until they are delivered. It is safe for
// concurrent use.
//
// The store has one record for each result with effects: which of them are
// done, and what is known of those that were tried. Bodies stay in the stored
// result. The record moves from pending to dead to trace as its effects do.
type Outbox struct {
	store   *store
	changed chan struct{}
	news    news

	mu      sync.Mutex // serializes changes of records
	pending int
	dead    int
}

// openOutbox counts what is pending and sees to it that a messenger looks.
func openOutbox(s *store) (*Outbox, error) {
	o := &Outbox{store: s, changed: make(chan struct{}, 1)}
	for _, prefix := range []string{keyOutbox, keyDead} {
		err := o.scan(context.Background(), prefix, EffectKey{}, func(key EffectKey, record outboxRecord) (bool, error) {
			o.pending += record.pending()
			o.dead += record.dead()
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("count pending effects: %w", err)
		}
	}
	o.notify()
	return o, nil
}

// Changed receives when there may be new effects. It holds at most one signal,
// so a receiver takes all the news, or lists all that is pending.
func (o *Outbox) Changed() <-chan struct{} { return o.changed }

// Count gives how many effects are pending.
func (o *Outbox) Count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.pending
}

// DeadCount gives how many effects were given up and wait for a person.
func (o *Outbox) DeadCount() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.dead
}

// Pending lists effects that are neither done nor dead, in order of process,
// nonce and index, after the given key. One process's effects stand in
// delivery order.
func (o *Outbox) Pending(ctx context.Context, after EffectKey, limit int) ([]Effect, error) {
	return o.List(ctx, OutboxQuery{State: EffectPending, After: after, Limit: limit})
}

// Effects lists all effects of one result with what has become of them, done
// ones too, for a trace.
func (o *Outbox) Effects(process ao.ID, nonce uint64) (effects []Effect, done []bool, err error) {
	key := EffectKey{Process: process, Nonce: nonce}
	_, record, err := o.load(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if effects, err = o.effects(key, record); err != nil {
		return nil, nil, err
	}
	for i := range effects {
		effect := &effects[i]
		done = append(done, record.isDone(effect.Index))
		if !done[i] {
			continue
		}
		ids, err := o.store.get(effectKey(effect.Key()))
		if err != nil && !isMissing(err) {
			return nil, nil, err
		}
		effect.Delivered = decodeIDs(ids)
	}
	return effects, done, nil
}

// Update stores an effect's attempts, next time, error, delivered ids and
// whether it is dead. A complete effect stays complete.
func (o *Outbox) Update(effect Effect) error {
	return o.change(effect.Key(), nil, func(record *outboxRecord) { record.touch(effect) })
}

// Complete takes an effect out of what is pending and keeps what it delivered
// as a trace.
func (o *Outbox) Complete(effect Effect) error {
	return o.change(effect.Key(), effect.Delivered, func(record *outboxRecord) { record.setDone(effect.Index) })
}

// change applies fn to a record and puts it where it then belongs. Delivered
// ids go into the store beside it: a record with those of thousands of effects
// would be written again for each of them.
func (o *Outbox) change(key EffectKey, delivered []ao.ID, fn func(*outboxRecord)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	from, record, err := o.load(key)
	if errors.Is(err, badger.ErrKeyNotFound) || err == nil && key.Index >= record.Count {
		return ao.Errorf(ao.CodeNotFound, "there is no effect %s", key)
	}
	if err != nil {
		return err
	}
	pending, dead := record.pending(), record.dead()
	fn(&record)
	to := record.prefix()
	err = o.store.db.Update(func(txn *badger.Txn) error {
		if from != to {
			if err := txn.Delete(nonceKey(from, key.Process, key.Nonce)); err != nil {
				return err
			}
		}
		if len(delivered) > 0 {
			if err := txn.Set(effectKey(key), encodeIDs(delivered)); err != nil {
				return err
			}
		}
		return txn.Set(nonceKey(to, key.Process, key.Nonce), record.encode())
	})
	if err != nil {
		return fmt.Errorf("store effect %s: %w", key, err)
	}
	o.pending += record.pending() - pending
	o.dead += record.dead() - dead
	return nil
}

// load gives a result's record and under which prefix it stands.
func (o *Outbox) load(key EffectKey) (prefix string, record outboxRecord, err error) {
	for _, prefix = range []string{keyOutbox, keyDead, keyTrace} {
		var value []byte
		value, err = o.store.get(nonceKey(prefix, key.Process, key.Nonce))
		if errors.Is(err, badger.ErrKeyNotFound) {
			continue
		}
		if err == nil {
			record, err = decodeOutboxRecord(value)
		}
		return prefix, record, err
	}
	return "", outboxRecord{}, err
}

// effects joins a record with the bodies in the stored result.
func (o *Outbox) effects(key EffectKey, record outboxRecord) ([]Effect, error) {
	stored, err := o.store.record(key.Process, key.Nonce)
	if err != nil {
		return nil, fmt.Errorf("result %s/%d with pending effects: %w", key.Process, key.Nonce, err)
	}
	evaluation, err := stored.evaluation(key.Process, key.Nonce)
	if err != nil {
		return nil, err
	}
	effects := effectsOf(evaluation.Result)
	for i := range effects {
		effect := &effects[i]
		effect.Process, effect.Nonce, effect.Root = key.Process, key.Nonce, record.Root
		touched := record.touched(effect.Index)
		effect.Attempts, effect.NextMS, effect.Error = touched.Attempts, touched.NextMS, touched.Error
		effect.Dead, effect.Dropped, effect.Delivered = touched.Dead, touched.Dropped, slices.Clone(touched.Delivered)
	}
	return effects, nil
}

// scan calls fn for records from the result of the key on, until it gives
// false.
func (o *Outbox) scan(ctx context.Context, prefix string, from EffectKey, fn func(EffectKey, outboxRecord) (bool, error)) error {
	return o.store.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer iterator.Close()
		for iterator.Seek(nonceKey(prefix, from.Process, from.Nonce)); iterator.Valid(); iterator.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			var key EffectKey
			key.Process, key.Nonce = splitNonceKey(iterator.Item().Key())
			value, err := iterator.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			record, err := decodeOutboxRecord(value)
			if err != nil {
				return err
			}
			if again, err := fn(key, record); err != nil || !again {
				return err
			}
		}
		return nil
	})
}

// added accounts for the effects of results that a committed transaction wrote.
func (o *Outbox) added(results []EffectKey, count int) {
	if count == 0 {
		return
	}
	o.news.add(results)
	o.mu.Lock()
	o.pending += count
	o.mu.Unlock()
	o.signal()
}

// notify has a messenger list what is pending.
func (o *Outbox) notify() {
	o.news.relist()
	o.signal()
}

func (o *Outbox) signal() {
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

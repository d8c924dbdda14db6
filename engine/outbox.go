package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
)

// Outbox holds the effects of results until they are delivered. It is safe for
// concurrent use.
//
// The store has one record for each result with effects: which of them are
// done, and what is known of those that were tried. Bodies stay in the stored
// result. The record moves from pending to parked to dead to trace as its effects
// do.
type Outbox struct {
	store   *store
	changed chan struct{}
	news    news

	mu        sync.Mutex // serializes changes of records
	tally     effectCounts
	cascades  map[ao.ID]*ParkedCascade
	anyParked atomic.Bool
}

// openOutbox counts what is pending and sees to it that a messenger looks.
func openOutbox(s *store) (*Outbox, error) {
	o := &Outbox{store: s, changed: make(chan struct{}, 1), cascades: map[ao.ID]*ParkedCascade{}}
	for _, prefix := range []string{keyOutbox, keyParked, keyDead} {
		err := o.scan(context.Background(), prefix, EffectKey{}, func(key EffectKey, record outboxRecord) (bool, error) {
			o.account(key.Process, outboxRecord{}, record)
			return true, nil
		})
		if err != nil {
			return nil, fmt.Errorf("count pending effects: %w", err)
		}
	}
	o.notify()
	return o, nil
}

// account follows a record from what it was to what it is; mu is held, or nobody
// else is there.
func (o *Outbox) account(process ao.ID, before, after outboxRecord) {
	was, is := before.tally(), after.tally()
	o.tally.add(was, -1)
	o.tally.add(is, +1)
	if was.parked != 0 || is.parked != 0 {
		o.accountParked(process, after, is.parked-was.parked)
	}
}

// Changed receives when there may be new effects. It holds at most one signal,
// so a receiver takes all the news, or lists all that is pending.
func (o *Outbox) Changed() <-chan struct{} { return o.changed }

// Count gives how many effects are pending, with those whose results are being
// stored.
func (o *Outbox) Count() int { return o.counts().pending }

func (o *Outbox) counts() effectCounts {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tally
}

// Pending lists effects that are to be delivered, in order of process,
// nonce and index, after the given key. One process's effects stand in
// delivery order.
func (o *Outbox) Pending(ctx context.Context, after EffectKey, limit int) ([]Effect, error) {
	return o.List(ctx, OutboxQuery{State: EffectPending, After: after, Limit: limit})
}

// Effects lists all effects of the result that a key is about, whatever its index,
// with what has become of them, done ones too, for a trace.
func (o *Outbox) Effects(key EffectKey) (effects []Effect, states []EffectState, err error) {
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
		state := record.stateOf(effects[i].Index)
		if err := o.tellDelivery(&effects[i], state); err != nil {
			return nil, nil, err
		}
		states = append(states, state)
	}
	return effects, states, nil
}

// tellDelivery gives a done effect how it was delivered.
func (o *Outbox) tellDelivery(effect *Effect, state EffectState) error {
	if state != EffectDone {
		return nil
	}
	d, err := o.store.delivery(effect.Key())
	if err != nil {
		return fmt.Errorf("read how effect %s was delivered: %w", effect.Key(), err)
	}
	d.tell(effect)
	return nil
}

// Update stores an effect's attempts, times, error, delivered ids and whether it
// is parked or dead. A complete effect stays complete.
func (o *Outbox) Update(effect Effect) error {
	return o.change(effect.Key(), nil, func(record *outboxRecord) { record.touch(effect) })
}

// Complete takes an effect out of what is pending and keeps how it was delivered
// as a trace.
func (o *Outbox) Complete(effect Effect) error {
	return o.change(effect.Key(), deliveryOf(effect), func(record *outboxRecord) { record.setDone(effect.Index) })
}

// change applies fn to a record and puts it where it then belongs, with the
// delivery of the effect, if there is one, beside it.
func (o *Outbox) change(key EffectKey, done *delivery, fn func(*outboxRecord)) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	from, record, err := o.load(key)
	if errors.Is(err, badger.ErrKeyNotFound) || err == nil && key.Index >= record.Count {
		return ao.Errorf(ao.CodeNotFound, "there is no effect %s", key)
	}
	if err != nil {
		return err
	}
	before := record.clone()
	fn(&record)
	to := record.prefix()
	err = o.store.db.Update(func(txn *badger.Txn) error {
		if from != to {
			if err := txn.Delete(placeKey(from, key.Process, key.place())); err != nil {
				return err
			}
		}
		if done != nil {
			if err := txn.SetEntry(done.entry(key)); err != nil {
				return err
			}
		}
		return txn.Set(placeKey(to, key.Process, key.place()), record.encode())
	})
	if err != nil {
		return fmt.Errorf("store effect %s: %w", key, err)
	}
	o.account(key.Process, before, record)
	return nil
}

// load gives a result's record and under which prefix it stands.
func (o *Outbox) load(key EffectKey) (prefix string, record outboxRecord, err error) {
	for _, prefix = range []string{keyOutbox, keyParked, keyDead, keyTrace} {
		var value []byte
		value, err = o.store.get(placeKey(prefix, key.Process, key.place()))
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
	stored, err := o.store.record(key.Process, key.place())
	if err != nil {
		return nil, fmt.Errorf("result of process %s at %s with pending effects: %w", key.Process, key.place(), err)
	}
	evaluation, err := stored.evaluation(key.Process, key.place())
	if err != nil {
		return nil, err
	}
	effects := effectsOf(evaluation.Result)
	for i := range effects {
		effect := &effects[i]
		effect.Process, effect.Nonce, effect.Tick, effect.Root = key.Process, key.Nonce, key.Tick, record.Root
		record.touched(effect.Index).tell(effect)
	}
	return effects, nil
}

// scan calls fn for records from the result of the key on, until it gives
// false.
func (o *Outbox) scan(ctx context.Context, prefix string, from EffectKey, fn func(EffectKey, outboxRecord) (bool, error)) error {
	return o.store.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(prefix)})
		defer iterator.Close()
		for iterator.Seek(placeKey(prefix, from.Process, from.place())); iterator.Valid(); iterator.Next() {
			if err := ctx.Err(); err != nil {
				return err
			}
			process, at := splitPlaceKey(iterator.Item().Key())
			key := EffectKey{Process: process, Nonce: at.nonce, Tick: at.tick}
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

// expect counts effects of results that are about to be written; fewer than
// none takes back what was expected and did not come.
func (o *Outbox) expect(count int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tally.pending += count
}

// added tells of the results with effects that a committed transaction wrote.
func (o *Outbox) added(results []EffectKey) {
	if len(results) == 0 {
		return
	}
	o.news.add(results)
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

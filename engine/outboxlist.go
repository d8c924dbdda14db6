package engine

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
)

// EffectState says what has become of an effect.
type EffectState string

// The states of an effect. A parked one belongs to a cascade that went too far, and
// a dead one was given up: both wait for a person.
const (
	EffectPending EffectState = "pending"
	EffectParked  EffectState = "parked"
	EffectDead    EffectState = "dead"
	EffectDropped EffectState = "dropped"
	EffectDone    EffectState = "done"
)

// prefixesOf lists where records may stand that have effects of a state.
func prefixesOf(state EffectState) ([]string, error) {
	all := []string{keyOutbox, keyParked, keyDead, keyTrace}
	switch state {
	case EffectPending:
		return all[:1], nil
	case EffectParked:
		return all[:2], nil
	case EffectDead:
		return all[:3], nil
	case EffectDropped, EffectDone:
		return all, nil
	}
	return nil, ao.Errorf(ao.CodeInvalid, "there is no state %q: it is pending, parked, dead, dropped or done", string(state))
}

// OutboxQuery chooses effects.
type OutboxQuery struct {
	Process ao.ID // zero: all
	Cascade ao.ID // zero: all; else a root, or a process that sends without one
	State   EffectState
	After   EffectKey // the last of the page before
	Limit   int
}

// List gives a page of the effects in a state, in order of process, nonce and
// index.
func (o *Outbox) List(ctx context.Context, q OutboxQuery) ([]Effect, error) {
	prefixes, err := prefixesOf(q.State)
	if err != nil {
		return nil, err
	}
	from := q.After
	if start := (EffectKey{Process: q.Process}); !q.Process.IsZero() && from.compare(start) < 0 {
		from = start
	}
	var all []Effect
	for _, prefix := range prefixes {
		count := 0
		err := o.scan(ctx, prefix, from, func(key EffectKey, record outboxRecord) (bool, error) {
			if !q.Process.IsZero() && key.Process != q.Process {
				return false, nil
			}
			if !q.Cascade.IsZero() && cascadeOf(record.Root, key.Process) != q.Cascade {
				return true, nil
			}
			effects, err := o.effects(key, record)
			if err != nil {
				return false, err
			}
			for _, effect := range effects {
				passed := q.After != EffectKey{} && effect.Key().compare(q.After) <= 0
				if passed || record.stateOf(effect.Index) != q.State || count == q.Limit {
					continue
				}
				if err := o.tellDelivery(&effect, q.State); err != nil {
					return false, err
				}
				all = append(all, effect)
				count++
			}
			return count < q.Limit, nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(all, func(a, b Effect) int { return a.Key().compare(b.Key()) })
	return all[:min(len(all), q.Limit)], nil
}

// Before lists results of a process that have effects, newest first, as the keys of
// their first effects. They come before the given one; of a process alone, all do.
func (o *Outbox) Before(ctx context.Context, before EffectKey, limit int) (keys []EffectKey, err error) {
	end := before.place()
	if end == (place{}) {
		end = place{nonce: math.MaxUint64}
	}
	for _, prefix := range []string{keyOutbox, keyParked, keyDead, keyTrace} {
		count := 0
		err := o.store.db.View(func(txn *badger.Txn) error {
			iterator := txn.NewIterator(badger.IteratorOptions{Prefix: idKey(prefix, before.Process), Reverse: true})
			defer iterator.Close()
			for iterator.Seek(placeKey(prefix, before.Process, end)); iterator.Valid() && count < limit; iterator.Next() {
				if process, at := splitPlaceKey(iterator.Item().Key()); at.less(end) {
					keys = append(keys, EffectKey{Process: process, Nonce: at.nonce, Tick: at.tick})
					count++
				}
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(keys, func(a, b EffectKey) int { return b.compare(a) })
	return keys[:min(len(keys), limit)], nil
}

// Get gives an effect and what has become of it.
func (o *Outbox) Get(key EffectKey) (Effect, EffectState, error) {
	_, record, err := o.load(key)
	if isMissing(err) || err == nil && key.Index >= record.Count {
		return Effect{}, "", ao.Errorf(ao.CodeNotFound, "there is no effect %s", key)
	}
	if err != nil {
		return Effect{}, "", err
	}
	effects, err := o.effects(key, record)
	if err != nil {
		return Effect{}, "", err
	}
	effect, state := effects[key.Index], record.stateOf(key.Index)
	return effect, state, o.tellDelivery(&effect, state)
}

// Redrive makes a dead effect pending again, as if it had never been tried. What
// its process sent after it to the same target has gone ahead meanwhile.
func (o *Outbox) Redrive(key EffectKey) error {
	err := o.revise(key, func(state EffectState) bool { return state == EffectDead }, "only a dead one can be redriven",
		func(touched *Effect) { *touched = Effect{Index: key.Index, Delivered: touched.Delivered} })
	if err == nil {
		o.notify()
	}
	return err
}

// Drop gives a dead or parked effect up for good. It stays in the trace, with the
// reason.
func (o *Outbox) Drop(key EffectKey) error {
	return o.revise(key, func(state EffectState) bool { return state == EffectDead || state == EffectParked },
		"only a dead or a parked one can be dropped", func(touched *Effect) {
			touched.Error = cmp.Or(touched.Parked, touched.Error)
			touched.Dead, touched.Dropped, touched.Parked = true, true, ""
		})
}

// revise changes what is known of an effect that is in the right state.
func (o *Outbox) revise(key EffectKey, may func(EffectState) bool, rule string, fn func(*Effect)) error {
	var refused error
	err := o.change(key, nil, func(record *outboxRecord) {
		if state := record.stateOf(key.Index); !may(state) {
			refused = ao.Errorf(ao.CodeConflict, "effect %s is %s: %s", key, state, rule)
			return
		}
		effect := Effect{Index: key.Index}
		record.touched(key.Index).tell(&effect)
		fn(&effect)
		record.touch(effect)
	})
	return errors.Join(err, refused)
}

func (k EffectKey) compare(other EffectKey) int {
	if c := strings.Compare(string(k.Process[:]), string(other.Process[:])); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(k.Nonce, other.Nonce), cmp.Compare(k.Tick, other.Tick), cmp.Compare(k.Index, other.Index))
}

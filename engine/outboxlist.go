package engine

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
)

// EffectState says what has become of an effect.
type EffectState string

// The states of an effect. A dead one was given up and waits for a person, who
// redrives or drops it.
const (
	EffectPending EffectState = "pending"
	EffectDead    EffectState = "dead"
	EffectDropped EffectState = "dropped"
	EffectDone    EffectState = "done"
)

// stateOf says what a record knows of an effect.
func (r *outboxRecord) stateOf(effect Effect) EffectState {
	switch {
	case r.isDone(effect.Index):
		return EffectDone
	case effect.Dropped:
		return EffectDropped
	case effect.Dead:
		return EffectDead
	}
	return EffectPending
}

// prefixesOf lists where records may stand that have effects of a state.
func prefixesOf(state EffectState) ([]string, error) {
	switch state {
	case EffectPending:
		return []string{keyOutbox}, nil
	case EffectDead:
		return []string{keyOutbox, keyDead}, nil
	case EffectDropped, EffectDone:
		return []string{keyOutbox, keyDead, keyTrace}, nil
	}
	return nil, ao.Errorf(ao.CodeInvalid, "there is no state %q: it is pending, dead, dropped or done", string(state))
}

// OutboxQuery chooses effects.
type OutboxQuery struct {
	Process ao.ID // zero: all
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
			effects, err := o.effects(key, record)
			if err != nil {
				return false, err
			}
			for _, effect := range effects {
				passed := q.After != EffectKey{} && effect.Key().compare(q.After) <= 0
				if !passed && record.stateOf(effect) == q.State && count < q.Limit {
					all = append(all, effect)
					count++
				}
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

// Get gives an effect and what has become of it.
func (o *Outbox) Get(key EffectKey) (Effect, EffectState, error) {
	effects, _, err := o.Effects(key.Process, key.Nonce)
	if err != nil {
		return Effect{}, "", err
	}
	_, record, err := o.load(key)
	if err != nil || int(key.Index) >= len(effects) {
		return Effect{}, "", ao.Errorf(ao.CodeNotFound, "there is no effect %s", key)
	}
	return effects[key.Index], record.stateOf(effects[key.Index]), nil
}

// Redrive makes a dead effect pending again, as if it had never been tried. What
// its process sent after it to the same target has gone ahead meanwhile.
func (o *Outbox) Redrive(key EffectKey) error {
	err := o.revise(key, func(record *outboxRecord) {
		record.touch(Effect{Index: key.Index, Delivered: record.touched(key.Index).Delivered})
	})
	if err == nil {
		o.notify()
	}
	return err
}

// Drop gives a dead effect up for good. It stays in the trace.
func (o *Outbox) Drop(key EffectKey) error {
	return o.revise(key, func(record *outboxRecord) {
		touched := record.touched(key.Index)
		record.touch(Effect{
			Index: key.Index, Attempts: touched.Attempts, Error: touched.Error, Delivered: touched.Delivered, Dead: true, Dropped: true,
		})
	})
}

// revise changes the record of a dead effect.
func (o *Outbox) revise(key EffectKey, fn func(*outboxRecord)) error {
	_, state, err := o.Get(key)
	if err != nil {
		return err
	}
	if state != EffectDead {
		return ao.Errorf(ao.CodeConflict, "effect %s is %s: only a dead one can be redriven or dropped", key, state)
	}
	return o.change(key, nil, fn)
}

func (k EffectKey) compare(other EffectKey) int {
	if c := strings.Compare(string(k.Process[:]), string(other.Process[:])); c != 0 {
		return c
	}
	return cmp.Or(cmp.Compare(k.Nonce, other.Nonce), cmp.Compare(k.Index, other.Index))
}

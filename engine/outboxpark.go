package engine

import (
	"context"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
)

// ParkedCascade is what one message has caused and may not cause on.
type ParkedCascade struct {
	// Cascade is the root; when Rootless is set, the process that sends without one.
	Cascade  ao.ID
	Rootless bool
	Reason   string
	Parked   int // effects
}

// accountParked follows how many effects of a cascade are parked; mu is held.
func (o *Outbox) accountParked(process ao.ID, record outboxRecord, change int) {
	id := cascadeOf(record.Root, process)
	cascade := o.cascades[id]
	if cascade == nil {
		cascade = &ParkedCascade{Cascade: id, Rootless: record.Root.IsZero()}
		o.cascades[id] = cascade
	}
	if cascade.Parked += change; cascade.Parked <= 0 {
		delete(o.cascades, id)
	}
	o.anyParked.Store(len(o.cascades) > 0)
	for _, touched := range record.Touched {
		if cascade.Reason == "" {
			cascade.Reason = touched.Parked
		}
	}
}

// Parked says why a cascade is parked, "" when it is not. For as long as one of its
// effects is parked, none may go ahead of that.
func (o *Outbox) Parked(cascade ao.ID) (reason string) {
	if !o.anyParked.Load() {
		return "" // a messenger asks before every delivery
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if parked := o.cascades[cascade]; parked != nil {
		return parked.Reason
	}
	return ""
}

// Cascades lists what is parked, the largest first.
func (o *Outbox) Cascades() []ParkedCascade {
	o.mu.Lock()
	list := make([]ParkedCascade, 0, len(o.cascades))
	for _, cascade := range o.cascades {
		list = append(list, *cascade)
	}
	o.mu.Unlock()
	slices.SortFunc(list, func(a, b ParkedCascade) int {
		if a.Parked != b.Parked {
			return b.Parked - a.Parked
		}
		return slices.Compare(a.Cascade[:], b.Cascade[:])
	})
	return list
}

// Resume makes the parked effects of a cascade, or of all with the zero id, pending
// again, as far as they are of processes that owns accepts.
func (o *Outbox) Resume(ctx context.Context, cascade ao.ID, owns func(process ao.ID) bool) (resumed int, err error) {
	var keys []EffectKey
	for _, prefix := range []string{keyOutbox, keyParked} {
		err := o.scan(ctx, prefix, EffectKey{}, func(key EffectKey, record outboxRecord) (bool, error) {
			wanted := cascade.IsZero() || cascadeOf(record.Root, key.Process) == cascade
			if wanted && record.tally().parked > 0 && owns(key.Process) {
				keys = append(keys, key)
			}
			return true, nil
		})
		if err != nil {
			return 0, err
		}
	}
	for _, key := range keys {
		err := o.change(key, nil, func(record *outboxRecord) { resumed += record.resume() })
		if err != nil {
			return resumed, err
		}
	}
	o.notify()
	return resumed, nil
}

// resume makes the record's parked effects pending.
func (r *outboxRecord) resume() (count int) {
	for i := range r.Touched {
		if r.Touched[i].state() == EffectParked {
			r.Touched[i].Parked = ""
			count++
		}
	}
	return count
}

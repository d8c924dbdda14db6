package engine

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
)

// outboxRecord is the state of one result's effects. It holds only what cannot
// be read from the result, so that a result with thousands of effects costs a
// few bytes for each.
type outboxRecord struct {
	Root    ao.ID           `json:"root,omitzero"`
	Count   uint32          `json:"count"`
	Done    []byte          `json:"done,omitempty"` // one bit for each effect
	Touched []touchedEffect `json:"touched,omitempty"`
}

// touchedEffect is what is known of an effect that was tried and is not done.
type touchedEffect struct {
	Index     uint32  `json:"i"`
	Attempts  int     `json:"attempts,omitempty"`
	TimeMS    int64   `json:"time,omitempty"`
	Node      string  `json:"node,omitempty"`
	NextMS    int64   `json:"next,omitempty"`
	Error     string  `json:"error,omitempty"`
	Parked    string  `json:"parked,omitempty"`
	Dead      bool    `json:"dead,omitempty"`
	Dropped   bool    `json:"dropped,omitempty"` // and Dead
	Delivered []ao.ID `json:"delivered,omitempty"`
}

func (r *outboxRecord) encode() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		// Every field is a number, text or an id.
		panic("encode outbox record: " + err.Error())
	}
	return b
}

func decodeOutboxRecord(b []byte) (outboxRecord, error) {
	var r outboxRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("stored outbox record is malformed: %w", err)
	}
	return r, nil
}

func (r *outboxRecord) clone() outboxRecord {
	copied := *r
	copied.Done, copied.Touched = slices.Clone(r.Done), slices.Clone(r.Touched)
	return copied
}

func (r *outboxRecord) isDone(index uint32) bool {
	return int(index/8) < len(r.Done) && r.Done[index/8]&(1<<(index%8)) != 0
}

func (r *outboxRecord) setDone(index uint32) {
	if at, found := r.find(index); found {
		r.Touched = slices.Delete(r.Touched, at, at+1)
	}
	for int(index/8) >= len(r.Done) {
		r.Done = append(r.Done, 0)
	}
	r.Done[index/8] |= 1 << (index % 8)
}

func (r *outboxRecord) find(index uint32) (at int, found bool) {
	return slices.BinarySearchFunc(r.Touched, index, func(t touchedEffect, i uint32) int { return int(t.Index) - int(i) })
}

func (r *outboxRecord) touched(index uint32) touchedEffect {
	if at, found := r.find(index); found {
		return r.Touched[at]
	}
	return touchedEffect{Index: index}
}

func (r *outboxRecord) touch(effect Effect) {
	if r.isDone(effect.Index) {
		return
	}
	touched := touchedEffect{
		Index:     effect.Index,
		Attempts:  effect.Attempts,
		TimeMS:    effect.TimeMS,
		Node:      effect.Node,
		NextMS:    effect.NextMS,
		Error:     effect.Error,
		Parked:    effect.Parked,
		Dead:      effect.Dead,
		Dropped:   effect.Dropped,
		Delivered: effect.Delivered,
	}
	at, found := r.find(effect.Index)
	if found {
		r.Touched[at] = touched
		return
	}
	r.Touched = slices.Insert(r.Touched, at, touched)
}

// tell gives an effect what is known of it.
func (t touchedEffect) tell(effect *Effect) {
	effect.Attempts, effect.TimeMS, effect.Node = t.Attempts, t.TimeMS, t.Node
	effect.NextMS, effect.Error, effect.Parked = t.NextMS, t.Error, t.Parked
	effect.Dead, effect.Dropped, effect.Delivered = t.Dead, t.Dropped, slices.Clone(t.Delivered)
}

// stateOf says what has become of an effect.
func (r *outboxRecord) stateOf(index uint32) EffectState {
	if r.isDone(index) {
		return EffectDone
	}
	return r.touched(index).state()
}

func (t touchedEffect) state() EffectState {
	switch {
	case t.Dropped:
		return EffectDropped
	case t.Dead:
		return EffectDead
	case t.Parked != "":
		return EffectParked
	}
	return EffectPending
}

// tally counts effects that are neither done nor dropped.
type tally struct{ pending, parked, dead int }

func (t *tally) add(other tally, sign int) {
	t.pending += sign * other.pending
	t.parked += sign * other.parked
	t.dead += sign * other.dead
}

func (r *outboxRecord) tally() tally {
	t := tally{pending: int(r.Count)}
	for _, touched := range r.Touched {
		switch touched.state() {
		case EffectParked:
			t.parked++
		case EffectDead:
			t.dead++
		case EffectDropped:
		default:
			continue
		}
		t.pending--
	}
	for _, b := range r.Done {
		t.pending -= bits.OnesCount8(b)
	}
	return t
}

// prefix says where the record belongs.
func (r *outboxRecord) prefix() string {
	switch t := r.tally(); {
	case t.pending > 0:
		return keyOutbox
	case t.parked > 0:
		return keyParked
	case t.dead > 0:
		return keyDead
	}
	return keyTrace
}

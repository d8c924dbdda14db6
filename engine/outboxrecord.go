package engine

import (
	"encoding/json"
	"fmt"
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
	NextMS    int64   `json:"next,omitempty"`
	Error     string  `json:"error,omitempty"`
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
		NextMS:    effect.NextMS,
		Error:     effect.Error,
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

// pending counts effects that are neither done nor dead.
func (r *outboxRecord) pending() int {
	count := int(r.Count)
	for _, touched := range r.Touched {
		if touched.Dead {
			count--
		}
	}
	for index := range r.Count {
		if r.isDone(index) {
			count--
		}
	}
	return count
}

// dead counts effects that were given up and not dropped.
func (r *outboxRecord) dead() (count int) {
	for _, touched := range r.Touched {
		if touched.Dead && !touched.Dropped {
			count++
		}
	}
	return count
}

// prefix says where the record belongs.
func (r *outboxRecord) prefix() string {
	switch {
	case r.pending() > 0:
		return keyOutbox
	case r.dead() > 0:
		return keyDead
	}
	return keyTrace
}

func encodeIDs(ids []ao.ID) []byte {
	b := make([]byte, 0, len(ids)*len(ao.ID{}))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func decodeIDs(b []byte) (ids []ao.ID) {
	for size := len(ao.ID{}); len(b) >= size; b = b[size:] {
		ids = append(ids, ao.ID(b[:size]))
	}
	return ids
}

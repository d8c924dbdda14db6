package settlement

import (
	"encoding/json"
	"fmt"

	"github.com/wallaby-ao/wallaby/arweave"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Store keeps small values. What it loses of its newest makes things be uploaded
// once more.
type Store interface {
	// Get gives a value, nil if there is none.
	Get(key string) ([]byte, error)
	Set(key string, value []byte) error
	// List calls fn for all keys with a prefix, in order.
	List(prefix string, fn func(key string, value []byte) error) error
}

// Mark is a place in a group and how many entries there are up to it.
type Mark struct {
	Position aolog.Position `json:"position"`
	Entries  uint64         `json:"entries"`
}

// State is how far a group has come. The same position is the same entry on every
// node.
type State struct {
	// Uploaded is up to where somebody has taken it, and Confirmed up to where it was
	// found again.
	Uploaded  Mark `json:"uploaded"`
	Confirmed Mark `json:"confirmed"`
	// Shipments are what lies between the two, in order. The last may be on its way.
	Shipments []Shipment `json:"shipments,omitempty"`
}

// Shipment is a stretch of entries, from the end of the one before.
type Shipment struct {
	To   Mark  `json:"to"`
	AtMS int64 `json:"at"` // when it was uploaded, or the first of it
	// Tx carries the entries as a bundle; nil: they were uploaded one by one. Its
	// data is made again from the log.
	Tx *arweave.Tx `json:"tx,omitempty"`
}

func stateKey(group uint32) string  { return fmt.Sprintf("group/%08x", group) }
func censusKey(group uint32) string { return fmt.Sprintf("census/%08x", group) }

func load(store Store, key string, into any) error {
	b, err := store.Get(key)
	if err == nil && b != nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		return fmt.Errorf("read how far settlement is (%s): %w", key, err)
	}
	return nil
}

func save(store Store, key string, value any) error {
	b, err := json.Marshal(value)
	if err == nil {
		err = store.Set(key, b)
	}
	if err != nil {
		return fmt.Errorf("note how far settlement is (%s): %w", key, err)
	}
	return nil
}

// SetSettled notes that all of a group up to a mark is on the weave already, before
// a settler is opened.
func SetSettled(store Store, group uint32, to Mark) error {
	if err := save(store, stateKey(group), State{Uploaded: to, Confirmed: to}); err != nil {
		return err
	}
	return save(store, censusKey(group), to)
}

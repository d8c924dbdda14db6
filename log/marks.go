package log

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// After a crash the index may lack what its store had not written to tables, and
// perhaps without a word: of tables in memory the store's own log can lose a part
// while a newer one is whole. So the index marks, after each so many bytes, how far
// the groups were applied then, and what came after an old enough mark is put in
// again.
//
// A mark is kept under N and its slot.
type mark struct {
	Number uint64 `json:"number"`
	// Applied is the Raft index up to which each group was in the index.
	Applied map[uint32]uint64 `json:"applied"`
}

const (
	markBytes = 2 << 20
	// marksUnsafe is how many of the newest marks the tables in memory may reach
	// back over: three of 8 MiB, counted generously.
	marksUnsafe = 3*8<<20/markBytes + 1
	marksKept   = 32
	// baseSlot has the mark before which all is in tables.
	baseSlot = 0xff
	// keyOverhead is less than what a table in memory takes beside key and value.
	keyOverhead = 24
)

func markKey(slot byte) []byte { return []byte{'N', slot} }

// marker makes marks as the index is written.
type marker struct {
	newest mark
	bytes  int
}

// note counts a key that is written, and gives the next mark when it is time.
func (m *marker) note(key, value []byte) {
	m.bytes += len(key) + len(value) + keyOverhead
	if key[0] == keyApplied {
		m.newest.Applied[binary.BigEndian.Uint32(key[1:])] = binary.BigEndian.Uint64(value)
	}
}

// next gives the next mark, if enough was written since the last.
func (m *marker) next() (key, value []byte, due bool) {
	if m.bytes < markBytes {
		return nil, nil, false
	}
	m.bytes = 0
	m.newest.Number++
	return markKey(byte(m.newest.Number % marksKept)), m.newest.encode(), true
}

func (m mark) encode() []byte {
	b, _ := json.Marshal(m) // these types always encode
	return b
}

// readMarks gives all marks and how far the groups are applied now.
func (x *Index) readMarks() (marks []mark, base *mark, applied map[uint32]uint64, err error) {
	err = x.scan([]byte{'N'}, nil, func(k, value []byte) (bool, error) {
		var m mark
		if err := json.Unmarshal(value, &m); err != nil {
			return false, fmt.Errorf("%w: a mark in the log index: %w", ErrCorrupt, err)
		}
		if k[1] == baseSlot {
			base = &m
		} else {
			marks = append(marks, m)
		}
		return true, nil
	})
	if err != nil {
		return nil, nil, nil, err
	}
	applied = map[uint32]uint64{}
	err = x.scan([]byte{keyApplied}, nil, func(k, value []byte) (bool, error) {
		applied[binary.BigEndian.Uint32(k[1:])] = binary.BigEndian.Uint64(value)
		return true, nil
	})
	return marks, base, applied, err
}

// Settled says that all of the index is in its store's tables: it was closed in
// good order, or made anew.
func (x *Index) Settled() error {
	_, _, applied, err := x.readMarks()
	if err != nil {
		return err
	}
	base := mark{Number: x.overlay.number(), Applied: applied}
	err = x.db.Update(func(txn *badger.Txn) error { return txn.Set(markKey(baseSlot), base.encode()) })
	if err != nil {
		return fmt.Errorf("mark the log index: %w", err)
	}
	return nil
}

// Safe gives, for each group, up to where nothing can be missing from the index
// after a crash.
func (x *Index) Safe() (map[uint32]uint64, error) {
	marks, base, _, err := x.readMarks()
	if err != nil {
		return nil, err
	}
	newest := uint64(0)
	for _, m := range marks {
		newest = max(newest, m.Number)
	}
	safe := mark{}
	if base != nil {
		safe = *base
	}
	for _, m := range marks {
		if m.Number+marksUnsafe <= newest && m.Number > safe.Number {
			safe = m
		}
	}
	return safe.Applied, nil
}

// openMarker goes on with the marks that are there.
func (x *Index) openMarker() (*marker, error) {
	marks, base, applied, err := x.readMarks()
	if err != nil {
		return nil, err
	}
	m := &marker{newest: mark{Applied: applied}}
	if base != nil {
		m.newest.Number = base.Number
	}
	for _, known := range marks {
		m.newest.Number = max(m.newest.Number, known.Number)
	}
	return m, nil
}

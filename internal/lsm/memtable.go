package lsm

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// memtable holds what was put last. Its rows are in one piece of memory without
// pointers, so that a collector of garbage has nothing to look at.
type memtable struct {
	// rows holds: length of the key u16 | length of the value u32 | key | value.
	rows []byte
	// slots is a hash table with open addressing.
	slots []slot
	used  int
	// letters counts the keys by their first byte.
	letters [256]int
}

// slot has where a row is in rows, plus one, and a part of its key's hash, which
// keeps most look-ups from reading a row that is not theirs.
type slot struct{ place, hash uint32 }

const (
	rowHeaderBytes = 6
	// gone is the length of the value of a key that was taken away.
	gone = ^uint32(0)
	// firstSlots is a power of two.
	firstSlots = 1 << 10
)

func newMemtable() *memtable { return &memtable{slots: make([]slot, firstSlots)} }

// successor gives an empty one with room for as much.
func (m *memtable) successor() *memtable {
	return &memtable{slots: make([]slot, len(m.slots)), rows: make([]byte, 0, len(m.rows)+len(m.rows)/8)}
}

// row is one key of a memtable or table; its value is nil when it was taken away.
type row struct{ key, value []byte }

func (m *memtable) at(place uint32) (r row, value uint32) {
	header := m.rows[place:]
	keyLength, length := int(binary.LittleEndian.Uint16(header)), binary.LittleEndian.Uint32(header[2:])
	r.key = header[rowHeaderBytes:][:keyLength:keyLength]
	if length != gone {
		r.value = header[rowHeaderBytes+keyLength:][:length:length]
	}
	return r, place + rowHeaderBytes + uint32(keyLength)
}

// find gives where a key is or belongs in slots.
func (m *memtable) find(key []byte, hash uint64) int {
	mask := len(m.slots) - 1
	i := int(hash) & mask
	for ; m.slots[i].place != 0; i = (i + 1) & mask {
		if m.slots[i].hash != uint32(hash>>32) {
			continue
		}
		if r, _ := m.at(m.slots[i].place - 1); bytes.Equal(r.key, key) {
			break
		}
	}
	return i
}

// get gives the row of a key, whose value must be copied before the next put.
func (m *memtable) get(key []byte, hash uint64) (r row, ok bool) {
	if m.letters[key[0]] == 0 {
		return r, false
	}
	s := m.slots[m.find(key, hash)]
	if s.place == 0 {
		return r, false
	}
	r, _ = m.at(s.place - 1)
	return r, true
}

// put sets a key; a nil value takes it away. It keeps neither slice.
func (m *memtable) put(key, value []byte) {
	hash := xxhash.Sum64(key)
	i := m.find(key, hash)
	if known := m.slots[i].place; known != 0 {
		old, place := m.at(known - 1)
		if old.value != nil && value != nil && len(old.value) == len(value) {
			copy(m.rows[place:], value)
			return
		}
	} else {
		m.used++
		m.letters[key[0]]++
	}
	m.slots[i] = slot{uint32(len(m.rows)) + 1, uint32(hash >> 32)}
	m.rows = binary.LittleEndian.AppendUint16(m.rows, uint16(len(key)))
	length := uint32(len(value))
	if value == nil {
		length = gone
	}
	m.rows = binary.LittleEndian.AppendUint32(m.rows, length)
	m.rows = append(append(m.rows, key...), value...)
	if m.used*2 > len(m.slots) {
		m.grow()
	}
}

func (m *memtable) grow() {
	old := m.slots
	m.slots = make([]slot, 2*len(old))
	mask := len(m.slots) - 1
	for _, s := range old {
		if s.place == 0 {
			continue
		}
		r, _ := m.at(s.place - 1)
		i := int(xxhash.Sum64(r.key)) & mask
		for m.slots[i].place != 0 {
			i = (i + 1) & mask
		}
		m.slots[i] = s
	}
}

// placed is a row of a memtable on its way into order: its first bytes decide
// most comparisons.
type placed struct {
	first uint64
	place uint32
}

// sorted gives the places of the rows with a prefix, in order of their keys.
func (m *memtable) sorted(prefix []byte) []placed {
	size := m.used
	if len(prefix) > 0 {
		size = m.letters[prefix[0]]
	}
	if size == 0 {
		return nil
	}
	order := make([]placed, 0, size)
	for _, s := range m.slots {
		if s.place == 0 {
			continue
		}
		if r, _ := m.at(s.place - 1); bytes.HasPrefix(r.key, prefix) {
			order = append(order, placed{firstOf(r.key), s.place - 1})
		}
	}
	slices.SortFunc(order, func(a, b placed) int {
		if a.first != b.first {
			if a.first < b.first {
				return -1
			}
			return 1
		}
		x, _ := m.at(a.place)
		y, _ := m.at(b.place)
		return bytes.Compare(x.key, y.key)
	})
	return order
}

// firstOf gives the first eight bytes of a key as a number that sorts as they do.
func firstOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// after gives the places of the rows with a prefix, in order, from a key on.
func (m *memtable) after(prefix, from []byte) []placed {
	all := m.sorted(prefix)
	first, _ := slices.BinarySearchFunc(all, from, func(p placed, from []byte) int {
		r, _ := m.at(p.place)
		return bytes.Compare(r.key, from)
	})
	return all[first:]
}

// copies gives the rows with a prefix, in order, from a key on, for when the table
// goes on to change.
func (m *memtable) copies(prefix, from []byte) []row {
	order := m.after(prefix, from)
	rows := make([]row, len(order))
	for i, p := range order {
		r, _ := m.at(p.place)
		rows[i] = row{slices.Clone(r.key), slices.Clone(r.value)}
	}
	return rows
}

package vm

import (
	"bytes"
	"maps"
	"slices"
)

// State is a snapshot in memory: what one process writes to it, another reads.
type State struct {
	Sections    map[string][]byte
	MemoryBytes uint64
	Pages       map[uint32][]byte // those that are not all zero
}

var _ SnapshotWriter = (*State)(nil)

// NewState makes an empty state.
func NewState() *State {
	return &State{Sections: map[string][]byte{}, Pages: map[uint32][]byte{}}
}

// Section stores a copy of a named value; see SnapshotWriter.
func (s *State) Section(name string, value []byte) error {
	s.Sections[name] = bytes.Clone(value)
	return nil
}

// Memory stores the memory's size; see SnapshotWriter.
func (s *State) Memory(sizeBytes uint64) error {
	s.MemoryBytes = sizeBytes
	return nil
}

// Page stores a copy of a page; see SnapshotWriter.
func (s *State) Page(index uint32, data []byte) error {
	s.Pages[index] = bytes.Clone(data)
	return nil
}

// Reader gives the state back.
func (s *State) Reader() SnapshotReader { return stateReader{s} }

// Equal reports whether two states are the same.
func (s *State) Equal(other *State) bool {
	return s.MemoryBytes == other.MemoryBytes &&
		maps.EqualFunc(s.Sections, other.Sections, bytes.Equal) && maps.EqualFunc(s.Pages, other.Pages, bytes.Equal)
}

type stateReader struct{ s *State }

func (r stateReader) Sections() []string { return slices.Sorted(maps.Keys(r.s.Sections)) }

func (r stateReader) Section(name string) ([]byte, error) {
	value, ok := r.s.Sections[name]
	if !ok {
		return nil, ErrNotFound
	}
	return value, nil
}

func (r stateReader) Memory() (uint64, error) { return r.s.MemoryBytes, nil }

func (r stateReader) Pages(fn func(index uint32, data []byte) error) error {
	for _, index := range slices.Sorted(maps.Keys(r.s.Pages)) {
		if err := fn(index, r.s.Pages[index]); err != nil {
			return err
		}
	}
	return nil
}

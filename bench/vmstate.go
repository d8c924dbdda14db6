package bench

import (
	"bytes"

	"github.com/wallaby-ao/wallaby/vm"
)

// state is a snapshot in memory.
type state struct {
	names  []string
	values [][]byte
	size   uint64
	index  []uint32
	pages  [][]byte
}

var _ vm.SnapshotWriter = (*state)(nil)

// Section keeps a section.
func (s *state) Section(name string, value []byte) error {
	s.names, s.values = append(s.names, name), append(s.values, bytes.Clone(value))
	return nil
}

// Memory keeps the memory's size.
func (s *state) Memory(sizeBytes uint64) error {
	s.size = sizeBytes
	return nil
}

// Page keeps a page.
func (s *state) Page(index uint32, data []byte) error {
	s.index, s.pages = append(s.index, index), append(s.pages, bytes.Clone(data))
	return nil
}

// bytes is the size of the pages.
func (s *state) bytes() uint64 { return uint64(len(s.pages)) * vm.PageBytes }

// stateReader gives a state back.
type stateReader struct{ s *state }

var _ vm.SnapshotReader = stateReader{}

// Sections lists the sections.
func (r stateReader) Sections() []string { return r.s.names }

// Section gives a section.
func (r stateReader) Section(name string) ([]byte, error) {
	for i, have := range r.s.names {
		if have == name {
			return r.s.values[i], nil
		}
	}
	return nil, vm.ErrNotFound
}

// Memory gives the memory's size.
func (r stateReader) Memory() (uint64, error) { return r.s.size, nil }

// Pages gives the pages.
func (r stateReader) Pages(fn func(index uint32, data []byte) error) error {
	for i, index := range r.s.index {
		if err := fn(index, r.s.pages[i]); err != nil {
			return err
		}
	}
	return nil
}

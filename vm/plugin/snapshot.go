package plugin

import (
	"fmt"
	"maps"
	"slices"

	"github.com/wallaby-ao/wallaby/vm"
)

// sender writes a snapshot to a connection.
type sender struct{ c *connection }

var _ vm.SnapshotWriter = sender{}

// Section sends a section.
func (s sender) Section(name string, value []byte) error {
	return s.c.send(frame{kind: kindSection, header: header{Name: name}, body: value})
}

// Memory sends the memory's size.
func (s sender) Memory(sizeBytes uint64) error {
	return s.c.send(frame{kind: kindMemory, header: header{MemoryBytes: sizeBytes}})
}

// Page sends a page.
func (s sender) Page(index uint32, data []byte) error {
	return s.c.send(frame{kind: kindPage, header: header{Page: index}, body: data})
}

// sendSnapshot sends all that a reader has.
func sendSnapshot(c *connection, r vm.SnapshotReader) error {
	for _, name := range r.Sections() {
		value, err := r.Section(name)
		if err != nil {
			return err
		}
		if err := (sender{c}).Section(name, value); err != nil {
			return err
		}
	}
	size, err := r.Memory()
	if err != nil {
		return err
	}
	if err := (sender{c}).Memory(size); err != nil {
		return err
	}
	if err := r.Pages((sender{c}).Page); err != nil {
		return err
	}
	return c.send(frame{kind: kindEnd})
}

// snapshot is one that came over a connection.
type snapshot struct {
	sections map[string][]byte
	size     uint64
	indices  []uint32
	pages    [][]byte
}

func (t *session) readSnapshot() (*snapshot, error) {
	s := &snapshot{sections: map[string][]byte{}}
	for f := range t.requests {
		switch f.kind {
		case kindSection:
			s.sections[f.Name] = f.body
		case kindMemory:
			s.size = f.MemoryBytes
		case kindPage:
			s.indices, s.pages = append(s.indices, f.Page), append(s.pages, f.body)
		case kindEnd:
			if f.Error != "" {
				return nil, fmt.Errorf("the snapshot cannot be read: %s", f.Error)
			}
			return s, nil
		default:
			return nil, fmt.Errorf("frame %d is no part of a snapshot", f.kind)
		}
	}
	return nil, fmt.Errorf("the snapshot is cut off")
}

// Sections lists the sections.
func (s *snapshot) Sections() []string { return slices.Sorted(maps.Keys(s.sections)) }

// Section gives a section.
func (s *snapshot) Section(name string) ([]byte, error) {
	value, ok := s.sections[name]
	if !ok {
		return nil, vm.ErrNotFound
	}
	return value, nil
}

// Memory gives the memory's size.
func (s *snapshot) Memory() (uint64, error) { return s.size, nil }

// Pages gives the pages.
func (s *snapshot) Pages(fn func(index uint32, data []byte) error) error {
	for i, index := range s.indices {
		if err := fn(index, s.pages[i]); err != nil {
			return err
		}
	}
	return nil
}

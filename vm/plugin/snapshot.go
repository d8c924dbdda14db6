package plugin

import (
	"fmt"

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

// readSnapshot takes one in from the connection.
func (t *session) readSnapshot() (vm.SnapshotReader, error) {
	s := vm.NewState()
	for {
		f, err := t.inbox.request()
		if err != nil {
			return nil, fmt.Errorf("the snapshot is cut off: %w", err)
		}
		switch f.kind {
		case kindSection:
			_ = s.Section(f.Name, f.body)
		case kindMemory:
			_ = s.Memory(f.MemoryBytes)
		case kindPage:
			_ = s.Page(f.Page, f.body)
		case kindEnd:
			if f.Error != "" {
				return nil, fmt.Errorf("the snapshot cannot be read: %s", f.Error)
			}
			return s.Reader(), nil
		default:
			return nil, fmt.Errorf("frame %d is no part of a snapshot", f.kind)
		}
	}
}

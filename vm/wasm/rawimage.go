package wasm

import (
	"context"
	"fmt"

	"github.com/wallaby-ao/wallaby/vm"
)

// sectionImage marks a snapshot that is nothing but a memory: what the reference
// compute unit keeps and uploads of a process. Its loader makes a new instance,
// starts it, and lays the memory over it, so globals are those after the start.
const sectionImage = "image"

// Image makes a snapshot of a whole linear memory, such as the reference compute
// unit's checkpoints hold. It copies what is not zero.
func Image(memory []byte) (*vm.State, error) {
	if len(memory) == 0 || len(memory)%vm.PageBytes != 0 {
		return nil, fmt.Errorf("an image of %d bytes is no memory, whose size is a multiple of %d", len(memory), vm.PageBytes)
	}
	s := vm.NewState()
	s.MemoryBytes = uint64(len(memory))
	s.Sections[sectionImage] = nil
	for at := 0; at < len(memory); at += vm.PageBytes {
		if page := memory[at : at+vm.PageBytes]; !isZero(page) {
			if err := s.Page(uint32(at/vm.PageBytes), page); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// restoreImage starts a fresh instance and lays a memory over its own, of which
// what lies behind the end of the image stays.
func (p *Process) restoreImage(ctx context.Context, r vm.SnapshotReader) error {
	if err := p.boot(ctx); err != nil {
		return err
	}
	size, err := r.Memory()
	if err != nil {
		return fmt.Errorf("restore memory: %w", err)
	}
	have := uint64(len(p.instance.Memory()))
	if size%vm.PageBytes != 0 || size > p.base.space.Max() || size > have && p.growTo(size) != nil {
		return fmt.Errorf("restore: %w: there is no room for a memory of %d bytes", vm.ErrMemoryLimit, size)
	}
	memory := p.instance.Memory()
	clear(memory[:size])
	err = r.Pages(func(index uint32, data []byte) error {
		at := uint64(index) * vm.PageBytes
		if at >= size || len(data) != vm.PageBytes {
			return fmt.Errorf("page %d of %d bytes does not fit a memory of %d", index, len(data), size)
		}
		copy(memory[at:], data)
		return nil
	})
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return p.refreshBase()
}

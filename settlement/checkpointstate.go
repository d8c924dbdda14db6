package settlement

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// sectionsBytesMax bounds the tag with sections: all tags of an item share 4,096
// bytes, of which the others take a third.
const sectionsBytesMax = 2048

// EncodeSections writes what a state is beside its memory, for a tag; "" when that is
// too much for one.
func EncodeSections(sections []stateroot.Section) string {
	var b []byte
	for _, s := range sections {
		b = binary.AppendUvarint(b, uint64(len(s.Name)))
		b = append(b, s.Name...)
		b = binary.AppendUvarint(b, uint64(len(s.Value)))
		b = append(b, s.Value...)
	}
	if text := base64.RawURLEncoding.EncodeToString(b); len(text) <= sectionsBytesMax {
		return text
	}
	return ""
}

var errSections = errors.New("its sections cannot be read")

func decodeSections(text string) (sections []stateroot.Section, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return nil, errSections
	}
	take := func() (part []byte, ok bool) {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, false
		}
		part, b = b[n:n+int(size)], b[n+int(size):]
		return part, true
	}
	for len(b) > 0 {
		name, ok := take()
		value, also := take()
		if !ok || !also {
			return nil, errSections
		}
		sections = append(sections, stateroot.Section{Name: string(name), Value: bytes.Clone(value)})
	}
	return sections, nil
}

// State makes a state of a memory that Memory has given. The reference says nothing of
// what a state is beside it: its virtual machine begins anew and lays the memory over.
func (c Checkpoint) State(memory []byte) (vm.SnapshotReader, error) {
	if c.StateRoot.IsZero() {
		image, err := wasm.Image(memory)
		if err != nil {
			return nil, err
		}
		return image.Reader(), nil
	}
	sections, err := decodeSections(c.Sections)
	if err != nil {
		return nil, err
	}
	state := vm.NewState()
	state.MemoryBytes = uint64(len(memory))
	for _, s := range sections {
		if err := state.Section(s.Name, s.Value); err != nil {
			return nil, err
		}
	}
	var zero [vm.PageBytes]byte
	for index := 0; index*vm.PageBytes < len(memory); index++ {
		page := memory[index*vm.PageBytes : min((index+1)*vm.PageBytes, len(memory))]
		if bytes.Equal(page, zero[:len(page)]) {
			continue
		}
		if err := state.Page(uint32(index), page); err != nil {
			return nil, err
		}
	}
	return state.Reader(), nil
}

// CheckState says why a memory does not make a state with the root that was signed,
// or nil.
func (c Checkpoint) CheckState(memory []byte) error {
	sections, err := decodeSections(c.Sections)
	if err != nil {
		return err
	}
	state := stateroot.State{MemoryBytes: uint64(len(memory)), Sections: sections}
	for index := 0; index*vm.PageBytes < len(memory); index++ {
		page := memory[index*vm.PageBytes : min((index+1)*vm.PageBytes, len(memory))]
		if err := state.HashedPage(uint32(index), page, sha256.Sum256(page)); err != nil {
			return err
		}
	}
	if root := state.Root(); root != c.StateRoot {
		return fmt.Errorf("its memory makes a state with the root %s, and it says %s", root, c.StateRoot)
	}
	return nil
}

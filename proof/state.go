package proof

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/klauspost/compress/s2"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// memoryBytesMax bounds the memory of a state in a proof, as the largest limit that
// processes can have does.
const memoryBytesMax = 1 << 30

// packState writes a state, compressed, little-endian: size of the memory (8), number
// of sections (4), each name and value with its length (4); number of pages (4), each
// index (4) and 65,536 bytes. Sections are in the order of their names.
func packState(s *vm.State) ([]byte, error) {
	var b bytes.Buffer
	w := s2.NewWriter(&b, s2.WriterConcurrency(1), s2.WriterBetterCompression())
	out := binary.LittleEndian.AppendUint64(nil, s.MemoryBytes)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(s.Sections)))
	for _, name := range slices.Sorted(maps.Keys(s.Sections)) {
		for _, part := range [][]byte{[]byte(name), s.Sections[name]} {
			out = binary.LittleEndian.AppendUint32(out, uint32(len(part)))
			out = append(out, part...)
		}
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(s.Pages)))
	_, err := w.Write(out)
	for _, index := range slices.Sorted(maps.Keys(s.Pages)) {
		if err == nil {
			_, err = w.Write(append(binary.LittleEndian.AppendUint32(nil, index), s.Pages[index]...))
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		return nil, fmt.Errorf("pack the state: %w", err)
	}
	return b.Bytes(), nil
}

// unpackState reads what packState wrote. It allocates no more than there is to read.
func unpackState(packed []byte) (*vm.State, error) {
	r := &stateReader{in: s2.NewReader(bytes.NewReader(packed))}
	s := vm.NewState()
	s.MemoryBytes = binary.LittleEndian.Uint64(r.take(8))
	if s.MemoryBytes > memoryBytesMax {
		return nil, fmt.Errorf("the state has %d bytes of memory, at most %d are allowed", s.MemoryBytes, memoryBytesMax)
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		name := string(r.take(r.number()))
		s.Sections[name] = r.take(r.number())
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		index := r.number()
		page := r.take(vm.PageBytes)
		if r.err == nil && uint64(index)*vm.PageBytes >= s.MemoryBytes {
			return nil, fmt.Errorf("page %d is outside of the memory", index)
		}
		s.Pages[index] = page
	}
	if r.err != nil {
		return nil, fmt.Errorf("read the state: %w", r.err)
	}
	if n, err := r.in.Read(make([]byte, 1)); n > 0 || !errors.Is(err, io.EOF) {
		return nil, errors.New("read the state: there is something behind its end")
	}
	return s, nil
}

// stateReader takes fields; what it gives after the first failure is zero.
type stateReader struct {
	in  io.Reader
	err error
}

func (r *stateReader) take(n uint32) []byte {
	if r.err != nil {
		return make([]byte, 8)
	}
	var b bytes.Buffer
	if _, r.err = io.CopyN(&b, r.in, int64(n)); r.err != nil {
		r.err = io.ErrUnexpectedEOF
		return make([]byte, 8)
	}
	return b.Bytes()
}

func (r *stateReader) number() uint32 { return binary.LittleEndian.Uint32(r.take(4)) }

func rootOf(s *vm.State) ao.ID {
	root := stateroot.State{MemoryBytes: s.MemoryBytes}
	for name, value := range s.Sections {
		root.Sections = append(root.Sections, stateroot.Section{Name: name, Value: value})
	}
	for index, page := range s.Pages {
		root.Pages = append(root.Pages, stateroot.Page{Index: index, Hash: sha256.Sum256(page)})
	}
	return root.Root()
}

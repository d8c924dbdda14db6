package engine

import (
	"encoding/binary"
	"errors"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// manifest lists what a snapshot is made of; pages are stored by their hash.
type manifest struct {
	root ao.ID
	stateroot.State
}

// manifestVersion begins every stored manifest: version (1), root (32), memory
// size (8), number of sections (4), each name and value with its length (4),
// number of pages (4), each index (4) and hash (32).
const manifestVersion = 1

func (m *manifest) encode() []byte {
	b := append([]byte{manifestVersion}, m.root[:]...)
	b = binary.BigEndian.AppendUint64(b, m.MemoryBytes)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Sections)))
	for _, s := range m.Sections {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.Name)))
		b = append(b, s.Name...)
		b = binary.BigEndian.AppendUint32(b, uint32(len(s.Value)))
		b = append(b, s.Value...)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.Pages)))
	for _, page := range m.Pages {
		b = binary.BigEndian.AppendUint32(b, page.Index)
		b = append(b, page.Hash[:]...)
	}
	return b
}

var errManifest = errors.New("stored snapshot is malformed")

func decodeManifest(b []byte) (*manifest, error) {
	if len(b) == 0 || b[0] != manifestVersion {
		return nil, errManifest
	}
	r := manifestReader{rest: b[1:]}
	m := &manifest{root: r.id()}
	m.MemoryBytes = uint64(r.number())<<32 | uint64(r.number())
	for range r.count(8) {
		name := r.take(r.number())
		m.Sections = append(m.Sections, stateroot.Section{Name: string(name), Value: r.take(r.number())})
	}
	for range r.count(4 + 32) {
		m.Pages = append(m.Pages, stateroot.Page{Index: r.number(), Hash: r.id()})
	}
	if r.failed || len(r.rest) > 0 {
		return nil, errManifest
	}
	return m, nil
}

// manifestReader takes fields off bytes; what it gives after the first failure
// is empty.
type manifestReader struct {
	rest   []byte
	failed bool
}

func (r *manifestReader) take(n uint32) []byte {
	if r.failed || uint64(n) > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	taken := r.rest[:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *manifestReader) number() uint32 {
	if b := r.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (r *manifestReader) id() (id ao.ID) {
	copy(id[:], r.take(32))
	return id
}

// count reads a number of elements that take at least size bytes each.
func (r *manifestReader) count(size int) uint32 {
	n := r.number()
	if uint64(n)*uint64(size) > uint64(len(r.rest)) {
		r.failed = true
		return 0
	}
	return n
}

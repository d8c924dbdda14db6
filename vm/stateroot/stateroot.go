package stateroot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
)

// State is what a root is made of: a process's state with hashes for its pages. It
// is a vm.SnapshotWriter, so that a process fills it.
type State struct {
	MemoryBytes uint64
	Sections    []Section
	Pages       []Page // those that are not all zero
}

var _ vm.HashWriter = (*State)(nil)

// Section is a named value of a state.
type Section struct {
	Name  string
	Value []byte
}

// Page is a page of the memory by its hash.
type Page struct {
	Index uint32
	Hash  dataitem.ID // SHA-256 of its bytes
}

// Domain bytes keep what is hashed for one purpose from passing for another.
const (
	domainState   = 0
	domainNode    = 1
	domainSection = 2
)

// ZeroPage is the hash of a page that is all zero.
var ZeroPage = dataitem.ID(sha256.Sum256(make([]byte, vm.PageBytes)))

// Of reads the state of a process, which stands between messages.
func Of(process vm.Process) (*State, error) {
	s := &State{}
	if err := process.Snapshot(s); err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return s, nil
}

// Section keeps a section; see vm.SnapshotWriter.
func (s *State) Section(name string, value []byte) error {
	s.Sections = append(s.Sections, Section{name, bytes.Clone(value)})
	return nil
}

// Memory keeps the memory's size; see vm.SnapshotWriter.
func (s *State) Memory(sizeBytes uint64) error {
	s.MemoryBytes = sizeBytes
	return nil
}

// Page keeps a page's hash; see vm.SnapshotWriter.
func (s *State) Page(index uint32, data []byte) error {
	return s.HashedPage(index, data, sha256.Sum256(data))
}

// HashedPage keeps a page's hash; see vm.HashWriter.
func (s *State) HashedPage(index uint32, _ []byte, hash [sha256.Size]byte) error {
	if hash != ZeroPage {
		s.Pages = append(s.Pages, Page{index, hash})
	}
	return nil
}

// Root gives the state's root.
func (s *State) Root() dataitem.ID {
	return fold(s.MemoryBytes, merkle(s.pageLeaves()), merkle(sectionLeaves(s.byName())))
}

// fold makes a root of its parts.
func fold(memoryBytes uint64, memory, sections dataitem.ID) dataitem.ID {
	root := binary.BigEndian.AppendUint64([]byte{domainState}, memoryBytes)
	root = append(root, memory[:]...)
	return sha256.Sum256(append(root, sections[:]...))
}

// pageCount is how many pages a memory has.
func pageCount(memoryBytes uint64) uint64 {
	return memoryBytes/vm.PageBytes + min(1, memoryBytes%vm.PageBytes)
}

// pageLeaves gives the leaves of the memory tree.
func (s *State) pageLeaves() []dataitem.ID {
	leaves := make([]dataitem.ID, pageCount(s.MemoryBytes))
	for i := range leaves {
		leaves[i] = ZeroPage
	}
	for _, page := range s.Pages {
		if int(page.Index) < len(leaves) {
			leaves[page.Index] = page.Hash
		}
	}
	return leaves
}

// byName gives the sections in the order in which they stand in their tree.
func (s *State) byName() []Section {
	return slices.SortedFunc(slices.Values(s.Sections), func(a, b Section) int { return strings.Compare(a.Name, b.Name) })
}

func sectionLeaves(sections []Section) []dataitem.ID {
	leaves := make([]dataitem.ID, 0, len(sections))
	for _, section := range sections {
		leaves = append(leaves, sectionLeaf(section.Name, section.Value))
	}
	return leaves
}

func sectionLeaf(name string, value []byte) dataitem.ID {
	hash := sha256.Sum256(value)
	leaf := binary.BigEndian.AppendUint32([]byte{domainSection}, uint32(len(name)))
	leaf = append(leaf, name...)
	return sha256.Sum256(append(leaf, hash[:]...))
}

func node(left, right dataitem.ID) dataitem.ID {
	b := [1 + 64]byte{domainNode}
	copy(b[1:], left[:])
	copy(b[33:], right[:])
	return sha256.Sum256(b[:])
}

// merkle folds leaves in place.
func merkle(leaves []dataitem.ID) dataitem.ID {
	if len(leaves) == 0 {
		return dataitem.ID{}
	}
	for len(leaves) > 1 {
		leaves = level(leaves)
	}
	return leaves[0]
}

// level folds one level of a tree in place.
func level(nodes []dataitem.ID) []dataitem.ID {
	parents := nodes[:0]
	for i := 0; i < len(nodes); i += 2 {
		if i+1 == len(nodes) {
			parents = append(parents, nodes[i])
			continue
		}
		parents = append(parents, node(nodes[i], nodes[i+1]))
	}
	return parents
}

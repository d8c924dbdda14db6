package stateroot

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
)

// PageProof shows that a page has its place in the memory of a state. It is as long
// as its tree is high: some 400 bytes for a memory of 64 MiB.
type PageProof struct {
	MemoryBytes uint64        `json:"memoryBytes"`
	Index       uint32        `json:"index"`
	Path        []dataitem.ID `json:"path"`     // what the page is paired with, from the leaves up
	Sections    dataitem.ID   `json:"sections"` // the section tree
}

// SectionProof shows that a section belongs to a state.
type SectionProof struct {
	MemoryBytes uint64        `json:"memoryBytes"`
	Name        string        `json:"name"`
	Index       uint32        `json:"index"` // among the sections by name
	Count       uint32        `json:"count"` // of the sections
	Path        []dataitem.ID `json:"path"`
	Memory      dataitem.ID   `json:"memory"` // the memory tree
}

// ErrNotProven is wrapped when a proof does not lead to the root.
var ErrNotProven = errors.New("the proof does not lead to the state root")

// ProvePage makes the proof of a page, which may be one that is all zero.
func (s *State) ProvePage(index uint32) (PageProof, error) {
	if uint64(index) >= pageCount(s.MemoryBytes) {
		return PageProof{}, fmt.Errorf("page %d of a memory of %d: %w", index, pageCount(s.MemoryBytes), vm.ErrNotFound)
	}
	return PageProof{s.MemoryBytes, index, path(s.pageLeaves(), int(index)), merkle(sectionLeaves(s.byName()))}, nil
}

// ProveSection makes the proof of a section.
func (s *State) ProveSection(name string) (SectionProof, error) {
	sections := s.byName()
	index := slices.IndexFunc(sections, func(section Section) bool { return section.Name == name })
	if index < 0 {
		return SectionProof{}, fmt.Errorf("section %q: %w", name, vm.ErrNotFound)
	}
	leaves := sectionLeaves(sections)
	return SectionProof{s.MemoryBytes, name, uint32(index), uint32(len(leaves)), path(leaves, index), merkle(s.pageLeaves())}, nil
}

// Verify reports whether a page with those bytes stands at the proof's index in the
// state with that root; if not, the error wraps ErrNotProven.
func (p PageProof) Verify(root dataitem.ID, page []byte) error {
	if len(page) != vm.PageBytes {
		return fmt.Errorf("%w: page %d has %d bytes, not %d", ErrNotProven, p.Index, len(page), vm.PageBytes)
	}
	memory, err := climb(sha256.Sum256(page), uint64(p.Index), pageCount(p.MemoryBytes), p.Path)
	if err != nil {
		return fmt.Errorf("page %d: %w", p.Index, err)
	}
	return compare(root, fold(p.MemoryBytes, memory, p.Sections))
}

// Verify reports whether the proof's section has that value in the state with that
// root; if not, the error wraps ErrNotProven.
func (p SectionProof) Verify(root dataitem.ID, value []byte) error {
	sections, err := climb(sectionLeaf(p.Name, value), uint64(p.Index), uint64(p.Count), p.Path)
	if err != nil {
		return fmt.Errorf("section %q: %w", p.Name, err)
	}
	return compare(root, fold(p.MemoryBytes, p.Memory, sections))
}

func compare(root, got dataitem.ID) error {
	if got != root {
		return fmt.Errorf("%w: it leads to %s, not %s", ErrNotProven, got, root)
	}
	return nil
}

// path gives what a leaf, and what it becomes, is paired with on its way up. It
// uses the leaves up.
func path(leaves []dataitem.ID, index int) []dataitem.ID {
	path := []dataitem.ID{}
	for ; len(leaves) > 1; index /= 2 {
		if other := index ^ 1; other < len(leaves) {
			path = append(path, leaves[other])
		}
		leaves = level(leaves)
	}
	return path
}

// climb goes the way of a leaf up to the top of its tree.
func climb(at dataitem.ID, index, count uint64, path []dataitem.ID) (dataitem.ID, error) {
	if index >= count {
		return at, fmt.Errorf("%w: there are only %d", ErrNotProven, count)
	}
	for ; count > 1; index, count = index/2, count-count/2 {
		if index^1 >= count {
			continue // it has none beside it
		}
		if len(path) == 0 {
			return at, fmt.Errorf("%w: it is too short", ErrNotProven)
		}
		if index%2 == 0 {
			at = node(at, path[0])
		} else {
			at = node(path[0], at)
		}
		path = path[1:]
	}
	if len(path) > 0 {
		return at, fmt.Errorf("%w: it is too long", ErrNotProven)
	}
	return at, nil
}

package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// Domain bytes keep a leaf from passing for a node and a section for a page.
const (
	domainState   = 0
	domainNode    = 1
	domainSection = 2
)

// zeroPage is the hash of a page that a snapshot leaves out.
var zeroPage = ao.ID(sha256.Sum256(make([]byte, vm.PageBytes)))

// stateRoot is the Merkle root of a state: the same for every machine and
// virtual machine that reached the state, and a short commitment to every page
// of it.
//
//	root    = H(0 ‖ memory size (8) ‖ memory tree ‖ section tree)
//	memory  = tree over H(page) for every page, the zero ones too
//	section = tree over H(2 ‖ length of name (4) ‖ name ‖ H(value)), by name
//	tree    = H(1 ‖ left ‖ right) pairwise from the left; the odd one moves up;
//	          the tree over nothing is 32 zero bytes
func stateRoot(m *manifest) ao.ID {
	pages := make([]ao.ID, (m.memoryBytes+vm.PageBytes-1)/vm.PageBytes)
	for i := range pages {
		pages[i] = zeroPage
	}
	for _, page := range m.pages {
		if int(page.index) < len(pages) {
			pages[page.index] = page.hash
		}
	}
	sections := slices.SortedFunc(slices.Values(m.sections), func(a, b section) int { return strings.Compare(a.name, b.name) })
	leaves := make([]ao.ID, 0, len(sections))
	for _, s := range sections {
		value := sha256.Sum256(s.value)
		leaf := binary.BigEndian.AppendUint32([]byte{domainSection}, uint32(len(s.name)))
		leaf = append(leaf, s.name...)
		leaves = append(leaves, sha256.Sum256(append(leaf, value[:]...)))
	}
	root := binary.BigEndian.AppendUint64([]byte{domainState}, m.memoryBytes)
	memory, named := merkle(pages), merkle(leaves)
	root = append(root, memory[:]...)
	return sha256.Sum256(append(root, named[:]...))
}

// merkle folds leaves in place.
func merkle(leaves []ao.ID) ao.ID {
	if len(leaves) == 0 {
		return ao.ID{}
	}
	node := [1 + 64]byte{domainNode}
	for len(leaves) > 1 {
		parents := leaves[:0]
		for i := 0; i < len(leaves); i += 2 {
			if i+1 == len(leaves) {
				parents = append(parents, leaves[i])
				continue
			}
			copy(node[1:], leaves[i][:])
			copy(node[33:], leaves[i+1][:])
			parents = append(parents, sha256.Sum256(node[:]))
		}
		leaves = parents
	}
	return leaves[0]
}

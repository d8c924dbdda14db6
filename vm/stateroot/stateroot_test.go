package stateroot

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
)

// page makes a page that holds a word and is zero otherwise.
func page(word string) []byte {
	b := make([]byte, vm.PageBytes)
	copy(b, word)
	return b
}

// vector is a state in words, with what comes of it.
type vector struct {
	MemoryBytes uint64
	Sections    map[string]string
	Pages       map[uint32]string // how a page that is not all zero begins
	Root        dataitem.ID
	Page        *PageProof // of the last page
	Section     *SectionProof
}

func (v vector) state(t *testing.T) *State {
	t.Helper()
	s := &State{}
	for name, value := range v.Sections {
		if err := s.Section(name, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Memory(v.MemoryBytes); err != nil {
		t.Fatal(err)
	}
	for index, word := range v.Pages {
		if err := s.Page(index, page(word)); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func TestVectorsHold(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []vector
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors: %v", len(vectors), err)
	}
	for i, v := range vectors {
		got := vector{MemoryBytes: v.MemoryBytes, Sections: v.Sections, Pages: v.Pages}
		s := v.state(t)
		got.Root = s.Root()
		if count := pageCount(v.MemoryBytes); count > 0 {
			proof, err := s.ProvePage(uint32(count - 1))
			if err != nil {
				t.Fatal(err)
			}
			got.Page = &proof
		}
		if proof, err := s.ProveSection("b"); err == nil {
			got.Section = &proof
		}
		if diff := cmp.Diff(v, got); diff != "" {
			t.Errorf("vector %d (-recorded +made):\n%s", i, diff)
		}
	}
}

func TestRootIsAFunctionOfTheState(t *testing.T) {
	base := State{MemoryBytes: 5 * vm.PageBytes, Sections: []Section{{"a", []byte("1")}, {"b", nil}}, Pages: []Page{{1, dataitem.ID{1}}, {4, dataitem.ID{2}}}}
	root := base.Root()
	if want := "ORtM1IA18B2pKfwZjWxMWM7TpLmttHxB_AKwak7jojg"; root.String() != want {
		t.Errorf("root is %s, it was %s: the format has changed", root, want)
	}
	reordered := base
	reordered.Sections = []Section{base.Sections[1], base.Sections[0]}
	if reordered.Root() != root {
		t.Error("the order in which sections are written changes the root")
	}
	for name, change := range map[string]func(*State){
		"size":    func(s *State) { s.MemoryBytes += vm.PageBytes },
		"index":   func(s *State) { s.Pages = []Page{{1, dataitem.ID{1}}, {3, dataitem.ID{2}}} },
		"page":    func(s *State) { s.Pages = []Page{{1, dataitem.ID{3}}, {4, dataitem.ID{2}}} },
		"section": func(s *State) { s.Sections = []Section{{"a", []byte("2")}, {"b", nil}} },
		"name":    func(s *State) { s.Sections = []Section{{"a", []byte("1")}, {"c", nil}} },
	} {
		changed := base
		change(&changed)
		if changed.Root() == root {
			t.Errorf("another %s has the same root", name)
		}
	}
}

// TestEveryPageIsProvenAndNothingElse makes the proofs of all pages of memories of
// all small sizes, and has each verified with its own bytes and with wrong ones.
func TestEveryPageIsProvenAndNothingElse(t *testing.T) {
	for count := uint32(1); count <= 20; count++ {
		v := vector{MemoryBytes: uint64(count) * vm.PageBytes, Sections: map[string]string{"a": "1"}, Pages: map[uint32]string{}}
		for index := uint32(0); index < count; index += 2 {
			v.Pages[index] = fmt.Sprint("page ", index)
		}
		s := v.state(t)
		root := s.Root()
		for index := range count {
			proof, err := s.ProvePage(index)
			if err != nil {
				t.Fatal(err)
			}
			right := page(v.Pages[index])
			if err := proof.Verify(root, right); err != nil {
				t.Errorf("page %d of %d: %v", index, count, err)
			}
			wrong := map[string]error{
				"another root":    proof.Verify(dataitem.ID{1}, right),
				"another page":    proof.Verify(root, page("another")),
				"a short page":    proof.Verify(root, right[1:]),
				"another index":   PageProof{proof.MemoryBytes, (index + 1) % (count + 1), proof.Path, proof.Sections}.Verify(root, right),
				"another size":    PageProof{proof.MemoryBytes + vm.PageBytes, index, proof.Path, proof.Sections}.Verify(root, right),
				"other sections":  PageProof{proof.MemoryBytes, index, proof.Path, dataitem.ID{2}}.Verify(root, right),
				"a longer path":   PageProof{proof.MemoryBytes, index, append(proof.Path[:len(proof.Path):len(proof.Path)], ZeroPage), proof.Sections}.Verify(root, right),
				"an index beyond": PageProof{proof.MemoryBytes, count, proof.Path, proof.Sections}.Verify(root, right),
			}
			for i := range proof.Path {
				spoilt := append([]dataitem.ID(nil), proof.Path...)
				spoilt[i][0] ^= 1
				wrong[fmt.Sprint("another step ", i)] = PageProof{proof.MemoryBytes, index, spoilt, proof.Sections}.Verify(root, right)
				wrong[fmt.Sprint("a path of ", i)] = PageProof{proof.MemoryBytes, index, proof.Path[:i], proof.Sections}.Verify(root, right)
			}
			for what, err := range wrong {
				if !errors.Is(err, ErrNotProven) {
					t.Errorf("page %d of %d is proven with %s", index, count, what)
				}
			}
		}
		if _, err := s.ProvePage(count); !errors.Is(err, vm.ErrNotFound) {
			t.Errorf("a page beyond the memory: %v", err)
		}
	}
}

func TestEverySectionIsProvenAndNothingElse(t *testing.T) {
	v := vector{MemoryBytes: 2 * vm.PageBytes, Sections: map[string]string{}, Pages: map[uint32]string{1: "x"}}
	for _, name := range []string{"a", "bb", "c", "d", "e"} {
		v.Sections[name] = strings.Repeat(name, 3)
		s := v.state(t)
		for name, value := range v.Sections {
			proof, err := s.ProveSection(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := proof.Verify(s.Root(), []byte(value)); err != nil {
				t.Errorf("section %s of %d: %v", name, len(v.Sections), err)
			}
			other := proof
			other.Name = "z"
			if proof.Verify(s.Root(), []byte("another")) == nil || other.Verify(s.Root(), []byte(value)) == nil {
				t.Errorf("section %s of %d is proven with another value or name", name, len(v.Sections))
			}
		}
	}
	if _, err := v.state(t).ProveSection("f"); !errors.Is(err, vm.ErrNotFound) {
		t.Errorf("a section that is not there: %v", err)
	}
}

package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/vm"
)

// account is a side whose results follow from nonces, but for those that are a lie.
type account struct {
	lies  map[uint64]bool
	asked int
	read  uint64
	err   error
}

func (a *account) Digest(_ context.Context, from, to uint64) (d Digest, err error) {
	a.asked++
	a.read += to - from + 1
	for nonce := from; nonce <= to; nonce++ {
		result := fmt.Sprint("result ", nonce)
		if a.lies[nonce] {
			result = "a lie"
		}
		d = d.Add([]byte(result))
	}
	return d, a.err
}

// TestTheFirstLieIsFoundInLogSteps lies at every nonce of histories of all lengths, and
// sometimes afterwards, too.
func TestTheFirstLieIsFoundInLogSteps(t *testing.T) {
	for length := uint64(1); length <= 70; length++ {
		for lie := range length {
			honest, liar := &account{}, &account{lies: map[uint64]bool{lie + 3: lie%2 == 0, length - 1: lie%3 == 0}}
			liar.lies[lie] = true // it may be the last, too
			nonce, found, err := First(t.Context(), honest, liar, length-1)
			if err != nil || !found || nonce != lie {
				t.Fatalf("a lie at %d of %d: found %t at %d, %v", lie, length, found, nonce, err)
			}
			if most := 1 + bits.Len64(length-1); honest.asked > most || liar.asked > most || honest.read > 2*length+uint64(most) {
				t.Errorf("a lie at %d of %d: asked %d times, at most %d are needed; read %d results", lie, length, honest.asked, most, honest.read)
			}
		}
		if _, found, err := First(t.Context(), &account{}, &account{}, length-1); found || err != nil {
			t.Fatalf("two honest accounts of %d differ: %v", length, err)
		}
	}
}

func TestLongHistoriesAreComparedInSpans(t *testing.T) {
	const lie = 2*SpanMax + 7
	honest, liar := &account{}, &account{lies: map[uint64]bool{lie: true}}
	if nonce, found, err := First(t.Context(), honest, liar, 3*SpanMax); err != nil || !found || nonce != lie || honest.asked > 3+16 {
		t.Errorf("found %t at %d after %d questions, %v", found, nonce, honest.asked, err)
	}
	failing := &account{err: errors.New("gone")}
	if _, _, err := First(t.Context(), honest, failing, 3); !errors.Is(err, failing.err) {
		t.Errorf("a side that fails: %v", err)
	}
}

func TestFieldsThatDiffer(t *testing.T) {
	for name, c := range map[string]struct {
		a, b string
		want []Field
	}{
		"nothing":       {`{"a":[1,{"b":null}]}`, `{ "a":[1,{"b":null}]}`, nil},
		"a value":       {`{"Output":{"data":"3"}}`, `{"Output":{"data":"4"}}`, []Field{{"Output.data", `"3"`, `"4"`}}},
		"an item":       {`{"M":[{"T":"a"}]}`, `{"M":[{"T":"a"},2]}`, []Field{{"M[1]", "", "2"}}},
		"a key":         {`{"a":1,"b":2}`, `{"b":3,"c":null}`, []Field{{"a", "1", ""}, {"b", "2", "3"}, {"c", "", "null"}}},
		"a type":        {`{"a":[]}`, `{"a":{}}`, []Field{{"a", "[]", "{}"}}},
		"a large int":   {`9007199254740993`, `9007199254740992`, []Field{{"", "9007199254740993", "9007199254740992"}}},
		"what is wrong": {`{`, `{}`, []Field{{"", "{", "{}"}}},
	} {
		if d := cmp.Diff(c.want, Fields([]byte(c.a), []byte(c.b))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}

func TestStatesThatDiffer(t *testing.T) {
	make := func(change func(*vm.State)) *vm.State {
		s := vm.NewState()
		s.Sections["a"], s.Sections["b"] = []byte("1"), []byte("2")
		s.MemoryBytes = 3 * vm.PageBytes
		s.Pages[0] = bytes.Repeat([]byte("x"), vm.PageBytes)
		if change != nil {
			change(s)
		}
		return s
	}
	if d := States(make(nil), make(nil)); !cmp.Equal(d, State{}) {
		t.Errorf("equal states differ in %+v", d)
	}
	got := States(make(nil), make(func(s *vm.State) {
		delete(s.Sections, "a")
		s.Sections["c"] = nil
		s.MemoryBytes += vm.PageBytes
		s.Pages[0][100], s.Pages[0][103] = 'y', 'z'
		s.Pages[2] = bytes.Repeat([]byte("w"), vm.PageBytes)
	}))
	want := State{
		MemoryBytes: &[2]uint64{3 * vm.PageBytes, 4 * vm.PageBytes}, Sections: []string{"a", "c"}, PagesTotal: 2,
		Pages: []Page{
			{Index: 0, From: 100, To: 104, Bytes: 2, A: []byte("xxxx"), B: []byte("yxxz")},
			{Index: 2, From: 0, To: vm.PageBytes, Bytes: vm.PageBytes, A: bytes.Repeat([]byte{0}, 16), B: bytes.Repeat([]byte("w"), 16)},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}

package proof

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/vm"
)

// proofs are those that are altered: one that begins with the process and has all
// kinds of records, and one that begins in a state.
func proofs(t *testing.T) map[string][]byte {
	t.Helper()
	f := newFixture(t)
	return map[string][]byte{
		"from the beginning": f.proof(Part{Nonce: 5}),
		"from a state":       f.proof(Part{Nonce: 3, Given: 1}),
	}
}

func TestAProofIsReadAsItWasWritten(t *testing.T) {
	for name, b := range proofs(t) {
		p, err := read(t, b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, list := records(t, b)
		kinds := map[history.Kind]int{}
		for _, r := range list {
			kinds[r.Kind]++
		}
		want := map[history.Kind]int{
			history.KindEntry: 6, history.KindItem: 1, history.KindOpening: 2, history.KindAttest: 2, history.KindModule: 1, history.KindStatement: 1,
		}
		var state *vm.State
		if p.Given != nil {
			want = map[history.Kind]int{history.KindEntry: 4, history.KindItem: 1, history.KindModule: 1, history.KindCheckpoint: 1, history.KindStatement: 1}
			state = testState()
			if root := rootOf(state); p.Given.Root != root || p.Given.Nonce != 1 {
				t.Errorf("%s: given is %+v, the state's root is %s", name, p.Given, root)
			}
		}
		if diff := cmp.Diff(want, kinds); diff != "" {
			t.Errorf("%s has other records (-want +got):\n%s", name, diff)
		}
		if (state == nil) != (p.State == nil) || state != nil && !state.Equal(p.State) {
			t.Errorf("%s: another state", name)
		}
		if string(p.Result) != `{"Output":"said"}` {
			t.Errorf("%s: result %s", name, p.Result)
		}
	}
}

// free says that only a replay can tell that a proof is altered: all that it says but
// the result, the root of the state after it and the fingerprint is as it was.
func free(t *testing.T, original []byte, altered *Proof) bool {
	t.Helper()
	p, err := read(t, original)
	if err != nil {
		t.Fatal(err)
	}
	was, is := p.Statement, altered.Statement
	for _, s := range []*Statement{&was, &is} {
		s.Result, s.Root, s.Fingerprint = nil, ao.ID{}, ao.ID{}
		if s.Given != nil { // the root is compared with that of the state when it is restored
			given := *s.Given
			given.Root = ao.ID{}
			s.Given = &given
		}
	}
	changed := string(p.Result) != string(altered.Result) || p.Root != altered.Root || p.Fingerprint != altered.Fingerprint ||
		p.Given != nil && p.Given.Root != altered.Given.Root
	same := p.State == nil || p.State.Equal(altered.State)
	return changed && same && cmp.Equal(was, is)
}

// refused checks that an altered proof is refused, or says something that a replay
// refutes.
func refused(t *testing.T, original, altered []byte, format string, args ...any) {
	t.Helper()
	if bytes.Equal(original, altered) {
		t.Errorf(format+": nothing was altered", args...)
		return
	}
	if p, err := read(t, altered); err == nil && !free(t, original, p) {
		t.Errorf(format+": it is still a proof", args...)
	}
}

// TestNoByteCanBeAltered changes every byte, as damage does.
func TestNoByteCanBeAltered(t *testing.T) {
	for name, b := range proofs(t) {
		for i := range b {
			altered := bytes.Clone(b)
			altered[i] ^= 1 << (i % 8)
			if _, err := read(t, altered); err == nil {
				t.Errorf("%s: byte %d was altered, and it is still a proof", name, i)
			}
		}
		for i := range b {
			if i > len(b)-100 || i%50 == 0 {
				refused(t, b, b[:i], "%s: cut off at byte %d", name, i)
			}
		}
		refused(t, b, append(bytes.Clone(b), 0), "%s: something behind it", name)
	}
}

// TestNoByteOfARecordCanBeAltered changes every byte of all payloads, nonces and flags,
// and makes checksums and index fit, as whoever means it does.
func TestNoByteOfARecordCanBeAltered(t *testing.T) {
	f := newFixture(t)
	for name, b := range proofs(t) {
		h, list := records(t, b)
		for n, r := range list {
			write := func(altered history.Record, what string) {
				t.Helper()
				changed := slices.Clone(list)
				changed[n] = altered
				refused(t, b, f.file(h, changed), "%s: %s of the %s at nonce %d", name, what, r.Kind, r.Nonce)
			}
			for i := range r.Payload {
				altered := r
				altered.Payload = bytes.Clone(r.Payload)
				altered.Payload[i] ^= 1 << (i % 8)
				write(altered, fmt.Sprintf("byte %d", i))
			}
			for _, payload := range [][]byte{append(bytes.Clone(r.Payload), 0), r.Payload[:len(r.Payload)-1], nil} {
				altered := r
				altered.Payload = payload
				write(altered, fmt.Sprintf("%d bytes", len(payload)))
			}
			for _, change := range []func(*history.Record){
				func(r *history.Record) { r.Nonce++ }, func(r *history.Record) { r.Flags ^= 1 }, func(r *history.Record) { r.Flags ^= 2 },
				func(r *history.Record) { r.Kind++ }, func(r *history.Record) { r.Kind = 99 },
			} {
				altered := r
				change(&altered)
				if altered.Kind != history.KindHeader && altered.Kind != history.KindIndex && altered.Kind != history.KindEnd {
					write(altered, fmt.Sprintf("nonce %d, flags %d or kind %d", altered.Nonce, altered.Flags, altered.Kind))
				}
			}
			refused(t, b, f.file(h, slices.Delete(slices.Clone(list), n, n+1)), "%s: without the %s at nonce %d", name, r.Kind, r.Nonce)
			refused(t, b, f.file(h, slices.Insert(slices.Clone(list), n, r)), "%s: the %s at nonce %d twice", name, r.Kind, r.Nonce)
		}
		for _, origin := range []history.Origin{{}, {Kind: "wallaby"}, {Kind: originKind, URL: "http://source"}} {
			refused(t, b, f.file(history.Header{Process: h.Process, Source: origin}, list), "%s: from %+v", name, origin)
		}
		refused(t, b, f.file(history.Header{Process: ao.ID{1}, Source: h.Source}, list), "%s: of another process", name)
		refused(t, b, f.file(h, append(slices.Clone(list), history.NoteRecord(0, "a remark"))), "%s: with a remark", name)
	}
}

// TestNoFieldCanBeAltered changes what JSON says, in ways that a byte cannot.
func TestNoFieldCanBeAltered(t *testing.T) {
	f := newFixture(t)
	other := ao.ID{9}.String()
	for name, b := range proofs(t) {
		h, list := records(t, b)
		seen := map[string]int{}
		for n, r := range list {
			if r.Kind == history.KindEntry || r.Kind == history.KindItem || r.Kind == history.KindCheckpoint {
				continue
			}
			for field, with := range map[string]string{
				`"process":"`: other, `"module":"`: other, `"message":"`: other, `"assignment":"`: other, `"hashChain":"`: other, `"fingerprint":"`: other,
				`"root":"`: other, `"sha256":"`: other, `"id":"`: other, `"owner":"`: "somebody", `"mode":"`: "solo", `"before":"`: "raft:3",
				`"order":"`: "", `"nonce":`: "9", `"epoch":`: "9", `"first":`: "0", `"index":`: "1", `"to":`: "301", `"from":`: "301", `"timestamp":`: "1",
				`"height":`: "1", `"promised":`: "1", `{`: `"more":1,`,
			} {
				payload := string(r.Payload)
				at := strings.Index(payload, field)
				if at < 0 || !strings.Contains(payload[:min(len(payload), 8)], "{") {
					continue
				}
				start := at + len(field)
				end := start
				switch {
				case strings.HasSuffix(field, `"`):
					end += strings.Index(payload[start:], `"`)
				case strings.HasSuffix(field, `:`):
					end += strings.IndexAny(payload[start:], ",}")
				}
				if payload[start:end] == with {
					continue
				}
				text := payload[:start] + with + payload[end:]
				altered := r
				altered.Payload = []byte(text)
				if first, second, err := history.Parted(r.Payload); err == nil && r.Kind != history.KindOpening && r.Kind != history.KindAttest {
					grown := len(text) - len(payload)
					altered.Payload = history.Joined([]byte(text[4:4+len(first)+grown]), second)
				}
				changed := slices.Clone(list)
				changed[n] = altered
				seen[field]++
				refused(t, b, f.file(h, changed), "%s: %s of the %s at nonce %d is %q", name, field, r.Kind, r.Nonce, with)
			}
		}
		if name == "from the beginning" && len(seen) < 15 {
			t.Errorf("only %v were there to alter", slices.Sorted(maps.Keys(seen)))
		}
	}
}

// TestWhatIsNotSignedIsNoProof: a history that verify finds fault with proves nothing.
func TestWhatIsNotSignedIsNoProof(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		part Part
		want string
	}{
		"operators have not signed yet": {Part{Nonce: 6}, "unattested"},
		"a state in a later epoch":      {Part{Nonce: 6, Given: 4}, "epoch"},
	} {
		if _, err := read(t, f.proof(c.part)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Cut(&bytes.Buffer{}, bytes.NewReader(f.history()), Part{Nonce: 7}); err == nil || !strings.Contains(err.Error(), "no nonce 7") {
		t.Errorf("a nonce that is not there: %v", err)
	}
	f.records = f.records[:len(f.records)-1]
	if err := Cut(&bytes.Buffer{}, bytes.NewReader(f.history()), Part{Nonce: 1}); err == nil || !strings.Contains(err.Error(), "--module") {
		t.Errorf("a history without its module: %v", err)
	}
}

func FuzzUnpackState(f *testing.F) {
	packed, err := packState(testState())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := unpackState(b)
		if err != nil {
			return
		}
		again, err := packState(s)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := unpackState(again); err != nil || !s.Equal(back) {
			t.Errorf("a state changes when it is packed: %v", err)
		}
	})
}

package proof

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/vm"
)

// Seeds of the fixture's keys.
const (
	schedulerSeed = iota + 1
	ownerSeed
	operatorSeed // and the one after it
)

// fixture makes a history that has all that a proof may: a bare assignment, an epoch
// that was ordered, one that was not, attestations and a module. What its source added
// of its own is there, too.
type fixture struct {
	*testing.T
	process *dataitem.Item
	head    aolog.Head
	records []history.Record
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{T: t}
	module := f.create(ownerSeed, dataitem.Draft{Data: []byte("\x00asm"), Tags: dataitem.Tags{
		{Name: ao.TagType, Value: ao.TypeModule}, {Name: ao.TagModuleFormat, Value: "wasm32-unknown-emscripten"},
	}})
	f.process = f.create(ownerSeed, dataitem.Draft{Data: []byte(" "), Tags: dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant},
		{Name: ao.TagType, Value: ao.TypeProcess}, {Name: ao.TagModule, Value: module.ID().String()},
		{Name: ao.TagScheduler, Value: dataitem.AddressOf(logtest.Signer(t, schedulerSeed).Owner()).String()},
	}})
	f.place(aolog.Proposal{Item: f.process})
	f.message("one")
	elsewhere := f.create(operatorSeed, dataitem.Draft{Data: []byte("elsewhere")})
	f.place(aolog.Proposal{Process: f.process.ID(), Message: elsewhere.ID()})
	f.add(history.ItemRecord(2, elsewhere), history.NoteRecord(2, "a remark of whoever had the history"))
	f.message("three")
	mode := aolog.Mode{Voters: 3, Cosigners: 2}
	order := f.create(ownerSeed, dataitem.Draft{Tags: dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeSequencing},
		{Name: ao.TagProcess, Value: f.process.ID().String()}, {Name: ao.TagSequencing, Value: mode.String()}, {Name: ao.TagEpoch, Value: "1"},
	}})
	f.epoch(aolog.Opening{Seal: aolog.Seal{Mode: mode, To: 301, Order: order.Bytes()}, Before: aolog.Solo})
	f.message("four")
	f.attest(4)
	f.epoch(aolog.Opening{Seal: aolog.Seal{Mode: mode, To: 302}, From: 301, Before: mode})
	f.message("five")
	f.attest(5)
	f.message("six")
	f.add(history.ModuleRecord(history.Module{ID: module.ID(), Item: module.Bytes()}))
	return f
}

func (f *fixture) create(seed byte, draft dataitem.Draft) *dataitem.Item {
	f.Helper()
	item, err := dataitem.Create(draft, logtest.Signer(f, seed))
	if err != nil {
		f.Fatal(err)
	}
	return item
}

func (f *fixture) add(records ...history.Record) { f.records = append(f.records, records...) }

func (f *fixture) message(text string) {
	f.Helper()
	f.place(aolog.Proposal{Item: logtest.MessageItem(f, logtest.Signer(f, ownerSeed), f.process.ID(), text)})
}

// place orders an item as a scheduler does.
func (f *fixture) place(proposal aolog.Proposal) {
	f.Helper()
	prepared, err := proposal.Prepare()
	if err != nil {
		f.Fatal(err)
	}
	a := aolog.Sequencer{}.Step(f.head, len(f.records) > 0, prepared, 1_700_000_000_000+1000*int64(len(f.records)), 1_500_000)
	entry, err := aolog.SignEntry(a, prepared.Item, [32]byte{byte(len(f.records))}, logtest.Signer(f, schedulerSeed))
	if err != nil {
		f.Fatal(err)
	}
	f.head = aolog.HeadOf(entry)
	f.add(history.EntryRecord(entry))
}

func (f *fixture) epoch(o aolog.Opening) {
	o.Head = f.head
	f.add(history.OpeningRecord(o))
	f.head = o.Ordering().Head
}

func (f *fixture) attest(first uint64) {
	f.Helper()
	s := aolog.StatementOf(f.head)
	a := aolog.Attested{Process: s.Process, Epoch: s.Epoch, First: first, Nonce: s.Nonce, Index: 7}
	for seed := range byte(2) {
		item, err := s.Sign(logtest.Signer(f, operatorSeed+seed))
		if err != nil {
			f.Fatal(err)
		}
		a.Items = append(a.Items, item.Bytes())
	}
	f.add(history.AttestedRecord(a))
}

// file writes records as a whole file.
func (f *fixture) file(h history.Header, records []history.Record) []byte {
	f.Helper()
	var b bytes.Buffer
	w, err := history.NewWriter(&b, h)
	for _, r := range records {
		if err == nil {
			err = w.Write(r)
		}
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// history is the file that the fixture's source gives.
func (f *fixture) history() []byte {
	return f.file(history.Header{Process: f.process.ID(), Source: history.Origin{Kind: "wallaby", URL: "http://source"}}, f.records)
}

// state is one to begin in.
func testState() *vm.State {
	s := vm.NewState()
	s.Sections["globals"], s.Sections["b"] = []byte("values"), nil
	s.MemoryBytes = 3 * vm.PageBytes
	s.Pages[1] = bytes.Repeat([]byte("page"), vm.PageBytes/4)
	return s
}

// proof makes a proof of a result that nobody has replayed.
func (f *fixture) proof(part Part) []byte {
	f.Helper()
	entry := f.entry(part.Nonce)
	s := Statement{
		Process: f.process.ID(), Nonce: part.Nonce, Message: entry.Message, Assignment: entry.ID,
		HashChain:   ao.NextHashChain(entry.ID, entry.HashChain),
		Fingerprint: ao.ID{1}, Root: ao.ID{2}, Result: []byte(`{"Output":"said"}`),
	}
	s.Module, _ = ao.ParseID(f.process.Tags.Get(ao.TagModule))
	var state *vm.State
	if part.Given > 0 {
		state = testState()
	}
	var b bytes.Buffer
	if err := Write(&b, bytes.NewReader(f.history()), part, s, state); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

func (f *fixture) entry(nonce uint64) aolog.Entry {
	f.Helper()
	i := slices.IndexFunc(f.records, func(r history.Record) bool { return r.Kind == history.KindEntry && r.Nonce == nonce })
	entry, err := f.records[i].Entry()
	if err != nil {
		f.Fatal(err)
	}
	return entry
}

func read(t *testing.T, b []byte) (*Proof, error) {
	t.Helper()
	return Read(t.Context(), bytes.NewReader(b), int64(len(b)))
}

// records gives those of a proof that its writer is told.
func records(t *testing.T, b []byte) (h history.Header, list []history.Record) {
	t.Helper()
	reader, err := history.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return reader.Header(), list
		case err != nil:
			t.Fatal(err)
		case r.Kind != history.KindIndex && r.Kind != history.KindEnd:
			list = append(list, r)
		}
	}
}

package history

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// Seeds of the fixture's keys.
const (
	schedulerSeed = iota + 1
	ownerSeed
	operatorSeed // and the two after it
	_
	_
	strangerSeed
)

// fixture makes a history that has everything: bare assignments, a skip, a second
// epoch, attestations and a module. The same fixture gives the same bytes.
type fixture struct {
	t *testing.T
	// tamper changes an assignment before it is signed; what follows goes on from
	// what it has become.
	tamper func(a *ao.Assignment)
	// scheduler signs the assignment of a nonce; nil: the scheduler.
	scheduler func(nonce uint64) dataitem.Signer
	// target is what messages are sent to; nil: the process.
	target *ao.ID
	// same has every message be the first.
	same bool

	process *dataitem.Item
	head    aolog.Head
	records []Record
}

func key(t *testing.T, seed byte) dataitem.Signer { return logtest.Signer(t, seed) }

func create(t *testing.T, signer dataitem.Signer, draft dataitem.Draft) *dataitem.Item {
	t.Helper()
	item, err := dataitem.Create(draft, signer)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

// newFixture names the process, which has a module of its own.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	module := moduleItem(t)
	process := create(t, key(t, ownerSeed), dataitem.Draft{Data: []byte(" "), Tags: dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagVariant, Value: ao.Variant},
		{Name: ao.TagType, Value: ao.TypeProcess}, {Name: ao.TagModule, Value: module.ID().String()},
		{Name: ao.TagScheduler, Value: dataitem.AddressOf(key(t, schedulerSeed).Owner()).String()},
	}})
	return &fixture{t: t, process: process}
}

func moduleItem(t *testing.T) *dataitem.Item {
	return create(t, key(t, ownerSeed), dataitem.Draft{Data: []byte("\x00asm"), Tags: dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeModule},
		{Name: ao.TagModuleFormat, Value: "wasm32-unknown-emscripten"},
	}})
}

// elsewhere is the item that nonce 3 assigns by name.
func (f *fixture) elsewhere() *dataitem.Item {
	return create(f.t, key(f.t, strangerSeed), dataitem.Draft{Data: []byte("elsewhere")})
}

// build gives the records between the header and the index.
func (f *fixture) build() []Record {
	f.place(aolog.Proposal{Item: f.process})
	f.message()
	f.message()
	f.place(aolog.Proposal{Process: f.process.ID(), Message: f.elsewhere().ID(), Exclude: []string{"Anchor"}})
	f.records = append(f.records, ItemRecord(3, f.elsewhere()))
	promise := aolog.Promise{Process: f.process.ID(), UntilMS: f.head.TimestampMS + 500, Skip: true}
	skip, _ := promise.SkipOf(f.head)
	f.records = append(f.records, SkipRecord(skip))
	f.head = f.head.Promised(promise)
	f.openEpoch()
	for range 4 {
		f.message()
		if f.head.Nonce%2 == 1 {
			f.attest(operatorSeed, operatorSeed+1)
		}
	}
	module := moduleItem(f.t)
	f.records = append(f.records, ModuleRecord(Module{ID: module.ID(), Item: module.Bytes()}))
	return f.records
}

func (f *fixture) openEpoch() {
	mode := aolog.Mode{Voters: 3, Cosigners: 2}
	order := create(f.t, key(f.t, ownerSeed), dataitem.Draft{Tags: orderTags(f.process.ID(), mode, "1")})
	opening := aolog.Opening{Seal: aolog.Seal{Head: f.head, Mode: mode, To: 301, Order: order.Bytes()}, Before: aolog.Solo}
	f.records = append(f.records, OpeningRecord(opening))
	f.head = opening.Ordering().Head
}

func orderTags(process ao.ID, mode aolog.Mode, epoch string) dataitem.Tags {
	return dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeSequencing},
		{Name: ao.TagProcess, Value: process.String()}, {Name: ao.TagSequencing, Value: mode.String()}, {Name: ao.TagEpoch, Value: epoch},
	}
}

func (f *fixture) message() {
	text := "message"
	if !f.same {
		text += string(rune('0' + len(f.records)))
	}
	target := f.process.ID()
	if f.target != nil {
		target = *f.target
	}
	f.place(aolog.Proposal{Item: logtest.MessageItem(f.t, key(f.t, ownerSeed), target, text)})
}

// place orders an item as a scheduler does.
func (f *fixture) place(proposal aolog.Proposal) {
	f.t.Helper()
	if f.target == nil {
		var err error
		if proposal, err = proposal.Prepare(); err != nil {
			f.t.Fatal(err)
		}
	} else if proposal.Item != nil {
		proposal.Process, proposal.Message = f.process.ID(), proposal.Item.ID()
		if proposal.Item == f.process {
			proposal.Message = ao.ID{}
		}
	}
	started := len(f.records) > 0
	a := aolog.Sequencer{}.Step(f.head, started, proposal, 1_700_000_000_000+1000*int64(len(f.records)), 1_500_000)
	if f.tamper != nil {
		f.tamper(&a)
	}
	f.records = append(f.records, EntryRecord(f.sign(a, proposal.Item)))
}

func (f *fixture) sign(a ao.Assignment, item *dataitem.Item) aolog.Entry {
	f.t.Helper()
	signer := key(f.t, schedulerSeed)
	if f.scheduler != nil {
		if other := f.scheduler(a.Nonce); other != nil {
			signer = other
		}
	}
	entry, err := aolog.SignEntry(a, item, [32]byte{byte(len(f.records))}, signer)
	if err != nil {
		f.t.Fatal(err)
	}
	f.head = aolog.HeadOf(entry)
	return entry
}

func (f *fixture) attest(operators ...byte) {
	f.records = append(f.records, AttestedRecord(attestation(f.t, aolog.StatementOf(f.head), f.head.Nonce-1, operators...)))
}

func attestation(t *testing.T, s aolog.Statement, first uint64, operators ...byte) aolog.Attested {
	t.Helper()
	a := aolog.Attested{Process: s.Process, Epoch: s.Epoch, First: first, Nonce: s.Nonce}
	for _, seed := range operators {
		item, err := s.Sign(key(t, seed))
		if err != nil {
			t.Fatal(err)
		}
		a.Items = append(a.Items, item.Bytes())
	}
	return a
}

// file writes records as a whole file.
func (f *fixture) file(records []Record) []byte {
	f.t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Process: f.process.ID(), Source: Origin{Kind: "file", URL: "fixture"}})
	if err != nil {
		f.t.Fatal(err)
	}
	for _, r := range records {
		if err := w.Write(r); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.t.Fatal(err)
	}
	return b.Bytes()
}

// readAll gives the records of a file, which must be whole.
func readAll(t *testing.T, b []byte) (records []Record) {
	t.Helper()
	reader, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	for {
		r, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return records
		}
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
}

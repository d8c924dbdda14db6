package history

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Header says whose history a file has and where it was taken from.
type Header struct {
	Version int    `json:"version"`
	Process ao.ID  `json:"process"`
	Source  Origin `json:"source"`
}

// Origin is where a history was taken from. Nobody vouches for it.
type Origin struct {
	Kind string `json:"kind"` // wallaby, su, hyperbeam, arweave or file
	URL  string `json:"url,omitempty"`
}

// Claim is an assignment as somebody told it, without the bytes that were signed.
type Claim struct {
	ID          ao.ID  `json:"id"`
	Process     ao.ID  `json:"process"`
	Message     ao.ID  `json:"message"`
	Epoch       uint64 `json:"epoch"`
	Nonce       uint64 `json:"nonce"`
	BlockHeight uint64 `json:"blockHeight"`
	TimestampMS int64  `json:"timestamp"`
	// Scheduler is who is said to have signed it.
	Scheduler string `json:"scheduler,omitempty"`
	// Told is the source's own words.
	Told json.RawMessage `json:"told,omitempty"`
}

// skipJSON is aolog.Skip as a file has it.
type skipJSON struct {
	Process ao.ID  `json:"process"`
	Nonce   uint64 `json:"nonce"`
	FromMS  int64  `json:"from"`
	UntilMS int64  `json:"until"`
}

// Note says what a source did not deliver as it was signed.
type Note struct {
	Text string `json:"text"`
}

// Module is a module in a history file. Item is the whole signed item if the
// source had it; without it Tags and Bytes are unproven.
type Module struct {
	ID    ao.ID         `json:"id"`
	Owner string        `json:"owner"` // address
	Tags  dataitem.Tags `json:"tags"`
	Bytes []byte        `json:"-"`
	Item  []byte        `json:"-"`
}

// entryRecord makes a record of an entry: assignment length u32, assignment,
// item.
func entryRecord(e aolog.Entry, flags uint8) Record {
	return Record{Kind: KindEntry, Flags: flags, Nonce: e.Nonce, Payload: Joined(e.AssignmentBytes, e.ItemBytes)}
}

// EntryRecord makes a record of an entry whose bytes are as they were signed.
func EntryRecord(e aolog.Entry) Record { return entryRecord(e, 0) }

// RebuiltRecord makes a record of an entry that was put together from fields:
// assignment and item say whether each is what was signed.
func RebuiltRecord(e aolog.Entry, assignment, item bool) Record {
	var flags uint8
	if !assignment {
		flags |= FlagAssignmentRebuilt
	}
	if !item {
		flags |= FlagItemRebuilt
	}
	return entryRecord(e, flags)
}

// ItemRecord makes a record of the item that the assignment at a nonce names.
func ItemRecord(nonce uint64, item *dataitem.Item) Record {
	return Record{Kind: KindItem, Nonce: nonce, Payload: item.Bytes()}
}

// ClaimRecord makes a record of an assignment that was told, with the item if its
// bytes are known. itemSigned says whether they are what was signed.
func ClaimRecord(c Claim, item []byte, itemSigned bool) Record {
	r := Record{Kind: KindClaim, Nonce: c.Nonce, Payload: Joined(encodeJSON(c), item)}
	if item != nil && !itemSigned {
		r.Flags = FlagItemRebuilt
	}
	return r
}

// OpeningRecord makes a record of the beginning of an epoch.
func OpeningRecord(o aolog.Opening) Record {
	return Record{Kind: KindOpening, Nonce: o.Head.Nonce, Payload: encodeJSON(o)}
}

// AttestedRecord makes a record of operators' signatures.
func AttestedRecord(a aolog.Attested) Record {
	return Record{Kind: KindAttest, Nonce: a.Nonce, Payload: encodeJSON(a)}
}

// SkipRecord makes a record of time that crons leave out.
func SkipRecord(s aolog.Skip) Record {
	return Record{Kind: KindSkip, Nonce: s.Nonce, Payload: encodeJSON(skipJSON(s))}
}

// NoteRecord makes a note about a nonce.
func NoteRecord(nonce uint64, format string, args ...any) Record {
	return Record{Kind: KindNote, Nonce: nonce, Payload: encodeJSON(Note{fmt.Sprintf(format, args...)})}
}

// ModuleRecord makes a record of a module: length of JSON u32, JSON, then the
// signed item, or the bytes if there is none.
func ModuleRecord(m Module) Record {
	r := Record{Kind: KindModule, Payload: Joined(encodeJSON(m), m.Item)}
	if m.Item == nil {
		r.Flags, r.Payload = FlagItemRebuilt, Joined(encodeJSON(m), m.Bytes)
	}
	return r
}

func encodeJSON(value any) []byte {
	b, _ := json.Marshal(value) // these types always encode
	return b
}

// Joined makes a payload of two parts: the length of the first, and both.
func Joined(first, second []byte) []byte {
	b := make([]byte, 0, 4+len(first)+len(second))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(first)))
	return append(append(b, first...), second...)
}

// Parted takes a payload of two parts apart.
func Parted(payload []byte) (first, second []byte, err error) {
	if len(payload) < 4 || uint64(binary.LittleEndian.Uint32(payload)) > uint64(len(payload)-4) {
		return nil, nil, fmt.Errorf("its parts do not fit into %d bytes", len(payload))
	}
	end := 4 + int(binary.LittleEndian.Uint32(payload))
	return payload[4:end:end], payload[end:], nil
}

// parts gives the bytes of an entry's assignment and item.
func (r Record) parts() (assignment, item []byte, err error) { return Parted(r.Payload) }

// Entry reads a record of an entry. Signatures are not checked.
func (r Record) Entry() (e aolog.Entry, err error) {
	assignment, item, err := r.parts()
	if err != nil {
		return e, err
	}
	signed, err := dataitem.Parse(assignment)
	if err == nil {
		e.Assignment, err = ao.ParseAssignment(signed)
	}
	if err != nil {
		return e, fmt.Errorf("assignment: %w", err)
	}
	e.AssignmentBytes = assignment
	if len(item) > 0 {
		e.ItemBytes = item
	}
	return e, nil
}

// AssignedItem reads the item in a record of an entry or a claim.
func (r Record) AssignedItem() (*dataitem.Item, error) {
	_, item, err := r.parts()
	if err != nil {
		return nil, err
	}
	return dataitem.Parse(item)
}

// Item reads the item of a record that is one.
func (r Record) Item() (*dataitem.Item, error) { return dataitem.Parse(r.Payload) }

// Claim reads a record of a claim. item is nil if its bytes are not known.
func (r Record) Claim() (c Claim, item []byte, err error) {
	told, item, err := Parted(r.Payload)
	if err == nil {
		err = json.Unmarshal(told, &c)
	}
	if len(item) == 0 {
		item = nil
	}
	return c, item, err
}

// Header reads a file's header.
func (r Record) Header() (Header, error) { return decodeJSON[Header](r) }

// Opening reads the beginning of an epoch.
func (r Record) Opening() (aolog.Opening, error) { return decodeJSON[aolog.Opening](r) }

// Attested reads operators' signatures.
func (r Record) Attested() (aolog.Attested, error) { return decodeJSON[aolog.Attested](r) }

// Skip reads time that crons leave out.
func (r Record) Skip() (aolog.Skip, error) {
	s, err := decodeJSON[skipJSON](r)
	return aolog.Skip(s), err
}

// Note reads a note.
func (r Record) Note() (Note, error) { return decodeJSON[Note](r) }

func decodeJSON[T any](r Record) (value T, err error) {
	err = json.Unmarshal(r.Payload, &value)
	return value, err
}

// Module reads a module. That its item's signature holds is not checked.
func (r Record) Module() (m Module, err error) {
	head, rest, err := Parted(r.Payload)
	if err == nil {
		err = json.Unmarshal(head, &m)
	}
	if err != nil || r.Flags&FlagItemRebuilt != 0 {
		m.Bytes = rest
		return m, err
	}
	item, err := dataitem.Parse(rest)
	if err != nil {
		return m, err
	}
	m.Item, m.Bytes, m.Tags, m.Owner = rest, item.Data, item.Tags, item.Address()
	return m, nil
}

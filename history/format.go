package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// A file is the preamble and then records, each with a header, little-endian:
//
//	0   "\x89aor"
//	4   length of the payload  u32
//	8   kind  u8
//	9   flags u8
//	10  zero  u16
//	12  nonce that the record is about  u64
//	20  CRC32C of the payload
//	24  CRC32C of bytes 0..24
//	28  payload
//
// The header has a checksum of its own, so that the length of a record whose
// payload is damaged still leads to the next.
const (
	preamble    = "\x89AOLOG\r\n"
	recordMagic = "\x89aor"
	headerBytes = 28
	endBytes    = 24

	// PayloadBytesMax bounds one record.
	PayloadBytesMax = 256 << 20
	// Version is that of the format.
	Version = 1
)

// Kind says what a record holds.
type Kind uint8

// The kinds of record. docs/formats/aolog.md says what each holds.
const (
	KindHeader  Kind = 1  // whose history it is, and where it comes from; first
	KindEntry   Kind = 2  // a signed assignment, with the signed item unless that is elsewhere
	KindItem    Kind = 3  // a signed item that a bare assignment names, or a process without assignment
	KindClaim   Kind = 4  // an assignment that somebody told without its signed bytes
	KindOpening Kind = 5  // the beginning of an epoch, with the head that was sealed
	KindAttest  Kind = 6  // operators' signatures under the order
	KindSkip    Kind = 7  // time that crons leave out
	KindModule  Kind = 8  // the module's tags and bytes
	KindNote    Kind = 9  // what a source did not deliver as it was signed
	KindIndex   Kind = 10 // where entries begin
	KindEnd     Kind = 11 // that all is there; last

	// Those of proofs (docs/formats/aoproof.md), which a history has not.
	KindCheckpoint Kind = 12 // the state that a proof begins with
	KindStatement  Kind = 13 // what a proof says

	KindTime Kind = 14 // what a process with crons saw pass behind a place
)

var kindNames = map[Kind]string{
	KindHeader: "header", KindEntry: "entry", KindItem: "item", KindClaim: "claim", KindOpening: "opening",
	KindAttest: "attestations", KindSkip: "skip", KindModule: "module", KindNote: "note", KindIndex: "index", KindEnd: "end",
	KindCheckpoint: "checkpoint", KindStatement: "statement", KindTime: "time",
}

// String names the kind.
func (k Kind) String() string {
	if name, ok := kindNames[k]; ok {
		return name
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Flags of an entry.
const (
	// FlagAssignmentRebuilt says that the assignment was put together from fields,
	// and that its signature does not fit them.
	FlagAssignmentRebuilt = 1 << 0
	// FlagItemRebuilt says the same of the item.
	FlagItemRebuilt = 1 << 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func crcOf(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// Record is one part of a history file.
type Record struct {
	Kind    Kind
	Flags   uint8
	Nonce   uint64
	Payload []byte
	// Offset is where in the file it begins; set when it is read.
	Offset int64
}

func (r Record) header() [headerBytes]byte {
	var b [headerBytes]byte
	copy(b[:], recordMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(r.Payload)))
	b[8], b[9] = byte(r.Kind), r.Flags
	binary.LittleEndian.PutUint64(b[12:], r.Nonce)
	binary.LittleEndian.PutUint32(b[20:], crcOf(r.Payload))
	binary.LittleEndian.PutUint32(b[24:], crcOf(b[:24]))
	return b
}

// parseHeader reads a header; ok is false where no record begins.
func parseHeader(b []byte) (r Record, length int, sum uint32, ok bool) {
	if len(b) < headerBytes || string(b[:4]) != recordMagic || binary.LittleEndian.Uint32(b[24:]) != crcOf(b[:24]) {
		return r, 0, 0, false
	}
	size := binary.LittleEndian.Uint32(b[4:])
	r = Record{Kind: Kind(b[8]), Flags: b[9], Nonce: binary.LittleEndian.Uint64(b[12:])}
	return r, int(size), binary.LittleEndian.Uint32(b[20:]), size <= PayloadBytesMax
}

// ErrNotHistory is returned for what does not begin as a history file does.
var ErrNotHistory = errors.New("this is no history file")

// Damage is a part of a file that is not what was written.
type Damage struct {
	Offset int64
	// Kind and Nonce are those of the record if its header is whole, else zero.
	Kind   Kind
	Nonce  uint64
	Reason string
	// Cut says that the file ends here although something must follow.
	Cut bool
}

// Error says where and what.
func (d *Damage) Error() string {
	if d.Kind == 0 {
		return fmt.Sprintf("byte %d: %s", d.Offset, d.Reason)
	}
	return fmt.Sprintf("byte %d, %s at nonce %d: %s", d.Offset, d.Kind, d.Nonce, d.Reason)
}

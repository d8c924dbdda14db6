package log

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// A batch is the entries that ride in one Raft entry, each framed so that it
// can be read and checked by itself:
//
//	length of what follows u32 | CRC32C of the rest u32 | length of the
//	assignment u32 | assignment item | message item
//
// A control has an assignment of length 0, and JSON in place of the message.
const frameHeaderBytes = 12

// Control is what a group agrees on beside messages. One field is set.
type Control struct {
	Seal         *Seal     `json:"seal,omitempty"`
	Opening      *Opening  `json:"opening,omitempty"`
	ShardSeal    *Shard    `json:"shardSeal,omitempty"`
	ShardOpening *Shard    `json:"shardOpening,omitempty"`
	Attested     *Attested `json:"attested,omitempty"`
	Promise      *Promise  `json:"promise,omitempty"`
	Watch        *Watch    `json:"watch,omitempty"`
}

// AppendControl adds a control to a batch.
func AppendControl(b []byte, c Control) []byte {
	body, _ := json.Marshal(c) // these types always encode
	return appendFrame(b, nil, body)
}

// Frame is one part of a batch: an entry or a control.
type Frame struct {
	Entry   Entry
	Control *Control // nil: it is an entry
	Size    int      // bytes that it takes in the batch
}

// AppendEntry adds an entry to a batch.
func AppendEntry(b []byte, e Entry) []byte { return appendFrame(b, e.AssignmentBytes, e.ItemBytes) }

// EntryBytes is how many bytes an entry takes in a batch.
func EntryBytes(e Entry) int { return frameHeaderBytes + len(e.AssignmentBytes) + len(e.ItemBytes) }

func appendFrame(b, assignment, rest []byte) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(8+len(assignment)+len(rest)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(assignment)))
	b = append(b, assignment...)
	b = append(b, rest...)
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+8:], castagnoli))
	return b
}

// DecodeEntry reads the first entry of b, which the result keeps, and gives how
// many bytes it took.
func DecodeEntry(b []byte) (e Entry, size int, err error) {
	f, err := DecodeFrame(b)
	if err == nil && f.Control != nil {
		return e, 0, fmt.Errorf("%w: a control where an entry was", ErrCorrupt)
	}
	return f.Entry, f.Size, err
}

// DecodeFrame reads the first part of a batch, which the result keeps.
func DecodeFrame(b []byte) (f Frame, err error) {
	if len(b) < frameHeaderBytes {
		return f, fmt.Errorf("%w: an entry of %d bytes", ErrCorrupt, len(b))
	}
	length := uint64(binary.LittleEndian.Uint32(b))
	assignment := uint64(binary.LittleEndian.Uint32(b[8:]))
	if length < 8+assignment || length > uint64(len(b)-4) {
		return f, fmt.Errorf("%w: an entry whose lengths do not fit", ErrCorrupt)
	}
	size := int(4 + length)
	if crc32.Checksum(b[8:size], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return f, fmt.Errorf("%w: checksum of an entry does not match", ErrCorrupt)
	}
	if assignment == 0 {
		f.Control = new(Control)
		if err := json.Unmarshal(b[frameHeaderBytes:size], f.Control); err != nil {
			return f, fmt.Errorf("%w: a control: %w", ErrCorrupt, err)
		}
		f.Size = size
		return f, nil
	}
	end := frameHeaderBytes + int(assignment)
	f.Entry.AssignmentBytes = b[frameHeaderBytes:end:end]
	f.Entry.ItemBytes = b[end:size:size]
	item, err := dataitem.Parse(f.Entry.AssignmentBytes)
	if err != nil {
		return f, fmt.Errorf("%w: assignment: %w", ErrCorrupt, err)
	}
	if f.Entry.Assignment, err = ao.ParseAssignment(item); err != nil {
		return f, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	f.Size = size
	return f, nil
}

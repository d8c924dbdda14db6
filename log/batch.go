package log

import (
	"encoding/binary"
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
const frameHeaderBytes = 12

// AppendEntry adds an entry to a batch.
func AppendEntry(b []byte, e Entry) []byte {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(8+len(e.AssignmentBytes)+len(e.ItemBytes)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(e.AssignmentBytes)))
	b = append(b, e.AssignmentBytes...)
	b = append(b, e.ItemBytes...)
	binary.LittleEndian.PutUint32(b[start+4:], crc32.Checksum(b[start+8:], castagnoli))
	return b
}

// DecodeEntry reads the first entry of b, which the result keeps, and gives how
// many bytes it took.
func DecodeEntry(b []byte) (e Entry, size int, err error) {
	if len(b) < frameHeaderBytes {
		return e, 0, fmt.Errorf("%w: an entry of %d bytes", ErrCorrupt, len(b))
	}
	length := uint64(binary.LittleEndian.Uint32(b))
	assignment := uint64(binary.LittleEndian.Uint32(b[8:]))
	if length < 8+assignment || length > uint64(len(b)-4) {
		return e, 0, fmt.Errorf("%w: an entry whose lengths do not fit", ErrCorrupt)
	}
	size = int(4 + length)
	if crc32.Checksum(b[8:size], castagnoli) != binary.LittleEndian.Uint32(b[4:]) {
		return e, 0, fmt.Errorf("%w: checksum of an entry does not match", ErrCorrupt)
	}
	end := frameHeaderBytes + int(assignment)
	e.AssignmentBytes = b[frameHeaderBytes:end:end]
	e.ItemBytes = b[end:size:size]
	item, err := dataitem.Parse(e.AssignmentBytes)
	if err != nil {
		return e, 0, fmt.Errorf("%w: assignment: %w", ErrCorrupt, err)
	}
	if e.Assignment, err = ao.ParseAssignment(item); err != nil {
		return e, 0, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return e, size, nil
}

package log

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// Record is one unit of the ledger: a Raft entry of one group, or a note that
// the ledger makes for itself.
type Record struct {
	Group   uint32
	Kind    RecordKind
	Term    uint64
	Index   uint64
	Payload []byte
}

// RecordKind says what a record's payload is.
type RecordKind uint32

const (
	// RecordRaft is a Raft log entry; the payload begins with its type.
	RecordRaft RecordKind = 1
	// RecordTruncate takes back the entries of a group from Index on, which a
	// new leader did not have.
	RecordTruncate RecordKind = 2
	// RecordSeal ends a full segment and lists its records.
	RecordSeal RecordKind = 3
)

// The layout of a record, little-endian, padded with zeros to 8 bytes:
//
//	0   length of the payload  u32
//	4   CRC32C of all that follows, without the padding
//	8   index  u64
//	16  term   u64
//	24  group  u32
//	28  kind   u32
//	32  chain  16 bytes of SHA-256(previous chain ‖ bytes 8..32 ‖ SHA-256(payload))
//	48  payload
const (
	recordHeaderBytes = 48
	chainBytes        = 16
	// PayloadBytesMax bounds one record, and so what a reader allocates.
	PayloadBytesMax = 32 << 20
)

// chain links each record to all before it, so that a record which was removed
// or put back from an old copy is noticed even though its own checksum holds.
type chain [chainBytes]byte

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// digest stands for a payload in the chain, so that many can be hashed at once
// although the chain itself grows by one record after the other.
type digest [sha256.Size]byte

func digestOf(payload []byte) digest { return sha256.Sum256(payload) }

func (c chain) next(fixed []byte, payload digest) chain {
	b := make([]byte, 0, chainBytes+24+sha256.Size)
	b = append(append(append(b, c[:]...), fixed...), payload[:]...)
	sum := sha256.Sum256(b)
	return chain(sum[:chainBytes])
}

func paddedBytes(payload int) int64 {
	return int64((recordHeaderBytes + payload + 7) &^ 7)
}

// appendRecord encodes r, whose payload has that digest, after previous and gives
// the chain it makes.
func appendRecord(b []byte, previous chain, r Record, payload digest) ([]byte, chain) {
	start := len(b)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(r.Payload)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint64(b, r.Index)
	b = binary.LittleEndian.AppendUint64(b, r.Term)
	b = binary.LittleEndian.AppendUint32(b, r.Group)
	b = binary.LittleEndian.AppendUint32(b, uint32(r.Kind))
	link := previous.next(b[start+8:], payload)
	b = append(b, link[:]...)
	b = append(b, r.Payload...)
	binary.LittleEndian.PutUint32(b[start+4:], recordSum(b[start:start+recordHeaderBytes], r.Payload))
	for len(b)-start < int(paddedBytes(len(r.Payload))) {
		b = append(b, 0)
	}
	return b, link
}

// recordSum covers the length as well, so that no flipped bit moves the end of
// a record unnoticed.
func recordSum(header, payload []byte) uint32 {
	sum := crc32.Update(0, castagnoli, header[:4])
	sum = crc32.Update(sum, castagnoli, header[8:])
	return crc32.Update(sum, castagnoli, payload)
}

// decodeHeader reads a header; ok is false where no record begins.
func decodeHeader(b []byte) (r Record, size int, link chain, sum uint32, ok bool) {
	size = int(binary.LittleEndian.Uint32(b))
	sum = binary.LittleEndian.Uint32(b[4:])
	r = Record{
		Index: binary.LittleEndian.Uint64(b[8:]),
		Term:  binary.LittleEndian.Uint64(b[16:]),
		Group: binary.LittleEndian.Uint32(b[24:]),
		Kind:  RecordKind(binary.LittleEndian.Uint32(b[28:])),
	}
	copy(link[:], b[32:])
	return r, size, link, sum, r.Kind != 0 && size <= PayloadBytesMax
}

// checkRecord reports damage to a record whose header and payload were read.
func checkRecord(header []byte, r Record, sum uint32) error {
	if recordSum(header, r.Payload) != sum {
		return fmt.Errorf("checksum of record %d of group %d does not match", r.Index, r.Group)
	}
	return nil
}

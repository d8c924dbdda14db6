package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A full segment ends with a record that lists all others, and then with a
// trailer that says where that record is, so that opening a large ledger reads
// lists and not messages.
//
// The trailer, at the end of the file: magic u64, offset of the seal record
// u64, chain after it 16 bytes, CRC32C u32.
const (
	trailerBytes   = 8 + 8 + chainBytes + 4
	trailerMagic   = 0x4c4145534c574f41 // "AOWLSEAL"
	sealEntryBytes = 28
)

// sealEntry is one record in a seal's list.
type sealEntry struct {
	group  uint32
	kind   RecordKind
	index  uint64
	offset int64 // of the payload
}

func sealEntryOf(r Record, at Location) sealEntry {
	return sealEntry{group: r.Group, kind: r.Kind, index: r.Index, offset: at.Offset}
}

func encodeSeal(entries []sealEntry) []byte {
	b := make([]byte, 0, sealEntryBytes*len(entries))
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint32(b, e.group)
		b = binary.LittleEndian.AppendUint32(b, uint32(e.kind))
		b = binary.LittleEndian.AppendUint64(b, e.index)
		b = binary.LittleEndian.AppendUint64(b, uint64(e.offset))
		b = append(b, 0, 0, 0, 0)
	}
	return b
}

func decodeSeal(b []byte) []sealEntry {
	entries := make([]sealEntry, 0, len(b)/sealEntryBytes)
	for ; len(b) >= sealEntryBytes; b = b[sealEntryBytes:] {
		entries = append(entries, sealEntry{
			group:  binary.LittleEndian.Uint32(b),
			kind:   RecordKind(binary.LittleEndian.Uint32(b[4:])),
			index:  binary.LittleEndian.Uint64(b[8:]),
			offset: int64(binary.LittleEndian.Uint64(b[16:])),
		})
	}
	return entries
}

// roll seals the active segment and starts a new one with room for size bytes.
func (l *Ledger) roll(size int64) error {
	list := encodeSeal(l.sealed)
	seal, link := appendRecord(nil, l.link, Record{Kind: RecordSeal, Payload: list}, digestOf(list))
	trailer := make([]byte, 0, trailerBytes)
	trailer = binary.LittleEndian.AppendUint64(trailer, trailerMagic)
	trailer = binary.LittleEndian.AppendUint64(trailer, uint64(l.end))
	trailer = append(trailer, link[:]...)
	trailer = binary.LittleEndian.AppendUint32(trailer, crc32.Checksum(trailer, castagnoli))
	if err := l.active.file.Truncate(l.end); err != nil {
		return fmt.Errorf("seal segment %s: %w", l.active.path, err)
	}
	if _, err := l.active.file.WriteAt(append(seal, trailer...), l.end); err != nil {
		return fmt.Errorf("seal segment %s: %w", l.active.path, err)
	}
	if err := l.active.file.Sync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", l.active.path, err)
	}
	if err := l.startSegment(l.active.number+1, link, size); err != nil {
		return err
	}
	l.tipDirty = false
	return l.tip.set(l.reached())
}

// startSegment makes a new segment the active one.
func (l *Ledger) startSegment(number uint32, link chain, size int64) error {
	bytes := max(l.options.SegmentBytes, segmentHeaderBytes+size)
	s, err := createSegment(l.options.FS, l.options.Dir, number, link, bytes)
	if err != nil {
		return err
	}
	l.active, l.link, l.end, l.sealed = s, link, segmentHeaderBytes, nil
	l.mu.Lock()
	l.mu.segments[number] = s
	l.mu.Unlock()
	return nil
}

// readTrailer gives where a sealed segment's list is; ok is false when the
// segment is not sealed or its trailer is damaged.
func (s *segment) readTrailer() (offset int64, link chain, ok bool) {
	size, err := s.file.Size()
	if err != nil || size < segmentHeaderBytes+trailerBytes {
		return 0, link, false
	}
	b := make([]byte, trailerBytes)
	if _, err := s.file.ReadAt(b, size-trailerBytes); err != nil {
		return 0, link, false
	}
	sum := binary.LittleEndian.Uint32(b[trailerBytes-4:])
	if binary.LittleEndian.Uint64(b) != trailerMagic || crc32.Checksum(b[:trailerBytes-4], castagnoli) != sum {
		return 0, link, false
	}
	copy(link[:], b[16:])
	return int64(binary.LittleEndian.Uint64(b[8:])), link, true
}

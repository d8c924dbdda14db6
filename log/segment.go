package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// SegmentBytes is the size that a segment file is given before it is filled.
// Writing into space that is there already keeps the file system's journal out
// of most commits.
const SegmentBytes = 64 << 20

// The first block of a segment file has magic, version, number, the chain that its
// first record continues, and a checksum; the two after it the slots of its tip.
const (
	segmentHeaderBytes = tipSlotBytes + 2*tipSlotBytes
	segmentTitleBytes  = 64
	segmentMagic       = 0x314c41574c4f4741 // "AGOLWAL1"
	segmentVersion     = 3
)

// segment is one file of the ledger.
type segment struct {
	number uint32
	path   string
	file   fsx.File
	first  chain // the chain before its first record
	tip    tipSlots
}

func segmentPath(dir string, number uint32) string {
	return filepath.Join(dir, fmt.Sprintf("%08x.seg", number))
}

// createSegment makes a new file whose name, space and header are durable.
func createSegment(fs fsx.FS, dir string, number uint32, first chain, size int64) (*segment, error) {
	s := &segment{number: number, path: segmentPath(dir, number), first: first}
	file, err := fs.Open(s.path, true)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	s.file = file
	s.tip = tipSlots{path: s.path, file: file, base: tipSlotBytes}
	header := make([]byte, 0, segmentHeaderBytes)
	header = binary.LittleEndian.AppendUint64(header, segmentMagic)
	header = binary.LittleEndian.AppendUint32(header, segmentVersion)
	header = binary.LittleEndian.AppendUint32(header, number)
	header = append(header, first[:]...)
	header = append(header, make([]byte, segmentTitleBytes-4-len(header))...)
	header = binary.LittleEndian.AppendUint32(header, crc32.Checksum(header, castagnoli))
	for _, step := range []func() error{
		func() error { return file.Allocate(size) },
		// A segment that has its title has its tip.
		func() error { return s.tip.set(tip{Segment: number, End: segmentHeaderBytes, Chain: first}) },
		func() error { _, err := file.WriteAt(header, 0); return err },
		file.Sync,
		func() error { return fs.SyncDir(dir) },
	} {
		if err := step(); err != nil {
			file.Close()
			return nil, fmt.Errorf("create segment %s: %w", s.path, err)
		}
	}
	return s, nil
}

// openSegment opens a file and checks its header.
func openSegment(fs fsx.FS, dir string, number uint32) (*segment, error) {
	s := &segment{number: number, path: segmentPath(dir, number)}
	file, err := fs.Open(s.path, false)
	if err != nil {
		return nil, fmt.Errorf("open segment: %w", err)
	}
	s.file = file
	s.tip = tipSlots{path: s.path, file: file, base: tipSlotBytes}
	header := make([]byte, segmentTitleBytes)
	if _, err := file.ReadAt(header, 0); err != nil {
		file.Close()
		return nil, s.corrupt(0, "the header cannot be read: %v", err)
	}
	sum := binary.LittleEndian.Uint32(header[segmentTitleBytes-4:])
	if crc32.Checksum(header[:segmentTitleBytes-4], castagnoli) != sum ||
		binary.LittleEndian.Uint64(header) != segmentMagic ||
		binary.LittleEndian.Uint32(header[12:]) != number {
		file.Close()
		return nil, s.corrupt(0, "the header is damaged")
	}
	if version := binary.LittleEndian.Uint32(header[8:]); version != segmentVersion {
		file.Close()
		return nil, fmt.Errorf("segment %s has format version %d, this binary reads %d: use the binary that wrote it", s.path, version, segmentVersion)
	}
	copy(s.first[:], header[16:])
	return s, nil
}

func (s *segment) corrupt(offset int64, format string, args ...any) error {
	return fmt.Errorf("%w: segment %s at byte %d: %s", ErrCorrupt, s.path, offset, fmt.Sprintf(format, args...))
}

// readRecord reads the record at offset and checks its sum. end is where the
// next one begins. ok is false, without an error, where no record begins or the
// one that does is not whole: whether that is an end or damage, the caller
// knows.
func (s *segment) readRecord(offset int64) (r Record, link chain, end int64, ok bool, err error) {
	header := make([]byte, recordHeaderBytes)
	if _, err := s.file.ReadAt(header, offset); err != nil {
		if errors.Is(err, io.EOF) {
			return r, link, offset, false, nil
		}
		return r, link, offset, false, fmt.Errorf("read segment %s at byte %d: %w", s.path, offset, err)
	}
	r, size, link, sum, ok := decodeHeader(header)
	if !ok {
		return r, link, offset, false, nil
	}
	r.Payload = make([]byte, size)
	if _, err := s.file.ReadAt(r.Payload, offset+recordHeaderBytes); err != nil {
		if errors.Is(err, io.EOF) {
			return r, link, offset, false, nil
		}
		return r, link, offset, false, fmt.Errorf("read segment %s at byte %d: %w", s.path, offset, err)
	}
	if checkRecord(header, r, sum) != nil {
		return r, link, offset, false, nil
	}
	return r, link, offset + paddedBytes(size), true, nil
}

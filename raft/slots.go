package raft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
)

// slotFile holds one small value in two slots, each with a checksum. A write
// fills and flushes one slot and then the other. So once it has returned both
// are equal, and a file of which one slot is damaged still has the value: either
// a crash tore a write that nobody was told of, or a bit flipped in a copy.
type slotFile struct {
	path     string
	file     fsx.File
	sequence uint64
}

const (
	slotBytes       = 4096
	slotHeaderBytes = 16 // sequence u64, length u32, CRC32C u32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openSlots reads the value; a file that is not there gives fs.ErrNotExist.
// mended reports that one slot was damaged or behind and is whole again.
func openSlots(filesystem fsx.FS, path string) (s *slotFile, value []byte, mended bool, err error) {
	file, err := filesystem.Open(path, false)
	if err != nil {
		return nil, nil, false, fmt.Errorf("open %s: %w", path, err)
	}
	s = &slotFile{path: path, file: file}
	var values [2][]byte
	for slot := range values {
		sequence, body, err := s.read(slot)
		if err != nil {
			continue
		}
		values[slot] = body
		if value == nil || sequence > s.sequence {
			s.sequence, value = sequence, body
		}
	}
	if value == nil {
		file.Close()
		return nil, nil, false, fmt.Errorf("%w: both copies in %s, at byte 0 and byte %d, are damaged", log.ErrCorrupt, path, slotBytes)
	}
	if values[0] == nil || values[1] == nil || !bytes.Equal(values[0], values[1]) {
		mended = true
		if err := s.write(value); err != nil {
			file.Close()
			return nil, nil, false, err
		}
	}
	return s, value, mended, nil
}

// createSlots makes a file whose name and first value are durable. It replaces
// what is there.
func createSlots(filesystem fsx.FS, dir, path string, value []byte) (*slotFile, error) {
	file, err := filesystem.Open(path, true)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	s := &slotFile{path: path, file: file}
	err = file.Allocate(2 * slotBytes)
	if err == nil {
		err = s.write(value)
	}
	if err == nil {
		err = filesystem.SyncDir(dir)
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	return s, nil
}

func (s *slotFile) read(slot int) (sequence uint64, body []byte, err error) {
	b := make([]byte, slotBytes)
	if _, err := s.file.ReadAt(b, int64(slot)*slotBytes); err != nil {
		return 0, nil, err
	}
	size := binary.LittleEndian.Uint32(b[8:])
	if size > slotBytes-slotHeaderBytes {
		return 0, nil, log.ErrCorrupt
	}
	body = b[slotHeaderBytes : slotHeaderBytes+size]
	if slotSum(b[:12], body) != binary.LittleEndian.Uint32(b[12:]) {
		return 0, nil, log.ErrCorrupt
	}
	return binary.LittleEndian.Uint64(b), body, nil
}

func slotSum(header, body []byte) uint32 {
	return crc32.Update(crc32.Checksum(header, castagnoli), castagnoli, body)
}

func (s *slotFile) write(value []byte) error {
	if len(value) > slotBytes-slotHeaderBytes {
		return fmt.Errorf("write %s: %d bytes do not fit in a slot", s.path, len(value))
	}
	s.sequence++
	b := make([]byte, slotBytes)
	binary.LittleEndian.PutUint64(b, s.sequence)
	binary.LittleEndian.PutUint32(b[8:], uint32(len(value)))
	copy(b[slotHeaderBytes:], value)
	binary.LittleEndian.PutUint32(b[12:], slotSum(b[:12], value))
	for slot := range int64(2) {
		if _, err := s.file.WriteAt(b, slot*slotBytes); err != nil {
			return fmt.Errorf("write %s: %w", s.path, err)
		}
		if err := s.file.Sync(); err != nil {
			return fmt.Errorf("flush %s: %w", s.path, err)
		}
	}
	return nil
}

func (s *slotFile) close() error { return s.file.Close() }

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// tip says how far the ledger is known to be durable. A ledger that ends before
// its tip has lost acknowledged records and must not be served.
type tip struct {
	Sequence uint64 // number of the commit that wrote it
	Segment  uint32
	End      int64 // where the next record begins
	Chain    chain
}

// The tip file has two slots, written in turn, so that a torn write leaves the
// other whole.
const (
	tipFileName  = "tip"
	tipSlotBytes = 4096
	tipBytes     = 8 + 4 + 8 + chainBytes + 4
)

type tipFile struct {
	path string
	file fsx.File
	next uint64
}

// openTip opens the tip file and gives the newest whole slot. found is false
// for a new ledger.
func openTip(filesystem fsx.FS, dir string) (t *tipFile, newest tip, found bool, err error) {
	path := filepath.Join(dir, tipFileName)
	file, err := filesystem.Open(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return &tipFile{path: path}, tip{}, false, nil
	}
	if err != nil {
		return nil, tip{}, false, fmt.Errorf("open tip file: %w", err)
	}
	damaged := 0
	for slot := range int64(2) {
		b := make([]byte, tipBytes)
		if _, err := file.ReadAt(b, slot*tipSlotBytes); err != nil {
			file.Close()
			return nil, tip{}, false, fmt.Errorf("%w: tip file %s, slot %d: %v", ErrCorrupt, path, slot, err)
		}
		candidate, ok := decodeTip(b)
		if !ok {
			damaged++
			continue
		}
		if !found || candidate.Sequence > newest.Sequence {
			newest, found = candidate, true
		}
	}
	// One slot may be torn by a crash; flipped bits in the other would hide the
	// newest commit, and then the ledger is longer than the tip, which is legal.
	if damaged == 2 {
		file.Close()
		return nil, tip{}, false, fmt.Errorf("%w: tip file %s: both slots are damaged", ErrCorrupt, path)
	}
	return &tipFile{path: path, file: file, next: newest.Sequence + 1}, newest, true, nil
}

// create makes the file with two equal slots.
func (t *tipFile) create(filesystem fsx.FS, dir string, value tip) error {
	file, err := filesystem.Open(t.path, true)
	if err != nil {
		return fmt.Errorf("create tip file: %w", err)
	}
	t.file = file
	if err := file.Allocate(2 * tipSlotBytes); err != nil {
		return fmt.Errorf("create tip file %s: %w", t.path, err)
	}
	for range 2 {
		if err := t.write(value); err != nil {
			return err
		}
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("flush tip file %s: %w", t.path, err)
	}
	return filesystem.SyncDir(dir)
}

// write puts the value in the older slot; Sync makes it durable.
func (t *tipFile) write(value tip) error {
	value.Sequence = t.next
	t.next++
	if _, err := t.file.WriteAt(encodeTip(value), int64(value.Sequence%2)*tipSlotBytes); err != nil {
		return fmt.Errorf("write tip file %s: %w", t.path, err)
	}
	return nil
}

func encodeTip(t tip) []byte {
	b := make([]byte, 0, tipBytes)
	b = binary.LittleEndian.AppendUint64(b, t.Sequence)
	b = binary.LittleEndian.AppendUint32(b, t.Segment)
	b = binary.LittleEndian.AppendUint64(b, uint64(t.End))
	b = append(b, t.Chain[:]...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeTip(b []byte) (t tip, ok bool) {
	body, sum := b[:tipBytes-4], binary.LittleEndian.Uint32(b[tipBytes-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return t, false
	}
	t.Sequence = binary.LittleEndian.Uint64(b)
	t.Segment = binary.LittleEndian.Uint32(b[8:])
	t.End = int64(binary.LittleEndian.Uint64(b[12:]))
	copy(t.Chain[:], b[20:])
	return t, t.End >= segmentHeaderBytes
}

package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
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

// after reports whether a tip says more than another.
func (t tip) after(other tip) bool {
	return t.Segment > other.Segment || t.Segment == other.Segment && t.End > other.End
}

// A tip is kept in two places. Each segment has its own behind its header, which
// is flushed together with the records after it and so costs no flush. The tip
// file, written when a segment begins, knows of segments that are gone.
const (
	tipFileName  = "tip"
	tipSlotBytes = 4096
	tipBytes     = 8 + 4 + 8 + chainBytes + 4
)

// tipSlots are two places in a file, written in turn, so that a torn write leaves
// the other whole.
type tipSlots struct {
	path string
	file fsx.File
	base int64 // where the first slot is
	next uint64
}

// read gives the newest whole slot. One slot may be torn by a crash; flipped bits
// in the other would hide the newest commit, and then the ledger is longer than
// the tip, which is legal.
func (t *tipSlots) read() (newest tip, err error) {
	found := false
	for slot := range int64(2) {
		b := make([]byte, tipBytes)
		if _, err := t.file.ReadAt(b, t.base+slot*tipSlotBytes); err != nil {
			return newest, fmt.Errorf("%w: tip in %s, slot %d: %v", ErrCorrupt, t.path, slot, err)
		}
		candidate, ok := decodeTip(b)
		if ok && (!found || candidate.Sequence > newest.Sequence) {
			newest, found = candidate, true
		}
	}
	if !found {
		return newest, fmt.Errorf("%w: tip in %s: both slots are damaged", ErrCorrupt, t.path)
	}
	t.next = newest.Sequence + 1
	return newest, nil
}

// write puts the value in the older slot; a flush of the file makes it durable.
func (t *tipSlots) write(value tip) error {
	value.Sequence = t.next
	t.next++
	if _, err := t.file.WriteAt(encodeTip(value), t.base+int64(value.Sequence%2)*tipSlotBytes); err != nil {
		return fmt.Errorf("write tip in %s: %w", t.path, err)
	}
	return nil
}

// set makes both slots say the value, durably.
func (t *tipSlots) set(value tip) error {
	for range 2 {
		if err := t.write(value); err != nil {
			return err
		}
	}
	if err := t.file.Sync(); err != nil {
		return fmt.Errorf("flush tip in %s: %w", t.path, err)
	}
	return nil
}

// openTip opens the tip file and gives what it says. found is false for a new
// ledger.
func openTip(filesystem fsx.FS, dir string) (t *tipSlots, newest tip, found bool, err error) {
	t = &tipSlots{path: filepath.Join(dir, tipFileName)}
	t.file, err = filesystem.Open(t.path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return t, tip{}, false, nil
	}
	if err != nil {
		return nil, tip{}, false, fmt.Errorf("open tip file: %w", err)
	}
	if newest, err = t.read(); err == nil {
		return t, newest, true, nil
	}
	defer t.file.Close()
	if t.isBlank() {
		return &tipSlots{path: t.path}, tip{}, false, nil
	}
	return nil, tip{}, false, err
}

// isBlank reports whether a crash kept the file from being written at all.
func (t *tipSlots) isBlank() bool {
	b := make([]byte, 2*tipSlotBytes)
	n, err := t.file.ReadAt(b, 0)
	return (err == nil || errors.Is(err, io.EOF)) && isZero(b[:n])
}

// create makes the tip file.
func (t *tipSlots) create(filesystem fsx.FS, dir string, value tip) error {
	file, err := filesystem.Open(t.path, true)
	if err != nil {
		return fmt.Errorf("create tip file: %w", err)
	}
	t.file = file
	if err := file.Allocate(2 * tipSlotBytes); err != nil {
		return fmt.Errorf("create tip file %s: %w", t.path, err)
	}
	if err := t.set(value); err != nil {
		return err
	}
	return filesystem.SyncDir(dir)
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

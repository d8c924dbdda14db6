package gateway

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// marker is a small file that holds the last sequence number that was
// acknowledged. It is written after the database has flushed and is not flushed
// itself, so it never runs ahead of the disk: when a store that is opened does
// not reach it, the database has lost the end of its write-ahead log, which it
// takes for an unfinished write.
type marker struct{ f *os.File }

const markerBytes = 12

func openMarker(dir string) (*marker, uint64, error) {
	f, err := os.OpenFile(filepath.Join(dir, "acknowledged"), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, 0, err
	}
	// A marker that a power loss left empty or torn tells nothing.
	var b [markerBytes]byte
	n, _ := f.ReadAt(b[:], 0)
	sequence := binary.BigEndian.Uint64(b[:8])
	if n < markerBytes || crc32.Checksum(b[:8], castagnoli) != binary.BigEndian.Uint32(b[8:]) {
		sequence = 0
	}
	return &marker{f}, sequence, nil
}

func (m *marker) set(sequence uint64) error {
	if m == nil {
		return nil
	}
	b := binary.BigEndian.AppendUint64(nil, sequence)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := m.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("note what was acknowledged: %w", err)
	}
	return nil
}

func (m *marker) close() error {
	if m == nil {
		return nil
	}
	return m.f.Close()
}

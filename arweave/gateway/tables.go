package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// checkTables reads every table file of the database through and compares its
// checksums. Badger itself leaves out a table whose blocks are damaged, with no
// more than a line in its log, and brings the process down when the end of a
// table is: both would hide from the operator that acknowledged items are gone.
func checkTables(dir string) error {
	paths, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		if err := checkTable(path); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
		}
	}
	return nil
}

var errTable = errors.New("the file is cut or overwritten")

// checkTable reads a table: blocks, an index of the blocks, and a footer that
// holds the length of the index and its checksum, each length after what it
// measures.
func checkTable(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	sum, end, err := sizedTail(f, end)
	if err != nil {
		return err
	}
	index, end, err := sizedTail(f, end)
	if err != nil {
		return err
	}
	if err := checkSum(index, sum); err != nil {
		return err
	}
	blocks := fb.GetRootAsTableIndex(index, 0)
	for i := range blocks.OffsetsLength() {
		var at fb.BlockOffset
		if !blocks.Offsets(&at, i) || int64(at.Offset())+int64(at.Len()) > end {
			return errTable
		}
		section := io.NewSectionReader(f, int64(at.Offset()), int64(at.Len()))
		sum, size, err := sizedTail(section, int64(at.Len()))
		if err != nil {
			return err
		}
		block := make([]byte, size)
		if _, err := section.ReadAt(block, 0); err != nil {
			return err
		}
		if err := checkSum(block, sum); err != nil {
			return err
		}
	}
	return nil
}

// sizedTail reads bytes that end at end and are followed there by their length,
// and says where they start.
func sizedTail(r io.ReaderAt, end int64) (tail []byte, start int64, err error) {
	var length [4]byte
	if end < int64(len(length)) {
		return nil, 0, errTable
	}
	if _, err := r.ReadAt(length[:], end-4); err != nil {
		return nil, 0, err
	}
	size := int64(binary.BigEndian.Uint32(length[:]))
	if start = end - 4 - size; start < 0 {
		return nil, 0, errTable
	}
	tail = make([]byte, size)
	_, err = r.ReadAt(tail, start)
	return tail, start, err
}

func checkSum(data, sum []byte) error {
	var expected pb.Checksum
	if err := proto.Unmarshal(sum, &expected); err != nil {
		return errTable
	}
	// An unknown algorithm makes badger's function panic.
	if expected.Algo != pb.Checksum_CRC32C && expected.Algo != pb.Checksum_XXHash64 {
		return errTable
	}
	if y.VerifyChecksum(data, &expected) != nil {
		return errTable
	}
	return nil
}

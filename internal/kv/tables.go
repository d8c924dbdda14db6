package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/fb"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"github.com/klauspost/compress/snappy"
	"google.golang.org/protobuf/proto"
)

// checkTables reads the ends of all tables, and their blocks as well if options
// say so; badger then need not, because it brings the whole process down when a
// table it checks is damaged. It gives the tables whose blocks it has not read.
func checkTables(o *badger.Options) (unread []unreadTable, err error) {
	blocks := o.ChecksumVerificationMode == options.OnTableRead || o.ChecksumVerificationMode == options.OnTableAndBlockRead
	if blocks {
		o.ChecksumVerificationMode = options.OnBlockRead
	}
	manifest, err := readManifest(*o)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, o.Dir, err)
	}
	for id, listed := range manifest.Tables {
		path := table.NewFilename(id, o.Dir)
		if err := checkTable(path, listed.Compression, blocks); err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, path, err)
		}
		if !blocks {
			unread = append(unread, unreadTable{path, listed.Compression})
		}
	}
	return unread, nil
}

// unreadTable is a table of which only the end has been read.
type unreadTable struct {
	path        string
	compression options.CompressionType
}

// readManifest gives the list of tables, which leaves out those that a killed
// process had not finished.
func readManifest(o badger.Options) (badger.Manifest, error) {
	f, err := os.Open(filepath.Join(o.Dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return badger.Manifest{}, nil
	}
	if err != nil {
		return badger.Manifest{}, err
	}
	defer f.Close()
	manifest, _, err := badger.ReplayManifestFile(f, o.ExternalMagicVersion, o)
	return manifest, err
}

var errTable = errors.New("the file is cut or overwritten")

// checkTable reads a table: blocks, an index of the blocks, and a footer that
// holds the length of the index and its checksum, each length after what it
// measures.
func checkTable(path string, compression options.CompressionType, blocks bool) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	sum, end, err := sizedTail(f, info.Size())
	if err != nil {
		return err
	}
	index, end, err := sizedTail(f, end)
	if err != nil {
		return err
	}
	// Zeros have the checksum of nothing.
	if len(index) == 0 {
		return errTable
	}
	if err := checkSum(index, sum); err != nil || !blocks {
		return err
	}
	return checkBlocks(f, compression, fb.GetRootAsTableIndex(index, 0), end)
}

// checkBlocks reads blocks. The checksum of each stands at its end, both within
// what is compressed.
func checkBlocks(f io.ReaderAt, compression options.CompressionType, index *fb.TableIndex, end int64) error {
	for i := range index.OffsetsLength() {
		var at fb.BlockOffset
		if !index.Offsets(&at, i) || int64(at.Offset())+int64(at.Len()) > end {
			return errTable
		}
		stored := make([]byte, at.Len())
		if _, err := f.ReadAt(stored, int64(at.Offset())); err != nil {
			return err
		}
		if err := checkBlock(stored, compression); err != nil {
			return err
		}
	}
	return nil
}

func checkBlock(stored []byte, compression options.CompressionType) error {
	block := stored
	switch compression {
	case options.None:
	case options.Snappy:
		var err error
		if block, err = snappy.Decode(nil, stored); err != nil {
			return errTable
		}
	default:
		return fmt.Errorf("its compression %d is not known here", compression)
	}
	sum, size, err := sizedTail(bytes.NewReader(block), int64(len(block)))
	if err != nil {
		return err
	}
	return checkSum(block[:size], sum)
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

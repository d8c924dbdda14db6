package lsm

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"path/filepath"
	"sort"
	"sync/atomic"

	"github.com/klauspost/compress/s2"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// table is a file of rows in order of their keys, which never changes:
//
//	blocks | filter | index | footer
//
// Each of the first three ends in a CRC32C of itself. A block is some rows, packed
// with S2; a row is: length of the key as a varint, length of the value plus one,
// 0 when the key was taken away, key, value. The index has, for each block: length
// of its first key as a varint, length of the block, first key. The footer says
// where they are, and with which letters keys begin.
type table struct {
	number uint64
	level  int
	path   string
	file   fsx.File
	filter filter
	// starts holds the first keys of all blocks, one after the other; keyEnds where
	// each ends there, blockEnds where each block ends in the file.
	starts    []byte
	keyEnds   []uint32
	blockEnds []uint64
	// last is the greatest key.
	last []byte
	rows uint64
	// letters are the first bytes of its keys.
	letters letters
	// refs counts the sets that have it. Without any its file is closed, and
	// removed if obsolete is set.
	refs     atomic.Int32
	obsolete atomic.Bool
}

const (
	sumBytes    = 4
	footerBytes = 8*5 + 256/8 + sumBytes
	footerMagic = 0x32534d4c_59414c57 // "WLAYLMS2"
	// blockBytes is the size of a block before it is packed.
	blockBytes = 4 << 10
	// unpackedBytesMax bounds what a block with a forged length has a reader
	// allocate. A value is a few hundred bytes.
	unpackedBytesMax = 64 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ErrDamaged is returned, wrapped with the file, for bytes that are not what was
// written.
var ErrDamaged = errors.New("a stored table is damaged")

func tablePath(dir string, number uint64) string {
	return filepath.Join(dir, fmt.Sprintf("%08x%s", number, tableSuffix))
}

const tableSuffix = ".table"

// footer says where the parts of a table end.
type footer struct {
	blocksEnd, filterEnd, indexEnd uint64
	rows                           uint64
	letters                        letters
}

// letters is a set of bytes.
type letters [256 / 8]byte

func (l *letters) add(b byte)      { l[b/8] |= 1 << (b % 8) }
func (l *letters) has(b byte) bool { return l[b/8]&(1<<(b%8)) != 0 }

func (f footer) encode() []byte {
	b := make([]byte, 0, footerBytes)
	for _, number := range []uint64{f.blocksEnd, f.filterEnd, f.indexEnd, f.rows, footerMagic} {
		b = binary.LittleEndian.AppendUint64(b, number)
	}
	return appendSum(append(b, f.letters[:]...))
}

// appendSum adds the checksum of what is there.
func appendSum(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// checked takes the checksum off, if it is right.
func checked(b []byte) ([]byte, bool) {
	if len(b) < sumBytes {
		return nil, false
	}
	body := b[:len(b)-sumBytes]
	return body, crc32.Checksum(body, castagnoli) == binary.LittleEndian.Uint32(b[len(body):])
}

func (t *table) damaged(what string) error {
	return fmt.Errorf("%w: %s: %s", ErrDamaged, t.path, what)
}

// openTable opens a table and reads its filter and index.
func openTable(fs fsx.FS, dir string, number uint64, level int) (t *table, err error) {
	t = &table{number: number, level: level, path: tablePath(dir, number)}
	if t.file, err = fs.Open(t.path, false); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := t.load(); err != nil {
		_ = t.file.Close()
		return nil, err
	}
	return t, nil
}

func (t *table) load() error {
	size, err := t.file.Size()
	if err != nil {
		return fmt.Errorf("size of %s: %w", t.path, err)
	}
	f, err := t.readFooter(size)
	if err != nil {
		return err
	}
	b, err := t.read(f.blocksEnd, f.indexEnd)
	if err != nil {
		return err
	}
	filter, ok := checked(b[:f.filterEnd-f.blocksEnd])
	if !ok || len(filter) == 0 || len(filter)%filterBlockBytes != 0 {
		return t.damaged("its filter")
	}
	index, ok := checked(b[f.filterEnd-f.blocksEnd:])
	if !ok {
		return t.damaged("its index")
	}
	t.filter, t.rows, t.letters = filter, f.rows, f.letters
	return t.loadIndex(index, f.blocksEnd)
}

func (t *table) readFooter(size int64) (f footer, err error) {
	if size < footerBytes {
		return f, t.damaged("it is too short")
	}
	b, err := t.read(uint64(size-footerBytes), uint64(size))
	if err != nil {
		return f, err
	}
	body, ok := checked(b)
	if !ok {
		return f, t.damaged("its end")
	}
	number := func(i int) uint64 { return binary.LittleEndian.Uint64(body[8*i:]) }
	f = footer{number(0), number(1), number(2), number(3), letters(body[8*5:])}
	if number(4) != footerMagic || f.blocksEnd > f.filterEnd || f.filterEnd > f.indexEnd || f.indexEnd != uint64(size-footerBytes) {
		return f, t.damaged("its end")
	}
	return f, nil
}

func (t *table) loadIndex(index []byte, blocksEnd uint64) error {
	keyLength, n := binary.Uvarint(index)
	if n <= 0 || keyLength > uint64(len(index)-n) {
		return t.damaged("its index")
	}
	t.last, index = index[n:][:keyLength:keyLength], index[n+int(keyLength):]
	end := uint64(0)
	for len(index) > 0 {
		keyLength, n := binary.Uvarint(index)
		if n <= 0 {
			return t.damaged("its index")
		}
		length, m := binary.Uvarint(index[n:])
		if m <= 0 || keyLength > uint64(len(index)-n-m) || length > blocksEnd-end {
			return t.damaged("its index")
		}
		index = index[n+m:]
		end += length
		t.starts = append(t.starts, index[:keyLength]...)
		t.keyEnds = append(t.keyEnds, uint32(len(t.starts)))
		t.blockEnds = append(t.blockEnds, end)
		index = index[keyLength:]
	}
	if end != blocksEnd {
		return t.damaged("its index")
	}
	return nil
}

func (t *table) read(from, to uint64) ([]byte, error) {
	b := make([]byte, to-from)
	if n, err := t.file.ReadAt(b, int64(from)); n < len(b) {
		return nil, fmt.Errorf("read %s: %w", t.path, err)
	}
	return b, nil
}

func (t *table) start(block int) []byte {
	from := uint32(0)
	if block > 0 {
		from = t.keyEnds[block-1]
	}
	return t.starts[from:t.keyEnds[block]]
}

// find gives the block that a key is in if it is there, -1 when it is before all.
func (t *table) find(key []byte) int {
	return sort.Search(len(t.blockEnds), func(i int) bool { return bytes.Compare(t.start(i), key) > 0 }) - 1
}

func (t *table) offset(block int) uint64 {
	if block == 0 {
		return 0
	}
	return t.blockEnds[block-1]
}

// unpack gives the rows of a block whose bytes were read, in the memory of into if
// that is large enough.
func (t *table) unpack(block int, b, into []byte) ([]byte, error) {
	packed, ok := checked(b)
	if !ok {
		return nil, t.damaged(fmt.Sprintf("the block at byte %d", t.offset(block)))
	}
	if length, err := s2.DecodedLen(packed); err != nil || length > unpackedBytesMax {
		return nil, t.damaged(fmt.Sprintf("the length of the block at byte %d", t.offset(block)))
	}
	rows, err := s2.Decode(into[:cap(into)], packed)
	if err != nil {
		return nil, t.damaged(fmt.Sprintf("the block at byte %d: %v", t.offset(block), err))
	}
	return rows, nil
}

// get gives a key's row, if the table has one.
func (t *table) get(key []byte, hash uint64) (r row, ok bool, err error) {
	if !t.letters.has(key[0]) || !t.filter.may(hash) || bytes.Compare(key, t.last) > 0 {
		return r, false, nil
	}
	block := t.find(key)
	if block < 0 {
		return r, false, nil
	}
	b, err := t.read(t.offset(block), t.blockEnds[block])
	if err != nil {
		return r, false, err
	}
	rows, err := t.unpack(block, b, nil)
	if err != nil {
		return r, false, err
	}
	for len(rows) > 0 {
		if r, rows, ok = nextRow(rows); !ok {
			return r, false, t.damaged(fmt.Sprintf("a row after byte %d", t.offset(block)))
		}
		if c := bytes.Compare(r.key, key); c >= 0 {
			return r, c == 0, nil
		}
	}
	return r, false, nil
}

// nextRow takes the first row off a block.
func nextRow(b []byte) (r row, rest []byte, ok bool) {
	keyLength, n := binary.Uvarint(b)
	if n <= 0 {
		return r, nil, false
	}
	length, m := binary.Uvarint(b[n:])
	b = b[n+max(m, 0):]
	if m <= 0 || keyLength > uint64(len(b)) || length > uint64(len(b))-keyLength+1 {
		return r, nil, false
	}
	r.key, b = b[:keyLength:keyLength], b[keyLength:]
	if length > 0 {
		r.value, b = b[:length-1:length-1], b[length-1:]
	}
	return r, b, true
}

// release ends one use of the table.
func (t *table) release(fs fsx.FS) error {
	if t.refs.Add(-1) > 0 {
		return nil
	}
	err := t.file.Close()
	if t.obsolete.Load() {
		err = errors.Join(err, fs.Remove(t.path))
	}
	return err
}

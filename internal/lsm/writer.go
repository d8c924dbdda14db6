package lsm

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// writer makes a table of rows that come in order.
type writer struct {
	fs      fsx.FS
	path    string
	file    fsx.File
	block   []byte // rows of the block in hand
	first   []byte // its first key
	last    []byte
	packed  []byte
	out     []byte // what is not yet written
	end     uint64 // of what is written
	index   []byte
	hashes  []uint64
	letters letters
}

// writeBytes is how much a writer collects before it writes.
const writeBytes = 1 << 20

func newWriter(fs fsx.FS, path string) (*writer, error) {
	file, err := fs.Open(path, true)
	if err != nil {
		return nil, fmt.Errorf("make table: %w", err)
	}
	if err := file.Truncate(0); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("make table %s: %w", path, err)
	}
	return &writer{fs: fs, path: path, file: file}, nil
}

// add adds a row whose key is greater than all before. It keeps neither slice.
func (w *writer) add(r row) error {
	if len(w.block) == 0 {
		w.first = append(w.first[:0], r.key...)
	}
	length := uint64(0)
	if r.value != nil {
		length = uint64(len(r.value)) + 1
	}
	w.block = binary.AppendUvarint(w.block, uint64(len(r.key)))
	w.block = binary.AppendUvarint(w.block, length)
	w.block = append(append(w.block, r.key...), r.value...)
	w.last = append(w.last[:0], r.key...)
	w.hashes = append(w.hashes, xxhash.Sum64(r.key))
	w.letters.add(r.key[0])
	if len(w.block) < blockBytes {
		return nil
	}
	return w.endBlock()
}

func (w *writer) endBlock() error {
	if len(w.block) == 0 {
		return nil
	}
	if most := s2.MaxEncodedLen(len(w.block)); cap(w.packed) < most {
		w.packed = make([]byte, most)
	}
	packed := s2.Encode(w.packed[:cap(w.packed)], w.block)
	sealed := appendSum(packed)
	w.index = binary.AppendUvarint(w.index, uint64(len(w.first)))
	w.index = binary.AppendUvarint(w.index, uint64(len(sealed)))
	w.index = append(w.index, w.first...)
	w.out = append(w.out, sealed...)
	w.block = w.block[:0]
	if len(w.out) < writeBytes {
		return nil
	}
	return w.write()
}

func (w *writer) write() error {
	if _, err := w.file.WriteAt(w.out, int64(w.end)); err != nil {
		return fmt.Errorf("write table %s: %w", w.path, err)
	}
	w.end += uint64(len(w.out))
	w.out = w.out[:0]
	return nil
}

// finish makes the table durable, except for its name.
func (w *writer) finish() error {
	if err := w.endBlock(); err != nil {
		return err
	}
	f := footer{blocksEnd: w.end + uint64(len(w.out)), rows: uint64(len(w.hashes)), letters: w.letters}
	filter := appendSum(newFilter(w.hashes))
	f.filterEnd = f.blocksEnd + uint64(len(filter))
	index := binary.AppendUvarint(nil, uint64(len(w.last)))
	index = appendSum(bytes.Join([][]byte{index, w.last, w.index}, nil))
	f.indexEnd = f.filterEnd + uint64(len(index))
	w.out = append(append(append(w.out, filter...), index...), f.encode()...)
	if err := w.write(); err != nil {
		return err
	}
	if err := w.file.Sync(); err != nil {
		return fmt.Errorf("flush table %s: %w", w.path, err)
	}
	if err := w.file.Close(); err != nil {
		return fmt.Errorf("close table %s: %w", w.path, err)
	}
	return nil
}

// drop gives a table up.
func (w *writer) drop() {
	_ = w.file.Close()
	_ = w.fs.Remove(w.path)
}

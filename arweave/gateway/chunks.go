package gateway

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// putInlineData stores data that came with its transaction, which has been
// verified, with all its chunks.
func (g *Gateway) putInlineData(ctx context.Context, tx *arweave.Tx) error {
	file := chunkFile(tx.DataRoot, tx.DataSize)
	done, _, err := g.uploaded(file, tx.DataSize)
	if err != nil {
		return err
	}
	if !done {
		if err := g.files.put(file, tx.Data); err != nil {
			return err
		}
		var waiting []*job
		for _, chunk := range arweave.NewTree(tx.Data).Chunks {
			j, err := g.submitChunk(ctx, file, chunk.Start, chunk.End, chunk.Proof)
			if err != nil {
				return err
			}
			waiting = append(waiting, j)
		}
		if err := g.awaitAll(ctx, waiting); err != nil {
			return err
		}
	}
	return g.completed(ctx, file)
}

// upload is one chunk as it arrives.
type upload struct {
	root   []byte
	size   uint64
	offset uint64 // of any byte in the chunk
	proof  []byte
	chunk  []byte
}

// putChunk proves a chunk and stores it. A chunk is refused unless a stored
// transaction waits for its root.
func (g *Gateway) putChunk(ctx context.Context, u upload) error {
	if u.size > g.options.DataBytesMax {
		return ao.Errorf(ao.CodeInvalid, "data_size_too_big")
	}
	file := chunkFile(u.root, u.size)
	wanted, err := g.hasPrefix(rootPrefix(file))
	if err != nil {
		return err
	}
	if !wanted {
		return ao.Errorf(ao.CodeInvalid, "data_root_not_found")
	}
	place, err := arweave.CheckChunk(u.root, u.size, u.offset, u.proof, u.chunk)
	if err != nil {
		return &ao.Error{Code: ao.CodeInvalid, Message: "invalid_proof", Cause: err}
	}
	known, err := g.hasPrefix(chunkKey(file, place.Start))
	if err != nil {
		return err
	}
	if !known {
		if err := g.files.writeAt(file, u.size, place.Start, u.chunk); err != nil {
			return err
		}
		j, err := g.submitChunk(ctx, file, place.Start, place.End, u.proof)
		if err == nil {
			err = g.commit.await(ctx, j)
		}
		if err != nil {
			return err
		}
	}
	done, _, err := g.uploaded(file, u.size)
	if err != nil || !done {
		return err
	}
	return g.completed(ctx, file)
}

// submitChunk notes that a chunk is in the file.
func (g *Gateway) submitChunk(ctx context.Context, file dataitem.ID, start, end uint64, proof []byte) (*job, error) {
	value := append(numberKey(nil, end), proof...)
	return g.commit.submit(ctx, 1, len(value), func(txn *badger.Txn) error { return txn.Set(chunkKey(file, start), value) })
}

// completed opens the bundles whose data has just become complete.
func (g *Gateway) completed(ctx context.Context, file dataitem.ID) error {
	var carriers []dataitem.ID
	err := g.view(func(txn *badger.Txn) error {
		return scan(txn, rootPrefix(file), func(key, _ []byte) error {
			id := dataitem.ID(key[len(key)-32:])
			todo, err := get(txn, unbundleKey(id))
			if todo != nil {
				carriers = append(carriers, id)
			}
			return err
		})
	})
	for _, carrier := range carriers {
		if err == nil {
			err = g.unbundleStored(ctx, carrier)
		}
	}
	return err
}

// complete says whether all of a record's data is here, and how much is.
func (g *Gateway) complete(r *Record) (done bool, have uint64, err error) {
	if r.at.kind != inChunks {
		return true, r.DataSize, nil
	}
	return g.uploaded(r.at.file, r.DataSize)
}

// uploaded adds up the chunks of a file. Chunks of one root never overlap.
func (g *Gateway) uploaded(file dataitem.ID, size uint64) (done bool, have uint64, err error) {
	err = g.view(func(txn *badger.Txn) error {
		return scan(txn, chunkPrefix(file), func(key, value []byte) error {
			end, _, err := decodeChunk(value)
			have += end - lastNumber(key)
			return err
		})
	})
	return have == size, have, err
}

func decodeChunk(value []byte) (end uint64, proof []byte, err error) {
	if len(value) < 8 {
		return 0, nil, fmt.Errorf("%w: a chunk entry of %d bytes", ErrDamaged, len(value))
	}
	return binary.BigEndian.Uint64(value), value[8:], nil
}

// weaveChunk is a chunk found by its place in the whole weave.
type weaveChunk struct {
	data  []byte
	proof []byte
}

// chunkAt finds the chunk that holds the byte at a weave offset, counting from
// 1, as Arweave does.
func (g *Gateway) chunkAt(offset uint64) (*weaveChunk, error) {
	found := new(weaveChunk)
	var (
		file       dataitem.ID
		start, end uint64
	)
	missing := ao.Errorf(ao.CodeNotFound, "no chunk at offset %d", offset)
	err := g.view(func(txn *badger.Txn) error {
		key, value, err := first(txn, []byte{keyWeave}, weaveKey(offset))
		if err != nil {
			return err
		}
		if key == nil || offset == 0 {
			return missing
		}
		stored, err := get(txn, recordKey(dataitem.ID(value)))
		if err != nil {
			return err
		}
		r, err := decodeStored(stored)
		if err != nil {
			return err
		}
		within := offset - (lastNumber(key) - r.dataSize) - 1
		file = r.at.file
		key, value, err = last(txn, chunkPrefix(file), chunkKey(file, within))
		if err != nil {
			return err
		}
		if key == nil {
			return missing
		}
		start = lastNumber(key)
		if end, found.proof, err = decodeChunk(value); err == nil && within >= end {
			return missing
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	f, err := g.files.open(file)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer f.Close()
	found.data = make([]byte, end-start)
	if _, err := f.ReadAt(found.data, int64(start)); err != nil {
		return nil, fmt.Errorf("%w: chunk at offset %d: %w", ErrDamaged, offset, err)
	}
	if !arweave.ProofHolds(found.proof, found.data) {
		return nil, fmt.Errorf("%w: chunk at offset %d does not match its proof", ErrDamaged, offset)
	}
	return found, nil
}

// weaveOffset is where a transaction's data ends in the weave.
func (g *Gateway) weaveOffset(id dataitem.ID) (end uint64, ok bool, err error) {
	err = g.view(func(txn *badger.Txn) error {
		value, err := get(txn, weaveOfKey(id))
		if err == nil && len(value) == 8 {
			end, ok = binary.BigEndian.Uint64(value), true
		}
		return err
	})
	return end, ok, err
}

func (g *Gateway) hasPrefix(prefix []byte) (found bool, err error) {
	err = g.view(func(txn *badger.Txn) error {
		key, _, err := first(txn, prefix, prefix)
		found = key != nil
		return err
	})
	return found, err
}

// first gives the first entry at or after a key, within a prefix.
func first(txn *badger.Txn, prefix, from []byte) (key, value []byte, err error) {
	return seek(txn, badger.IteratorOptions{Prefix: prefix}, from)
}

// last gives the last entry at or before a key, within a prefix.
func last(txn *badger.Txn, prefix, to []byte) (key, value []byte, err error) {
	return seek(txn, badger.IteratorOptions{Prefix: prefix, Reverse: true}, to)
}

func seek(txn *badger.Txn, settings badger.IteratorOptions, at []byte) (key, value []byte, err error) {
	it := txn.NewIterator(settings)
	defer it.Close()
	if it.Seek(at); !it.Valid() {
		return nil, nil, nil
	}
	value, err = it.Item().ValueCopy(nil)
	return it.Item().KeyCopy(nil), value, err
}

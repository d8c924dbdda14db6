package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Lookup gives what is known of an id, or an *ao.Error with ao.CodeNotFound.
// What is only in the fallback is copied from there first.
func (g *Gateway) Lookup(ctx context.Context, id ao.ID) (Record, error) {
	record, err := g.lookup(id)
	if err == nil && record == nil {
		if err = g.fetch(ctx, id); err == nil {
			record, err = g.lookup(id)
		}
	}
	if err != nil {
		return Record{}, err
	}
	if record == nil {
		return Record{}, ao.Errorf(ao.CodeNotFound, "nothing with the id %s is here", id)
	}
	return *record, nil
}

// Data gives the whole data of an id.
func (g *Gateway) Data(ctx context.Context, id ao.ID) ([]byte, error) {
	record, err := g.Lookup(ctx, id)
	if err != nil {
		return nil, err
	}
	return g.readMended(ctx, &record)
}

// Whole reports whether all of a record's data is here.
func (g *Gateway) Whole(record Record) (bool, error) {
	whole, _, err := g.complete(&record)
	return whole, err
}

// StoredItem gives a whole data item that is stored here. It does not ask the
// fallback. Pinned files and base-layer transactions are no items.
func (g *Gateway) StoredItem(_ context.Context, id ao.ID) (*dataitem.Item, error) {
	stored, err := g.lookupStored(id)
	if err != nil {
		return nil, err
	}
	if stored == nil || stored.kind != kindItem {
		return nil, ao.Errorf(ao.CodeNotFound, "no data item with the id %s is stored here", id)
	}
	record, err := stored.open(id)
	if err != nil {
		return nil, err
	}
	data, err := g.readAll(record)
	if err != nil {
		return nil, err
	}
	it, err := dataitem.Parse(append(bytes.Clone(stored.header), data...))
	if err != nil {
		return nil, fmt.Errorf("%w: item %s: %w", ErrDamaged, id, err)
	}
	return it, nil
}

// StoredTx gives what is known of a base-layer transaction that is stored here. It
// does not ask the fallback.
func (g *Gateway) StoredTx(_ context.Context, id ao.ID) (Record, error) {
	record, err := g.lookup(id)
	if err != nil {
		return Record{}, err
	}
	if record == nil || record.Tx == nil {
		return Record{}, ao.Errorf(ao.CodeNotFound, "no transaction with the id %s is stored here", id)
	}
	return *record, nil
}

// Module gives what a compute unit needs of a module: its owner's address, its
// tags and its bytes. The owner of a pinned module is unknown and "".
func (g *Gateway) Module(ctx context.Context, id ao.ID) (owner string, tags dataitem.Tags, data []byte, err error) {
	record, err := g.Lookup(ctx, id)
	if err != nil {
		return "", nil, nil, err
	}
	if !record.Owner.IsZero() {
		owner = record.Owner.String()
	}
	data, err = g.readMended(ctx, &record)
	return owner, record.Tags, data, err
}

// Pinned lists the ids that serve pinned files.
func (g *Gateway) Pinned() ([]ao.ID, error) {
	var ids []ao.ID
	err := g.view(func(txn *badger.Txn) error {
		return scan(txn, []byte{keyPinned}, func(key, _ []byte) error {
			ids = append(ids, ao.ID(key[1:]))
			return nil
		})
	})
	return ids, err
}

// fetch copies an item from the fallback. It is not an error when there is none.
func (g *Gateway) fetch(ctx context.Context, id ao.ID) error {
	if g.options.Fallback == nil {
		return nil
	}
	it, err := g.options.Fallback.Item(ctx, id)
	if ao.CodeOf(err) == ao.CodeNotFound && err != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look for %s elsewhere: %w", id, err)
	}
	if it == nil || it.ID() != id {
		return nil
	}
	_, err = g.PutVerified(ctx, it)
	return err
}

// lookup gives nil when the id is not here.
func (g *Gateway) lookup(id dataitem.ID) (*Record, error) {
	stored, err := g.lookupStored(id)
	if err != nil || stored == nil {
		return nil, err
	}
	return stored.open(id)
}

func (g *Gateway) lookupStored(id dataitem.ID) (stored *storedRecord, err error) {
	err = g.view(func(txn *badger.Txn) error {
		value, err := get(txn, recordKey(id))
		if err != nil || value == nil {
			return err
		}
		stored, err = decodeStored(value)
		return err
	})
	return stored, err
}

// confirmed reports whether the record is in a block by now.
func (g *Gateway) confirmed(r *Record) bool { return r.Height <= g.chain.height() }

// body is open data: it can be read from any place and must be closed.
type body struct {
	*io.SectionReader
	io.Closer
}

type noCloser struct{}

func (noCloser) Close() error { return nil }

// openData opens a record's data for reading. Data of which chunks are missing
// is refused.
func (g *Gateway) openData(r *Record) (*body, error) {
	complete, have, err := g.complete(r)
	if err != nil {
		return nil, err
	}
	if !complete {
		return nil, ao.Errorf(ao.CodeNotFound, "the data of %s is incomplete: %d of %d bytes were uploaded", r.ID, have, r.DataSize)
	}
	switch r.at.kind {
	case inFile, inChunks:
		file, err := g.files.open(r.at.file)
		if err != nil {
			return nil, fmt.Errorf("%w: data of %s: %w", ErrDamaged, r.ID, err)
		}
		return &body{io.NewSectionReader(file, int64(r.at.offset), int64(r.DataSize)), file}, nil
	case inDatabase:
		var data []byte
		err := g.view(func(txn *badger.Txn) (err error) {
			data, err = get(txn, dataKey(r.ID))
			return err
		})
		if err == nil && uint64(len(data)) != r.DataSize {
			err = fmt.Errorf("%w: data of %s has %d bytes, not %d", ErrDamaged, r.ID, len(data), r.DataSize)
		}
		return &body{io.NewSectionReader(bytes.NewReader(data), 0, int64(len(data))), noCloser{}}, err
	}
	return &body{io.NewSectionReader(bytes.NewReader(nil), 0, 0), noCloser{}}, nil
}

func (g *Gateway) readAll(r *Record) ([]byte, error) {
	data, err := g.openData(r)
	if err != nil {
		return nil, err
	}
	b := make([]byte, r.DataSize)
	if _, err = io.ReadFull(data, b); err != nil {
		err = fmt.Errorf("%w: data of %s: %w", ErrDamaged, r.ID, err)
	} else if r.at.kind == inFile && checksum(b) != r.at.sum {
		err = fmt.Errorf("%w: data of %s, in the file %s, has another checksum", ErrDamaged, r.ID, fileName(r.at.file))
	}
	return b, errors.Join(err, data.Close())
}

// check reads data through once and compares its checksum. It leaves data at
// its start.
func (r *Record) check(data io.ReadSeeker) error {
	if r.at.kind != inFile {
		return nil
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, data); err != nil {
		return fmt.Errorf("%w: data of %s: %w", ErrDamaged, r.ID, err)
	}
	if sum.Sum32() != r.at.sum {
		return fmt.Errorf("%w: data of %s, in the file %s, has another checksum", ErrDamaged, r.ID, fileName(r.at.file))
	}
	_, err := data.Seek(0, io.SeekStart)
	return err
}

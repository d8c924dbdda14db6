package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// PutItem verifies an item and stores it; stored is false when it was there
// already. A bundle's items are stored too.
func (g *Gateway) PutItem(ctx context.Context, it *dataitem.Item) (stored bool, err error) {
	if err := it.Verify(); err != nil {
		return false, ao.Errorf(ao.CodeInvalid, "item %s: %w", it.ID(), err)
	}
	return g.PutVerified(ctx, it)
}

// PutVerified stores an item whose signature the caller has checked.
func (g *Gateway) PutVerified(ctx context.Context, it *dataitem.Item) (stored bool, err error) {
	p, err := g.prepareItem(it, ao.ID{}, location{}, 0)
	if err != nil || p == nil {
		return false, err
	}
	if dataitem.IsBundle(it) {
		if err := g.unbundle(ctx, it.ID(), it.Data, p.stored.at, 1); err != nil {
			return false, err
		}
	}
	if err := g.write(ctx, p); err != nil {
		return false, err
	}
	return p.isNew, nil
}

// PutVerifiedBatch stores many items whose signatures the caller has checked,
// with as few flushes as possible. Items that are there already are skipped.
func (g *Gateway) PutVerifiedBatch(ctx context.Context, items []*dataitem.Item) error {
	var waiting []*job
	for _, it := range items {
		p, err := g.prepareItem(it, ao.ID{}, location{}, 0)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		if dataitem.IsBundle(it) {
			if err := g.unbundle(ctx, it.ID(), it.Data, p.stored.at, 1); err != nil {
				return err
			}
		}
		j, err := g.submit(ctx, p)
		if err != nil {
			return err
		}
		waiting = append(waiting, j)
	}
	return g.awaitAll(ctx, waiting)
}

func (g *Gateway) awaitAll(ctx context.Context, waiting []*job) error {
	var first error
	for _, j := range waiting {
		if err := g.commit.await(ctx, j); err != nil && first == nil {
			first = err
		}
	}
	return first
}

// Pin serves a file under an id that clients have hard-coded. Nothing is
// verified, and everything that shows it says that it is pinned. Pinning the
// same id again replaces the file; an id that has a verified item is refused.
func (g *Gateway) Pin(ctx context.Context, id ao.ID, tags dataitem.Tags, data []byte) error {
	record, err := g.lookupStored(id)
	if err != nil {
		return err
	}
	if record != nil && record.kind != kindPin {
		return ao.Errorf(ao.CodeConflict, "cannot pin %s: a verified item with this id is here", id)
	}
	header, err := json.Marshal(tags)
	if err != nil {
		return fmt.Errorf("pin %s: %w", id, err)
	}
	file := pinFile(id, data)
	if record != nil && record.at.kind == inFile && record.at.file == file && bytes.Equal(record.header, header) {
		return nil
	}
	p := &put{id: id, tags: tags, stored: storedRecord{kind: kindPin, dataSize: uint64(len(data)), header: header}}
	if err := g.placeData(p, file, data); err != nil {
		return fmt.Errorf("pin %s: %w", id, err)
	}
	if err := g.write(ctx, p); err != nil {
		return err
	}
	if record != nil && record.at.kind == inFile && record.at.file != file {
		return g.files.remove(record.at.file)
	}
	return nil
}

// put is one record on its way into the store.
type put struct {
	id        dataitem.ID
	owner     dataitem.ID // zero for none
	recipient dataitem.ID // zero for none
	tags      dataitem.Tags
	data      []byte // only when it goes into the database
	stored    storedRecord
	// also runs in the same transaction, after the record was found to be new
	// and before it is written; what it sets is stored with the record.
	also     func(txn *badger.Txn, p *put) error
	alsoKeys int
	isNew    bool
}

// prepareItem makes the record of an item and stores its data if that is
// large. It gives nil when the item is there. An item that came in a bundle
// shares the bundle's file, from offset on.
func (g *Gateway) prepareItem(it *dataitem.Item, bundledIn dataitem.ID, carrier location, offset uint64) (*put, error) {
	existing, err := g.lookupStored(it.ID())
	if err != nil || (existing != nil && existing.kind != kindPin) {
		return nil, err
	}
	raw := it.Bytes()
	p := &put{
		id: it.ID(), owner: it.OwnerAddress(), recipient: it.TargetID(), tags: it.Tags,
		stored: storedRecord{
			kind: kindItem, bundledIn: bundledIn, dataSize: uint64(len(it.Data)), header: raw[:len(raw)-len(it.Data)],
		},
	}
	if len(it.Data) > inlineBytesMax && (carrier.kind == inFile || carrier.kind == inChunks) {
		p.stored.at = location{kind: inFile, file: carrier.file, offset: carrier.offset + offset, sum: checksum(it.Data)}
		return p, nil
	}
	if err := g.placeData(p, it.ID(), it.Data); err != nil {
		return nil, fmt.Errorf("store item %s: %w", it.ID(), err)
	}
	return p, nil
}

// placeData stores large data in its own file, at once, and keeps small data
// for the database.
func (g *Gateway) placeData(p *put, file dataitem.ID, data []byte) error {
	switch {
	case len(data) == 0:
		p.stored.at = location{}
	case len(data) <= inlineBytesMax:
		p.stored.at, p.data = location{kind: inDatabase}, data
	default:
		p.stored.at = location{kind: inFile, file: file, sum: checksum(data)}
		return g.files.put(file, data)
	}
	return nil
}

func (g *Gateway) write(ctx context.Context, p *put) error {
	j, err := g.submit(ctx, p)
	if err != nil {
		return err
	}
	return g.commit.await(ctx, j)
}

func (g *Gateway) submit(ctx context.Context, p *put) (*job, error) {
	keys := 8 + len(p.tags) + p.alsoKeys
	return g.commit.submit(ctx, keys, 64*keys+len(p.stored.header)+len(p.data), func(txn *badger.Txn) error { return g.apply(txn, p) })
}

// apply writes a record with all its index entries. Only the committer calls
// it, so what it reads cannot change under it.
func (g *Gateway) apply(txn *badger.Txn, p *put) error {
	existing, err := get(txn, recordKey(p.id))
	if err != nil {
		return err
	}
	var pinned *storedRecord
	if existing != nil {
		old, err := decodeStored(existing)
		if err != nil {
			return err
		}
		if old.kind != kindPin {
			return nil
		}
		pinned = old
	}
	if p.also != nil {
		if err := p.also(txn, p); err != nil {
			return err
		}
	}
	if pinned != nil {
		if err := g.removePin(txn, p.id, pinned); err != nil {
			return err
		}
	}
	p.isNew = true
	p.stored.sequence = g.sequence.Load() + 1
	p.stored.height = max(g.chain.height()+g.options.PendingBlocks, g.lastHeight)
	p.stored.ingestedMS = g.options.Now().UnixMilli()
	if err := p.writeAll(txn); err != nil {
		return err
	}
	if p.stored.height > g.lastHeight || p.stored.sequence == 1 {
		if err := txn.Set(heightKey(p.stored.height), sequenceKey(p.stored.sequence)); err != nil {
			return err
		}
	}
	g.sequence.Store(p.stored.sequence)
	g.lastHeight = p.stored.height
	return nil
}

func (p *put) writeAll(txn *badger.Txn) error {
	err := txn.Set(recordKey(p.id), p.stored.encode())
	if len(p.data) > 0 {
		err = errors.Join(err, txn.Set(dataKey(p.id), p.data))
	}
	for _, key := range p.indexKeys() {
		err = errors.Join(err, txn.Set(key, p.id[:]))
	}
	return err
}

// indexKeys are the keys under which the record is found.
func (p *put) indexKeys() [][]byte {
	sequence := p.stored.sequence
	keys := [][]byte{sequenceKey(sequence)}
	if !p.owner.IsZero() {
		keys = append(keys, numberKey(ownerPrefix(p.owner), sequence))
	}
	if !p.recipient.IsZero() {
		keys = append(keys, numberKey(recipientPrefix(p.recipient), sequence))
	}
	if !p.stored.bundledIn.IsZero() {
		keys = append(keys, numberKey(bundledInPrefix(p.stored.bundledIn), sequence))
	}
	switch p.stored.kind {
	case kindTx:
		keys = append(keys, txKey(sequence))
	case kindPin:
		keys = append(keys, pinnedKey(p.id))
	}
	for _, tag := range p.tags {
		keys = append(keys, numberKey(tagPrefix(tag.Name, tag.Value), sequence))
	}
	return keys
}

// removePin makes room for another file or the real item under a pinned id.
func (g *Gateway) removePin(txn *badger.Txn, id dataitem.ID, old *storedRecord) error {
	record, err := old.open(id)
	if err != nil {
		return err
	}
	gone := &put{id: id, tags: record.Tags, stored: *old}
	err = txn.Delete(dataKey(id))
	for _, key := range gone.indexKeys() {
		err = errors.Join(err, txn.Delete(key))
	}
	return err
}

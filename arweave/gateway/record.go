package gateway

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Record is what the gateway knows of one item, transaction or pinned file,
// without its data.
type Record struct {
	ID        ao.ID
	Owner     ao.ID  // address; zero for pinned files
	OwnerKey  []byte // nil for pinned files
	Signature []byte // nil for pinned files
	Target    ao.ID  // zero if none
	Anchor    []byte // nil if none
	Tags      dataitem.Tags
	DataSize  uint64
	// ContentType is the Content-Type tag, or "".
	ContentType string
	// Height is the block that holds it, or will.
	Height uint64
	// BundledIn is the bundle it came in, or zero.
	BundledIn ao.ID
	// Pinned says that the id was given by the operator and nothing was
	// verified.
	Pinned bool
	// Tx is the base-layer transaction, nil for items and pinned files.
	Tx *arweave.Tx

	sequence   uint64
	ingestedMS int64
	at         location
}

// recordKind says how the header of a stored record reads.
type recordKind byte

const (
	kindItem recordKind = 1 // header is the item's bytes up to its data
	kindTx   recordKind = 2 // header is the transaction's JSON without data
	kindPin  recordKind = 3 // header is the tags as JSON
)

// locationKind says where data lies.
type locationKind byte

const (
	inNothing  locationKind = 0 // there is no data
	inDatabase locationKind = 1 // under keyData
	inFile     locationKind = 2 // in the file of this key, from offset
	inChunks   locationKind = 3 // like inFile, but chunks may still be missing
)

type location struct {
	kind   locationKind
	file   dataitem.ID
	offset uint64
	sum    uint32 // of the data, when it is inFile
}

// checksum is what data in files is checked against; the database has its own.
func checksum(data []byte) uint32 { return crc32.Checksum(data, castagnoli) }

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// storedRecord is a record as it lies in the database.
type storedRecord struct {
	kind       recordKind
	sequence   uint64
	height     uint64
	ingestedMS int64
	bundledIn  dataitem.ID
	dataSize   uint64
	at         location
	header     []byte
}

const (
	recordVersion    = 1
	recordFixedBytes = 2 + 8 + 8 + 8 + 32 + 8 + 1 + 32 + 8 + 4
)

func (r *storedRecord) encode() []byte {
	b := make([]byte, 0, recordFixedBytes+len(r.header))
	b = append(b, recordVersion, byte(r.kind))
	b = binary.BigEndian.AppendUint64(b, r.sequence)
	b = binary.BigEndian.AppendUint64(b, r.height)
	b = binary.BigEndian.AppendUint64(b, uint64(r.ingestedMS))
	b = append(b, r.bundledIn[:]...)
	b = binary.BigEndian.AppendUint64(b, r.dataSize)
	b = append(b, byte(r.at.kind))
	b = append(b, r.at.file[:]...)
	b = binary.BigEndian.AppendUint64(b, r.at.offset)
	b = binary.BigEndian.AppendUint32(b, r.at.sum)
	return append(b, r.header...)
}

func decodeStored(b []byte) (*storedRecord, error) {
	if len(b) < recordFixedBytes || b[0] != recordVersion {
		return nil, fmt.Errorf("%w: a record of %d bytes that is not version %d", ErrDamaged, len(b), recordVersion)
	}
	r := &storedRecord{
		kind:       recordKind(b[1]),
		sequence:   binary.BigEndian.Uint64(b[2:]),
		height:     binary.BigEndian.Uint64(b[10:]),
		ingestedMS: int64(binary.BigEndian.Uint64(b[18:])),
		bundledIn:  dataitem.ID(b[26:58]),
		dataSize:   binary.BigEndian.Uint64(b[58:]),
		at: location{
			kind:   locationKind(b[66]),
			file:   dataitem.ID(b[67:99]),
			offset: binary.BigEndian.Uint64(b[99:]),
			sum:    binary.BigEndian.Uint32(b[107:]),
		},
		header: b[recordFixedBytes:],
	}
	return r, nil
}

// open reads the header. It keeps the header's bytes.
func (r *storedRecord) open(id dataitem.ID) (*Record, error) {
	record := &Record{
		ID: id, DataSize: r.dataSize, Height: r.height, BundledIn: r.bundledIn,
		sequence: r.sequence, ingestedMS: r.ingestedMS, at: r.at,
	}
	switch r.kind {
	case kindItem:
		it, err := dataitem.Parse(r.header)
		if err != nil {
			return nil, fmt.Errorf("%w: item %s: %w", ErrDamaged, id, err)
		}
		record.Owner, record.OwnerKey, record.Signature = it.OwnerAddress(), it.Owner, it.Signature
		record.Target, record.Anchor, record.Tags = it.TargetID(), it.Anchor, it.Tags
	case kindTx:
		tx, err := arweave.ParseTx(r.header)
		if err != nil {
			return nil, fmt.Errorf("%w: transaction %s: %w", ErrDamaged, id, err)
		}
		record.Tx = tx
		record.Owner, record.OwnerKey, record.Signature = tx.Address(), tx.Owner, tx.Signature
		record.Target, record.Anchor, record.Tags = tx.TargetID(), tx.LastTx, tx.Tags
	case kindPin:
		if err := json.Unmarshal(r.header, &record.Tags); err != nil {
			return nil, fmt.Errorf("%w: pinned file %s: %w", ErrDamaged, id, err)
		}
		record.Pinned = true
	default:
		return nil, fmt.Errorf("%w: record %s is of unknown kind %s", ErrDamaged, id, strconv.Itoa(int(r.kind)))
	}
	record.ContentType = record.Tags.Get("Content-Type")
	return record, nil
}

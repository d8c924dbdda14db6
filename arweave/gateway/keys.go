package gateway

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// The store's keys start with one byte that says what they are. Sequence
// numbers, heights and offsets are big-endian, so that key order is their
// order. Everything that was put has a sequence number; heights never fall from
// one to the next, so sequence order is block order too.
const (
	keyRecord     = 'r' // id -> record
	keyData       = 'd' // id -> data that is not in a file
	keySequence   = 's' // sequence -> id
	keyTag        = 't' // hash of name and value, sequence
	keyOwner      = 'o' // owner's address, sequence
	keyRecipient  = 'p' // target, sequence
	keyBundledIn  = 'b' // carrier's id, sequence
	keyTx         = 'x' // sequence, of base-layer transactions only
	keyHeight     = 'h' // height -> first sequence with it
	keyPinned     = 'i' // id, of pinned files
	keyWeave      = 'w' // last weave offset of a transaction's data -> id
	keyWeaveOf    = 'v' // id -> last weave offset of its data
	keyRoot       = 'k' // data key, transaction id: who waits for chunks
	keyChunk      = 'c' // data key, start -> end and proof
	keyUnbundle   = 'u' // id of a carrier whose items are not indexed yet
	keyBalance    = 'a' // address -> winston, decimal
	keyLastTx     = 'l' // address -> id of the wallet's last transaction
	keyEra        = 'e' // number -> a stretch of evenly spaced blocks
	keyMetaFormat = 'm' // -> format version of the store
	keyMetaSeed   = 'n' // -> seed of block ids
)

// postingHashBytes cuts the hashes of tags; a collision costs a look at the
// record, never a wrong answer.
const postingHashBytes = 16

func recordKey(id dataitem.ID) []byte    { return append([]byte{keyRecord}, id[:]...) }
func dataKey(id dataitem.ID) []byte      { return append([]byte{keyData}, id[:]...) }
func pinnedKey(id dataitem.ID) []byte    { return append([]byte{keyPinned}, id[:]...) }
func unbundleKey(id dataitem.ID) []byte  { return append([]byte{keyUnbundle}, id[:]...) }
func weaveOfKey(id dataitem.ID) []byte   { return append([]byte{keyWeaveOf}, id[:]...) }
func balanceKey(a dataitem.ID) []byte    { return append([]byte{keyBalance}, a[:]...) }
func lastTxKey(a dataitem.ID) []byte     { return append([]byte{keyLastTx}, a[:]...) }
func sequenceKey(sequence uint64) []byte { return numberKey([]byte{keySequence}, sequence) }
func txKey(sequence uint64) []byte       { return numberKey([]byte{keyTx}, sequence) }
func heightKey(height uint64) []byte     { return numberKey([]byte{keyHeight}, height) }
func weaveKey(last uint64) []byte        { return numberKey([]byte{keyWeave}, last) }
func eraKey(number uint64) []byte        { return numberKey([]byte{keyEra}, number) }

func ownerPrefix(a dataitem.ID) []byte      { return append([]byte{keyOwner}, a[:]...) }
func recipientPrefix(id dataitem.ID) []byte { return append([]byte{keyRecipient}, id[:]...) }
func bundledInPrefix(id dataitem.ID) []byte { return append([]byte{keyBundledIn}, id[:]...) }

func tagPrefix(name, value string) []byte {
	h := sha256.New()
	h.Write(binary.AppendUvarint(nil, uint64(len(name))))
	h.Write([]byte(name))
	h.Write([]byte(value))
	return append([]byte{keyTag}, h.Sum(nil)[:postingHashBytes]...)
}

func rootPrefix(data dataitem.ID) []byte { return append([]byte{keyRoot}, data[:]...) }

func rootKey(data, id dataitem.ID) []byte { return append(rootPrefix(data), id[:]...) }

func chunkPrefix(data dataitem.ID) []byte { return append([]byte{keyChunk}, data[:]...) }

func chunkKey(data dataitem.ID, start uint64) []byte { return numberKey(chunkPrefix(data), start) }

func numberKey(prefix []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(prefix, n) }

// lastNumber reads the number at the end of a key.
func lastNumber(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(key)-8:]) }

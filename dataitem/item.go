package dataitem

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf8"
)

// Item is one signed data item. It is made by Parse or Create only; its byte
// fields point into the raw bytes and must not be changed.
type Item struct {
	SignatureType SignatureType
	Signature     []byte
	Owner         []byte // public key
	Target        []byte // nil or 32 bytes
	Anchor        []byte // nil or 32 bytes
	Tags          Tags
	TagBytes      []byte // the Avro block as signed
	Data          []byte

	raw []byte
	id  ID
}

var (
	// ErrTruncated is returned when an item or bundle ends too early.
	ErrTruncated = errors.New("item is truncated")
	// ErrSignatureType is returned for a signature type nobody has defined.
	ErrSignatureType = errors.New("unknown signature type")
	// ErrFormat is returned when bytes do not follow ANS-104.
	ErrFormat = errors.New("item is malformed")
	// ErrTags is returned when the tag block is malformed or over a limit.
	ErrTags = errors.New("tags are malformed")
	// ErrSignature is returned when a signature does not match the item.
	ErrSignature = errors.New("signature does not match")
	// ErrUnsupported is returned for a signature type that is known but refused.
	ErrUnsupported = errors.New("signature type is not supported")
	// ErrBundle is returned when a bundle's header contradicts its items.
	ErrBundle = errors.New("bundle is malformed")
)

// Parse reads one item that fills b exactly. It keeps b, copies only the tags,
// and does not check the signature.
//
// Layout: ANS-104 §2, all integers little-endian: signature type (2),
// signature, owner, target (1 or 33), anchor (1 or 33), tag count (8), tag
// bytes (8), tags, data.
func Parse(b []byte) (*Item, error) {
	r := reader{rest: b}
	kind := SignatureType(r.uint16())
	if r.failed {
		return nil, fmt.Errorf("%w: no signature type", ErrTruncated)
	}
	if kind.SignatureBytes() == 0 {
		return nil, fmt.Errorf("%w: %d", ErrSignatureType, uint16(kind))
	}
	it := &Item{SignatureType: kind, raw: b}
	it.Signature = r.take(uint64(kind.SignatureBytes()))
	it.Owner = r.take(uint64(kind.OwnerBytes()))
	var err error
	if it.Target, err = r.optional("target"); err != nil {
		return nil, err
	}
	if it.Anchor, err = r.optional("anchor"); err != nil {
		return nil, err
	}
	count, size := r.uint64(), r.uint64()
	if r.failed {
		return nil, fmt.Errorf("%w: no tag counters", ErrTruncated)
	}
	if count > TagsMax {
		return nil, fmt.Errorf("%w: %d tags, at most %d are allowed", ErrTags, count, TagsMax)
	}
	if size > TagBlockBytesMax {
		return nil, fmt.Errorf("%w: %d bytes of tags, at most %d are allowed", ErrTags, size, TagBlockBytesMax)
	}
	if it.TagBytes = r.take(size); r.failed {
		return nil, fmt.Errorf("%w: inside the tags", ErrTruncated)
	}
	if it.Tags, err = decodeTags(it.TagBytes); err != nil {
		return nil, err
	}
	// The counter is not signed: an item whose counter disagrees with its tags
	// would show different tags to different readers under one id.
	if uint64(len(it.Tags)) != count {
		return nil, fmt.Errorf("%w: %d tags declared, %d found", ErrTags, count, len(it.Tags))
	}
	it.Data = r.rest
	it.id = sha256.Sum256(it.Signature)
	return it, nil
}

// Bytes gives the item as it was parsed or created.
func (it *Item) Bytes() []byte { return it.raw }

// ID is the SHA-256 of the signature.
func (it *Item) ID() ID { return it.id }

// TargetID gives the target, or the zero id when there is none.
func (it *Item) TargetID() ID {
	var id ID
	copy(id[:], it.Target)
	return id
}

// AnchorText gives the anchor as text when it is there and valid UTF-8, which
// is the only form in which JSON can carry it.
func (it *Item) AnchorText() (string, bool) {
	if it.Anchor == nil || !utf8.Valid(it.Anchor) {
		return "", false
	}
	return string(it.Anchor), true
}

// OwnerAddress is the SHA-256 of the owner's key, the form in which gateways
// index every owner.
func (it *Item) OwnerAddress() ID { return AddressOf(it.Owner) }

// Address is the owner in the form that contracts see: a checksummed Ethereum
// address for 65-byte keys, otherwise OwnerAddress as text.
func (it *Item) Address() string { return NativeAddress(it.Owner) }

// reader takes fields off the front of untrusted bytes. After the first failure
// everything it gives is empty, so that a caller may check once.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) take(n uint64) []byte {
	if r.failed || n > uint64(len(r.rest)) {
		r.failed = true
		return nil
	}
	taken := r.rest[:n:n]
	r.rest = r.rest[n:]
	return taken
}

func (r *reader) uint16() uint16 {
	b := r.take(2)
	if r.failed {
		return 0
	}
	return binary.LittleEndian.Uint16(b)
}

func (r *reader) uint64() uint64 {
	b := r.take(8)
	if r.failed {
		return 0
	}
	return binary.LittleEndian.Uint64(b)
}

// optional reads a presence byte and, when it is 1, 32 bytes.
func (r *reader) optional(what string) ([]byte, error) {
	presence := r.take(1)
	if r.failed {
		return nil, fmt.Errorf("%w: before the %s", ErrTruncated, what)
	}
	switch presence[0] {
	case 0:
		return nil, nil
	case 1:
		value := r.take(32)
		if r.failed {
			return nil, fmt.Errorf("%w: inside the %s", ErrTruncated, what)
		}
		return value, nil
	}
	return nil, fmt.Errorf("%w: the %s's presence byte is %d, not 0 or 1", ErrFormat, what, presence[0])
}

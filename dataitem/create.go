package dataitem

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Draft is an item before it is signed.
type Draft struct {
	Target []byte // nil or 32 bytes
	Anchor []byte // nil or 32 bytes
	Tags   Tags
	Data   []byte
}

// Create signs a draft. The same draft and signer give the same bytes.
func Create(d Draft, s Signer) (*Item, error) {
	for what, value := range map[string][]byte{"target": d.Target, "anchor": d.Anchor} {
		if len(value) != 0 && len(value) != 32 {
			return nil, fmt.Errorf("%w: the %s has %d bytes, not 32", ErrFormat, what, len(value))
		}
	}
	tagBytes, err := encodeTags(d.Tags)
	if err != nil {
		return nil, err
	}
	message := signingMessageAfter(signersHash(s.SignatureType(), s.Owner()), d.Target, d.Anchor, tagBytes, d.Data)
	signature, err := s.Sign(message[:])
	if err != nil {
		return nil, fmt.Errorf("sign item: %w", err)
	}
	return assemble(d, s.SignatureType(), s.Owner(), tagBytes, signature), nil
}

// assemble writes the bytes once and points the item's fields into them.
func assemble(d Draft, kind SignatureType, owner, tagBytes, signature []byte) *Item {
	raw := make([]byte, 0, 2+len(signature)+len(owner)+2+len(d.Target)+len(d.Anchor)+16+len(tagBytes)+len(d.Data))
	it := &Item{SignatureType: kind, Tags: append(Tags(nil), d.Tags...), id: sha256.Sum256(signature)}
	add := func(b []byte) []byte {
		start := len(raw)
		raw = append(raw, b...)
		return raw[start:len(raw):len(raw)]
	}
	addOptional := func(b []byte) []byte {
		if len(b) == 0 {
			raw = append(raw, 0)
			return nil
		}
		raw = append(raw, 1)
		return add(b)
	}
	raw = binary.LittleEndian.AppendUint16(raw, uint16(kind))
	it.Signature = add(signature)
	it.Owner = add(owner)
	it.Target = addOptional(d.Target)
	it.Anchor = addOptional(d.Anchor)
	raw = binary.LittleEndian.AppendUint64(raw, uint64(len(d.Tags)))
	raw = binary.LittleEndian.AppendUint64(raw, uint64(len(tagBytes)))
	it.TagBytes = add(tagBytes)
	it.Data = add(d.Data)
	it.raw = raw
	return it
}

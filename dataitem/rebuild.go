package dataitem

import "fmt"

// Rebuild puts an item together again out of fields that were told one by one,
// as the JSON of a scheduler tells them. Types with signatures and keys of these
// lengths are tried, since JSON does not name the type.
//
// An item whose signature fails as any of them comes with ErrSignature: some
// field is not what was signed.
func Rebuild(d Draft, owner, signature []byte) (*Item, error) {
	for what, value := range map[string][]byte{"target": d.Target, "anchor": d.Anchor} {
		if len(value) != 0 && len(value) != 32 {
			return nil, fmt.Errorf("%w: the %s has %d bytes, not 32", ErrFormat, what, len(value))
		}
	}
	tagBytes, err := encodeTags(d.Tags)
	if err != nil {
		return nil, err
	}
	var first *Item
	for kind := Arweave; kind <= TypedEthereum; kind++ {
		if len(signature) != kind.SignatureBytes() || len(owner) != kind.OwnerBytes() {
			continue
		}
		item := assemble(d, kind, owner, tagBytes, signature)
		if item.Verify() == nil {
			return item, nil
		}
		if first == nil {
			first = item
		}
	}
	if first == nil {
		return nil, fmt.Errorf("%w: none has signatures of %d bytes and keys of %d", ErrSignatureType, len(signature), len(owner))
	}
	return first, fmt.Errorf("%w: rebuilt item %s is not what was signed", ErrSignature, first.id)
}

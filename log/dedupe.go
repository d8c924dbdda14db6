package log

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// DedupeKeys are the names under which a process knows a message again: its
// id, and for a pushed message also what it says.
//
// A push is signed by a messenger, and a messenger with a random signature
// makes a new id every time it sends the same thing. The second key is a deep
// hash over everything but the signature and the tag Pushed-For, with sorted
// tags. Unlike the reference's it covers the owner, because otherwise a
// stranger could sign the next push of a process first and have the real one
// dropped.
func (p Proposal) DedupeKeys() []ao.ID {
	keys := []ao.ID{p.Message}
	if p.Message.IsZero() {
		keys[0] = p.Process
	}
	if p.Item != nil && !p.Message.IsZero() && p.Item.Tags.Has(ao.TagFromProcess) {
		content := PushContent{Target: p.Item.Target, Anchor: p.Item.Anchor, Tags: p.Item.Tags, Data: p.Item.Data}
		keys = append(keys, content.KeyOf(p.Item.Owner))
	}
	return keys
}

// PushContent is what a pushed message says.
type PushContent struct {
	Target, Anchor, Data []byte
	Tags                 dataitem.Tags
}

// KeyOf names what an owner's push says; the owner nil: whoever signs it. The tag
// Pushed-For does not count.
func (c PushContent) KeyOf(owner []byte) ao.ID {
	tags := c.Tags.Without(ao.TagPushedFor)
	slices.SortFunc(tags, func(a, b dataitem.Tag) int {
		if a.Name != b.Name {
			return compare(a.Name, b.Name)
		}
		return compare(a.Value, b.Value)
	})
	parts := make([][48]byte, 0, 4+2*len(tags))
	for _, field := range [][]byte{owner, c.Target, c.Anchor, c.Data} {
		parts = append(parts, dataitem.DeepHashBlob(field))
	}
	for _, tag := range tags {
		parts = append(parts, dataitem.DeepHashBlob([]byte(tag.Name)), dataitem.DeepHashBlob([]byte(tag.Value)))
	}
	hash := dataitem.DeepHashList(parts...)
	return sha256.Sum256(hash[:])
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// KeysOf gives the dedupe keys of a stored entry. It parses the item only if
// that can be a push.
func KeysOf(entry Entry) ([]ao.ID, error) {
	if !bytes.Contains(entry.ItemBytes, []byte(ao.TagFromProcess)) {
		return Proposal{Process: entry.Process, Message: entry.Message}.DedupeKeys(), nil
	}
	proposal, err := proposalOf(entry)
	return proposal.DedupeKeys(), err
}

// proposalOf gives back the proposal behind a stored entry, for its keys.
func proposalOf(entry Entry) (Proposal, error) {
	p := Proposal{Process: entry.Process, Message: entry.Message}
	if entry.IsBare() {
		return p, nil
	}
	item, err := entry.Item()
	if err != nil {
		return p, err
	}
	p.Item = item
	return p, nil
}

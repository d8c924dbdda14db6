package dataitem

import (
	"encoding/binary"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Limits on the tags of one item: ANS-104 §2.1, and the cap on the whole block
// that the bundlers in use enforce.
const (
	TagsMax          = 128
	TagNameBytesMax  = 1024
	TagValueBytesMax = 3072
	TagBlockBytesMax = 4096
)

// encodeTags writes the canonical Avro block; no tags are no bytes.
func encodeTags(tags Tags) ([]byte, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	if len(tags) > TagsMax {
		return nil, fmt.Errorf("%w: %d tags, at most %d are allowed", ErrTags, len(tags), TagsMax)
	}
	size := 2 * binary.MaxVarintLen16
	for _, tag := range tags {
		size += 2*binary.MaxVarintLen16 + len(tag.Name) + len(tag.Value)
	}
	// Go's varint is the zig-zag varint of Avro.
	b := binary.AppendVarint(make([]byte, 0, size), int64(len(tags)))
	for _, tag := range tags {
		if err := checkTag(tag); err != nil {
			return nil, err
		}
		b = binary.AppendVarint(b, int64(len(tag.Name)))
		b = append(b, tag.Name...)
		b = binary.AppendVarint(b, int64(len(tag.Value)))
		b = append(b, tag.Value...)
	}
	b = append(b, 0)
	if len(b) > TagBlockBytesMax {
		return nil, fmt.Errorf("%w: %d bytes of tags, at most %d are allowed", ErrTags, len(b), TagBlockBytesMax)
	}
	return b, nil
}

func checkTag(tag Tag) error {
	switch {
	case tag.Name == "":
		return fmt.Errorf("%w: a tag has no name", ErrTags)
	case len(tag.Name) > TagNameBytesMax:
		return fmt.Errorf("%w: a name of %d bytes, at most %d are allowed", ErrTags, len(tag.Name), TagNameBytesMax)
	case len(tag.Value) > TagValueBytesMax:
		return fmt.Errorf("%w: the value of %q has %d bytes, at most %d are allowed", ErrTags, clip(tag.Name), len(tag.Value), TagValueBytesMax)
	case !utf8.ValidString(tag.Name) || !utf8.ValidString(tag.Value):
		return fmt.Errorf("%w: tag %q is not valid UTF-8", ErrTags, clip(tag.Name))
	}
	return nil
}

// decodeTags reads an Avro array of {name, value} records: blocks of a count
// and that many records, where a negative count is followed by the block's
// size, ended by a block of none. Only minimal varints are read and nothing may
// follow the end, so that one list of tags has few encodings.
func decodeTags(b []byte) (Tags, error) {
	if len(b) == 0 {
		return nil, nil
	}
	d := avroDecoder{rest: b, all: string(b)}
	var tags Tags
	for {
		count, end, err := d.block()
		if err != nil {
			return nil, err
		}
		if count == 0 {
			break
		}
		if count > int64(TagsMax-len(tags)) {
			return nil, fmt.Errorf("%w: more than %d tags", ErrTags, TagsMax)
		}
		tags = slices.Grow(tags, int(min(count, int64(len(d.rest)))))
		for range count {
			tag, err := d.tag()
			if err != nil {
				return nil, err
			}
			tags = append(tags, tag)
		}
		if end >= 0 && len(d.rest) != end {
			return nil, fmt.Errorf("%w: a block's size is wrong", ErrTags)
		}
	}
	if len(d.rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last tag", ErrTags, len(d.rest))
	}
	return tags, nil
}

// avroDecoder takes values off the front of rest. Names and values are parts of
// all, which is one string, so that a list of tags is one allocation.
type avroDecoder struct {
	rest []byte
	all  string
}

// block reads a block's count, and how many bytes must be left after it, or -1
// when the block does not say.
func (d *avroDecoder) block() (count int64, end int, err error) {
	if count, err = d.varint(); err != nil {
		return 0, 0, err
	}
	if count >= 0 {
		return count, -1, nil
	}
	if count < -TagsMax {
		return 0, 0, fmt.Errorf("%w: more than %d tags", ErrTags, TagsMax)
	}
	size, err := d.varint()
	if err != nil {
		return 0, 0, err
	}
	if size < 0 || size > int64(len(d.rest)) {
		return 0, 0, fmt.Errorf("%w: a block of %d bytes where %d are left", ErrTags, size, len(d.rest))
	}
	return -count, len(d.rest) - int(size), nil
}

func (d *avroDecoder) tag() (Tag, error) {
	name, err := d.text()
	if err != nil {
		return Tag{}, err
	}
	value, err := d.text()
	if err != nil {
		return Tag{}, err
	}
	tag := Tag{Name: name, Value: value}
	return tag, checkTag(tag)
}

func (d *avroDecoder) text() (string, error) {
	size, err := d.varint()
	if err != nil {
		return "", err
	}
	if size < 0 || size > int64(len(d.rest)) {
		return "", fmt.Errorf("%w: text of %d bytes where %d are left", ErrTags, size, len(d.rest))
	}
	at := len(d.all) - len(d.rest)
	d.rest = d.rest[size:]
	return d.all[at : at+int(size)], nil
}

func (d *avroDecoder) varint() (int64, error) {
	v, n := binary.Varint(d.rest)
	if n <= 0 {
		return 0, fmt.Errorf("%w: a number is cut off or too large", ErrTags)
	}
	if n > 1 && d.rest[n-1] == 0 {
		return 0, fmt.Errorf("%w: a number is written longer than needed", ErrTags)
	}
	d.rest = d.rest[n:]
	return v, nil
}

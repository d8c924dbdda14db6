package dataitem

import (
	"encoding/binary"
	"fmt"
)

// bundleHeaderBytes is the length of one item's entry in a bundle's header.
const bundleHeaderBytes = 64

// IsBundle reports whether an item's tags say that its data is a bundle.
func IsBundle(it *Item) bool {
	return it.Tags.Contains("Bundle-Format", "binary") && it.Tags.Contains("Bundle-Version", "2.0.0")
}

// ParseBundle reads a bundle: a count, a size and id for each item, and the
// items. Sizes and ids must agree with the items and nothing may be left over.
// It does not check signatures.
func ParseBundle(b []byte) ([]*Item, error) {
	r := reader{rest: b}
	count, err := r.uint256("item count")
	if err != nil {
		return nil, err
	}
	// Bounding by what is there keeps the list no longer than the input.
	if count > uint64(len(r.rest))/bundleHeaderBytes {
		return nil, fmt.Errorf("%w: a bundle of %d items in %d bytes", ErrTruncated, count, len(b))
	}
	header := reader{rest: r.take(count * bundleHeaderBytes)}
	items := make([]*Item, 0, count)
	for i := range count {
		size, err := header.uint256("item size")
		if err != nil {
			return nil, err
		}
		id := header.take(32)
		body := r.take(size)
		if r.failed {
			return nil, fmt.Errorf("%w: item %d of the bundle needs %d bytes", ErrTruncated, i, size)
		}
		item, err := Parse(body)
		if err != nil {
			return nil, fmt.Errorf("item %d of the bundle: %w", i, err)
		}
		if item.id != ID(id) {
			return nil, fmt.Errorf("%w: the header calls item %d by another id", ErrBundle, i)
		}
		items = append(items, item)
	}
	if len(r.rest) != 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last item", ErrBundle, len(r.rest))
	}
	return items, nil
}

// uint256 reads a 32-byte little-endian integer that must fit in 64 bits.
func (r *reader) uint256(what string) (uint64, error) {
	b := r.take(32)
	if r.failed {
		return 0, fmt.Errorf("%w: before an %s", ErrTruncated, what)
	}
	for _, high := range b[8:] {
		if high != 0 {
			return 0, fmt.Errorf("%w: an %s of more than 64 bits", ErrBundle, what)
		}
	}
	return binary.LittleEndian.Uint64(b), nil
}

// EncodeBundle writes items as a bundle.
func EncodeBundle(items ...*Item) ([]byte, error) {
	size := 32 + bundleHeaderBytes*len(items)
	for _, item := range items {
		size += len(item.raw)
	}
	b := appendUint256(make([]byte, 0, size), uint64(len(items)))
	for _, item := range items {
		if len(item.raw) == 0 {
			return nil, fmt.Errorf("%w: an item without bytes", ErrBundle)
		}
		b = appendUint256(b, uint64(len(item.raw)))
		b = append(b, item.id[:]...)
	}
	for _, item := range items {
		b = append(b, item.raw...)
	}
	return b, nil
}

func appendUint256(b []byte, v uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, v)
	return append(b, make([]byte, 24)...)
}

// Walk calls fn for every item and for the items nested in it, parents first,
// down to depthMax levels of bundles; parent is nil for the given items. A
// bundle below that depth is visited but not opened.
func Walk(items []*Item, depthMax int, fn func(depth int, parent, it *Item) error) error {
	return walk(items, nil, 0, depthMax, fn)
}

func walk(items []*Item, parent *Item, depth, depthMax int, fn func(int, *Item, *Item) error) error {
	for _, item := range items {
		if err := fn(depth, parent, item); err != nil {
			return err
		}
		if depth >= depthMax || !IsBundle(item) {
			continue
		}
		nested, err := ParseBundle(item.Data)
		if err != nil {
			return fmt.Errorf("bundle %s: %w", item.id, err)
		}
		if err := walk(nested, item, depth+1, depthMax, fn); err != nil {
			return err
		}
	}
	return nil
}

package history

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
)

// File gives records of a whole history file by their nonces. It is safe for
// concurrent use as far as what it reads from is.
type File struct {
	in     io.ReaderAt
	size   int64
	header Header
	end    Ended
	places []place // of every indexEvery-th entry, by nonce
	others []place // of all records that are no entries
}

// Open opens a history file of so many bytes. A file without its end, or with
// damage to it or to the index, is refused: the command verify says more.
func Open(in io.ReaderAt, size int64) (*File, error) {
	reader, err := NewReader(io.NewSectionReader(in, 0, size))
	if err != nil {
		return nil, err
	}
	f := &File{in: in, size: size, header: reader.Header()}
	last, err := f.at(size - headerBytes - endBytes)
	if err != nil || last.Kind != KindEnd {
		return nil, &Damage{Offset: size, Cut: true, Reason: "the file ends before the history does: it was cut off, or is still being written"}
	}
	if f.end, err = last.ended(); err != nil {
		return nil, &Damage{Offset: last.Offset, Kind: KindEnd, Reason: err.Error()}
	}
	index, err := f.at(f.end.Index)
	if err == nil && index.Kind != KindIndex {
		err = &Damage{Offset: f.end.Index, Kind: index.Kind, Reason: "the index should be here"}
	}
	if err != nil {
		return nil, err
	}
	places, err := decodeIndex(index.Payload)
	if err != nil {
		return nil, &Damage{Offset: f.end.Index, Kind: KindIndex, Reason: err.Error()}
	}
	for _, p := range places {
		if p.kind == KindEntry || p.kind == KindClaim {
			f.places = append(f.places, p)
		} else {
			f.others = append(f.others, p)
		}
	}
	ascending := func(a, b place) int { return cmp.Compare(a.nonce, b.nonce) }
	if !slices.IsSortedFunc(f.places, ascending) || len(f.places) == 0 && f.end.Entries > 0 {
		return nil, &Damage{Offset: f.end.Index, Kind: KindIndex, Reason: "nonces do not rise"}
	}
	return f, nil
}

// Header gives what the file begins with.
func (f *File) Header() Header { return f.header }

// End gives what the file says of itself.
func (f *File) End() Ended { return f.end }

// at reads the record that begins at an offset.
func (f *File) at(offset int64) (Record, error) {
	var b [headerBytes]byte
	if offset < 0 || offset > f.size-headerBytes {
		return Record{}, &Damage{Offset: offset, Reason: "a record should be here, outside of the file"}
	}
	if _, err := f.in.ReadAt(b[:], offset); err != nil {
		return Record{}, fmt.Errorf("read history: %w", err)
	}
	r, length, sum, ok := parseHeader(b[:])
	if !ok || int64(length) > f.size-offset-headerBytes {
		return Record{}, &Damage{Offset: offset, Reason: "no whole record begins here"}
	}
	r.Offset, r.Payload = offset, make([]byte, length)
	if _, err := f.in.ReadAt(r.Payload, offset+headerBytes); err != nil && !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("read history: %w", err)
	}
	if crcOf(r.Payload) != sum {
		return Record{}, &Damage{Offset: offset, Kind: r.Kind, Nonce: r.Nonce, Reason: "its checksum does not match"}
	}
	return r, nil
}

// errEnough ends a walk.
var errEnough = errors.New("enough")

// Entries calls fn for the entries and claims with from <= nonce <= to, in order.
func (f *File) Entries(from, to uint64, fn func(Record) error) error {
	if len(f.places) == 0 {
		return nil
	}
	i := max(0, sort.Search(len(f.places), func(i int) bool { return f.places[i].nonce > from })-1)
	for offset := f.places[i].offset; offset < f.end.Index; {
		r, err := f.at(offset)
		if err != nil {
			return err
		}
		offset += headerBytes + int64(len(r.Payload))
		if r.Kind != KindEntry && r.Kind != KindClaim || r.Nonce < from {
			continue
		}
		if r.Nonce > to {
			return nil
		}
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// Entry gives the entry or claim at a nonce; ok is false if there is none.
func (f *File) Entry(nonce uint64) (r Record, ok bool, err error) {
	err = f.Entries(nonce, nonce, func(found Record) error {
		r, ok = found, true
		return errEnough
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return r, ok, err
}

// Others gives records of one kind that are no entries, in the order of the file.
func (f *File) Others(kind Kind, fn func(Record) error) error {
	for _, p := range f.others {
		if p.kind != kind {
			continue
		}
		r, err := f.at(p.offset)
		if err == nil {
			err = fn(r)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

package history

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// indexEvery is how many entries share one line of the index.
const indexEvery = 64

// placeBytes is the length of one line of the index: nonce u64, offset u64,
// kind u8.
const placeBytes = 17

// place is where a record begins.
type place struct {
	nonce  uint64
	offset int64
	kind   Kind
}

// Writer appends records to a history file. It is not safe for concurrent use.
type Writer struct {
	w      io.Writer
	header Header
	offset int64
	places []place
	// entries counts those so far; head is the nonce of the newest.
	entries uint64
	head    uint64
	closed  bool
}

// NewWriter begins a file. It only ever appends, so w may be a pipe.
func NewWriter(w io.Writer, header Header) (*Writer, error) {
	header.Version = Version
	h := &Writer{w: w, header: header}
	if err := h.write([]byte(preamble)); err != nil {
		return nil, err
	}
	return h, h.append(Record{Kind: KindHeader, Payload: encodeJSON(header)})
}

// Header gives what the file begins with.
func (w *Writer) Header() Header { return w.header }

// Next gives the nonce that follows the newest entry; 0 if there is none.
func (w *Writer) Next() uint64 {
	if w.entries == 0 {
		return 0
	}
	return w.head + 1
}

// Entries is how many entries the file has.
func (w *Writer) Entries() uint64 { return w.entries }

// HasModule reports whether the file has a module.
func (w *Writer) HasModule() bool {
	return slices.ContainsFunc(w.places, func(p place) bool { return p.kind == KindModule })
}

// Write appends a record that is no header, index or end.
func (w *Writer) Write(r Record) error {
	switch r.Kind {
	case KindHeader, KindIndex, KindEnd:
		return fmt.Errorf("a record of kind %s is written by the writer itself", r.Kind)
	}
	if w.closed {
		return errors.New("the history file is ended")
	}
	return w.append(r)
}

func (w *Writer) append(r Record) error {
	if len(r.Payload) > PayloadBytesMax {
		return fmt.Errorf("%s at nonce %d has %d bytes, at most %d are allowed", r.Kind, r.Nonce, len(r.Payload), PayloadBytesMax)
	}
	r.Offset = w.offset
	header := r.header()
	if err := w.write(header[:]); err != nil {
		return err
	}
	if err := w.write(r.Payload); err != nil {
		return err
	}
	w.note(r)
	return nil
}

func (w *Writer) write(b []byte) error {
	n, err := w.w.Write(b)
	w.offset += int64(n)
	if err != nil {
		return fmt.Errorf("write history: %w", err)
	}
	return nil
}

// note keeps what the index needs to know of a record that is in the file.
func (w *Writer) note(r Record) {
	switch r.Kind {
	case KindHeader, KindIndex, KindEnd:
		return
	case KindEntry, KindClaim:
		if w.entries%indexEvery == 0 {
			w.places = append(w.places, place{r.Nonce, r.Offset, r.Kind})
		}
		w.entries++
		w.head = r.Nonce
		return
	}
	w.places = append(w.places, place{r.Nonce, r.Offset, r.Kind})
}

// Close ends the file with its index. It does not close what it writes to.
func (w *Writer) Close() error {
	if w.closed {
		return nil
	}
	index := w.offset
	payload := make([]byte, 0, len(w.places)*placeBytes)
	for _, p := range w.places {
		payload = binary.LittleEndian.AppendUint64(payload, p.nonce)
		payload = binary.LittleEndian.AppendUint64(payload, uint64(p.offset))
		payload = append(payload, byte(p.kind))
	}
	if err := w.append(Record{Kind: KindIndex, Payload: payload}); err != nil {
		return err
	}
	end := make([]byte, 0, endBytes)
	end = binary.LittleEndian.AppendUint64(end, uint64(index))
	end = binary.LittleEndian.AppendUint64(end, w.entries)
	end = binary.LittleEndian.AppendUint64(end, w.head)
	w.closed = true
	return w.append(Record{Kind: KindEnd, Nonce: w.head, Payload: end})
}

// Ended is what the last record of a file says.
type Ended struct {
	Index   int64  // where the index begins
	Entries uint64 // how many there are
	Head    uint64 // nonce of the newest
}

func (r Record) ended() (e Ended, err error) {
	if len(r.Payload) != endBytes {
		return e, fmt.Errorf("its end has %d bytes", len(r.Payload))
	}
	return Ended{
		int64(binary.LittleEndian.Uint64(r.Payload)), binary.LittleEndian.Uint64(r.Payload[8:]),
		binary.LittleEndian.Uint64(r.Payload[16:]),
	}, nil
}

// decodeIndex reads the index.
func decodeIndex(payload []byte) ([]place, error) {
	if len(payload)%placeBytes != 0 {
		return nil, fmt.Errorf("its index has %d bytes", len(payload))
	}
	places := make([]place, 0, len(payload)/placeBytes)
	for b := payload; len(b) > 0; b = b[placeBytes:] {
		places = append(places, place{binary.LittleEndian.Uint64(b), int64(binary.LittleEndian.Uint64(b[8:])), Kind(b[16])})
	}
	return places, nil
}

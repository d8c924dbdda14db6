package history

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// payloadStep is what is allocated for a payload before any of it was read.
const payloadStep = 1 << 20

// Reader reads a history file from its beginning to its end. What is damaged is
// told and passed over.
type Reader struct {
	in     *bufio.Reader
	header Header
	offset int64
	ended  bool // the end record was read
	done   bool
}

// NewReader reads a file's preamble and header.
func NewReader(r io.Reader) (*Reader, error) {
	h := &Reader{in: bufio.NewReaderSize(r, 64<<10)}
	begin, err := h.in.Peek(len(preamble))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read history: %w", err)
	}
	if string(begin) != preamble {
		return nil, fmt.Errorf("%w: it does not begin as one does", ErrNotHistory)
	}
	if err := h.skip(len(preamble)); err != nil {
		return nil, err
	}
	first, err := h.Next()
	if err == nil && first.Kind == KindHeader {
		h.header, err = first.Header()
	} else if err == nil {
		err = fmt.Errorf("its first record is of kind %s", first.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its header cannot be read: %w", ErrNotHistory, err)
	}
	if h.header.Version != Version {
		return nil, fmt.Errorf("%w: it is of version %d, this program reads version %d", ErrNotHistory, h.header.Version, Version)
	}
	return h, nil
}

// Header gives what the file begins with.
func (h *Reader) Header() Header { return h.header }

// Next gives the next record. A *Damage tells of a part that is not what was
// written: the record after it is the next. io.EOF ends the file. Any other error
// is one of reading.
func (h *Reader) Next() (Record, error) {
	if h.done {
		return Record{}, io.EOF
	}
	start := h.offset
	b, err := h.in.Peek(headerBytes)
	if err != nil && !errors.Is(err, io.EOF) {
		return Record{}, fmt.Errorf("read history: %w", err)
	}
	if h.ended {
		h.done = true
		if len(b) > 0 {
			return Record{}, &Damage{Offset: start, Reason: "there is something behind the end of the history"}
		}
		return Record{}, io.EOF
	}
	if len(b) < headerBytes {
		h.done = true
		return Record{}, &Damage{Offset: start, Cut: true, Reason: "the file ends before the history does: it was cut off, or is still being written"}
	}
	r, length, sum, ok := parseHeader(b)
	if !ok {
		return Record{}, h.resync(start)
	}
	r.Offset = start
	if err := h.skip(headerBytes); err != nil {
		return Record{}, err
	}
	if r.Payload, err = h.payload(length); err != nil {
		return Record{}, err
	}
	if len(r.Payload) < length {
		h.done = true
		return Record{}, &Damage{Offset: start, Kind: r.Kind, Nonce: r.Nonce, Cut: true, Reason: "the file ends in the middle of it"}
	}
	if crcOf(r.Payload) != sum {
		return Record{}, &Damage{Offset: start, Kind: r.Kind, Nonce: r.Nonce, Reason: "its checksum does not match"}
	}
	h.ended = r.Kind == KindEnd
	return r, nil
}

// payload reads so many bytes, or all there are. It allocates as they come, since
// the length may be a lie.
func (h *Reader) payload(length int) ([]byte, error) {
	if length <= payloadStep {
		b := make([]byte, length)
		n, err := io.ReadFull(h.in, b)
		h.offset += int64(n)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("read history: %w", err)
		}
		return b[:n], nil
	}
	var buffer bytes.Buffer
	n, err := io.CopyN(&buffer, h.in, int64(length))
	h.offset += n
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read history: %w", err)
	}
	return buffer.Bytes(), nil
}

func (h *Reader) skip(n int) error {
	skipped, err := h.in.Discard(n)
	h.offset += int64(skipped)
	if err != nil {
		return fmt.Errorf("read history: %w", err)
	}
	return nil
}

// resync goes on to where the next record begins.
func (h *Reader) resync(start int64) error {
	for {
		if err := h.skip(1); err != nil {
			return err
		}
		b, err := h.in.Peek(headerBytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read history: %w", err)
		}
		if len(b) < headerBytes {
			h.done = true
			return &Damage{Offset: start, Cut: true, Reason: "no record begins here or later"}
		}
		if _, _, _, ok := parseHeader(b); ok {
			return &Damage{Offset: start, Reason: fmt.Sprintf("no record begins here; the next does %d bytes on", h.offset-start)}
		}
	}
}

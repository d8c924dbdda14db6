package raft

import (
	"encoding/binary"
	"errors"

	hraft "github.com/hashicorp/raft"
)

var errShort = errors.New("a message between nodes ends too early")

// encoder writes numbers as varints and bytes with their length.
type encoder struct{ b []byte }

func (e *encoder) number(v uint64) { e.b = binary.AppendUvarint(e.b, v) }

func (e *encoder) bytes(v []byte) {
	e.number(uint64(len(v)))
	e.b = append(e.b, v...)
}

func (e *encoder) flag(v bool) {
	if v {
		e.b = append(e.b, 1)
	} else {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) header(h hraft.RPCHeader) {
	e.number(uint64(h.ProtocolVersion))
	e.bytes(h.ID)
	e.bytes(h.Addr)
}

// decoder reads what an encoder wrote. After the first failure everything it
// gives is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) number() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.err = nil, errShort
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes gives a part of what is read, which must not be written to.
func (d *decoder) bytes() []byte {
	n := d.number()
	if n > uint64(len(d.b)) {
		d.b, d.err = nil, errShort
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) flag() bool {
	if len(d.b) == 0 {
		d.err = errShort
		return false
	}
	v := d.b[0] == 1
	d.b = d.b[1:]
	return v
}

func (d *decoder) header() hraft.RPCHeader {
	return hraft.RPCHeader{ProtocolVersion: hraft.ProtocolVersion(d.number()), ID: d.bytes(), Addr: d.bytes()}
}

func encodeAppendEntries(r *hraft.AppendEntriesRequest) []byte {
	size := 128
	for _, entry := range r.Entries {
		size += len(entry.Data) + 48
	}
	e := &encoder{b: make([]byte, 0, size)}
	e.header(r.RPCHeader)
	e.number(r.Term)
	e.number(r.PrevLogEntry)
	e.number(r.PrevLogTerm)
	e.number(r.LeaderCommitIndex)
	e.number(uint64(len(r.Entries)))
	for _, entry := range r.Entries {
		e.number(entry.Index)
		e.number(entry.Term)
		e.number(uint64(entry.Type))
		e.bytes(entry.Extensions)
		e.bytes(entry.Data)
	}
	return e.b
}

func decodeAppendEntries(b []byte) (*hraft.AppendEntriesRequest, error) {
	d := &decoder{b: b}
	r := &hraft.AppendEntriesRequest{RPCHeader: d.header()}
	r.Term = d.number()
	r.PrevLogEntry = d.number()
	r.PrevLogTerm = d.number()
	r.LeaderCommitIndex = d.number()
	// Every entry takes five bytes at least, which bounds what is allocated.
	count := d.number()
	if count > uint64(len(d.b)/5) {
		return nil, errShort
	}
	r.Entries = make([]*hraft.Log, count)
	for i := range r.Entries {
		r.Entries[i] = &hraft.Log{
			Index: d.number(), Term: d.number(), Type: hraft.LogType(d.number()), Extensions: d.bytes(), Data: d.bytes(),
		}
	}
	return r, d.err
}

func encodeAppendAnswer(r *hraft.AppendEntriesResponse) []byte {
	e := &encoder{}
	e.header(r.RPCHeader)
	e.number(r.Term)
	e.number(r.LastLog)
	e.flag(r.Success)
	e.flag(r.NoRetryBackoff)
	return e.b
}

func decodeAppendAnswer(b []byte, r *hraft.AppendEntriesResponse) error {
	d := &decoder{b: b}
	r.RPCHeader = d.header()
	r.Term = d.number()
	r.LastLog = d.number()
	r.Success = d.flag()
	r.NoRetryBackoff = d.flag()
	return d.err
}

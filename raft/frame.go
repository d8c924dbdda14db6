package raft

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// Kind says what a frame between nodes asks for.
type Kind uint8

const (
	kindHello Kind = 1 + iota
	kindWelcome
	kindRefused
	kindPing
	kindAppendEntries
	kindHeartbeat
	kindRequestVote
	kindRequestPreVote
	kindTimeoutNow

	callAppend  Kind = 16
	callSync    Kind = 17
	callChange  Kind = 18
	callLast    Kind = 19
	callSeal    Kind = 20
	callAttest  Kind = 21
	callForget  Kind = 22
	callEntries Kind = 23
	callTerm    Kind = 24
	// CallFirst is the first kind that is free for those who use a Transport.
	CallFirst Kind = 32
)

// frame is the unit of a connection between two nodes, little-endian:
//
//	length of what follows u32 | kind u8 | flags u8 | group u32 | call u64 | body
//
// A call's answer carries its number and a flag.
type frame struct {
	kind  Kind
	flags uint8
	group uint32
	call  uint64
	body  []byte
}

const (
	flagAnswer = 1
	flagError  = 2

	frameHeaderBytes = 14
	// frameBytesMax bounds what a reader allocates for a peer.
	frameBytesMax = 80 << 20
)

func appendFrame(b []byte, f frame) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(frameHeaderBytes+len(f.body)))
	b = append(b, byte(f.kind), f.flags)
	b = binary.LittleEndian.AppendUint32(b, f.group)
	b = binary.LittleEndian.AppendUint64(b, f.call)
	return append(b, f.body...)
}

func readFrame(r *bufio.Reader) (f frame, err error) {
	var header [4 + frameHeaderBytes]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return f, err
	}
	size := binary.LittleEndian.Uint32(header[:])
	if size < frameHeaderBytes || size > frameBytesMax {
		return f, fmt.Errorf("a frame of %d bytes, at most %d are allowed", size, frameBytesMax)
	}
	f.kind, f.flags = Kind(header[4]), header[5]
	f.group = binary.LittleEndian.Uint32(header[6:])
	f.call = binary.LittleEndian.Uint64(header[10:])
	f.body = make([]byte, size-frameHeaderBytes)
	_, err = io.ReadFull(r, f.body)
	return f, err
}

package raft

import (
	"bufio"
	"bytes"
	"testing"

	hraft "github.com/hashicorp/raft"

	"github.com/google/go-cmp/cmp"
)

// FuzzReadFrame: what a peer sends is read as it was written, or refused.
func FuzzReadFrame(f *testing.F) {
	f.Add(appendFrame(nil, frame{kind: kindAppendEntries, flags: flagAnswer, group: 3, call: 9, body: []byte("x")}))
	f.Add([]byte{14, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := readFrame(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return
		}
		if again := appendFrame(nil, got); !bytes.HasPrefix(b, again) {
			t.Errorf("%x is read as %+v, which is written as %x", b, got, again)
		}
	})
}

// FuzzDecodeAppendEntries: a request is read without a panic and without more
// memory than it has bytes, and what was read is written the same again.
func FuzzDecodeAppendEntries(f *testing.F) {
	f.Add(encodeAppendEntries(&hraft.AppendEntriesRequest{
		RPCHeader: hraft.RPCHeader{ProtocolVersion: 3, ID: []byte("n1"), Addr: []byte("n1")}, Term: 2, PrevLogEntry: 7, PrevLogTerm: 1,
		Entries: []*hraft.Log{{Index: 8, Term: 2, Type: hraft.LogCommand, Data: []byte("data"), Extensions: []byte("e")}}, LeaderCommitIndex: 7,
	}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		request, err := decodeAppendEntries(b)
		if err != nil {
			return
		}
		again, err := decodeAppendEntries(encodeAppendEntries(request))
		if err != nil {
			t.Fatalf("what was read cannot be read again: %v", err)
		}
		if diff := cmp.Diff(request, again); diff != "" {
			t.Errorf("read again it differs:\n%s", diff)
		}
	})
}

// FuzzDecodeProposal: what another node passes on is read or refused.
func FuzzDecodeProposal(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, '{', '}'})
	f.Add([]byte{0xff, 0, 0, 0, '{'})
	f.Fuzz(func(t *testing.T, b []byte) {
		group, proposal, err := decodeProposal(b)
		if err != nil {
			return
		}
		again, second, err := decodeProposal(encodeProposal(group, proposal))
		if err != nil || again != group || second.Process != proposal.Process || second.Message != proposal.Message {
			t.Errorf("%d %+v is read again as %d %+v: %v", group, proposal, again, second, err)
		}
	})
}

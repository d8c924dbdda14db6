package raft

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"testing"

	hraft "github.com/hashicorp/raft"
)

// TestRefusedPipelineLetsItsSenderGo sends to a follower that refuses, as one does
// that has another leader: the library takes the first refusal and no answer after
// it, while it may be sending still.
func TestRefusedPipelineLetsItsSenderGo(t *testing.T) {
	here, there := net.Pipe()
	w := newWire(nil, here)
	var wait sync.WaitGroup
	t.Cleanup(func() { w.fail(net.ErrClosed); there.Close(); wait.Wait() })
	wait.Go(func() { _ = w.serve() })
	wait.Go(func() { refuseAppends(there) })
	p := startFollowerPipeline(&groupTransport{id: 1}, w)
	defer p.Close()

	request := &hraft.AppendEntriesRequest{Term: 3}
	if _, err := p.AppendEntries(request, new(hraft.AppendEntriesResponse)); err != nil {
		t.Fatal(err)
	}
	if answer := <-p.Consumer(); answer.Response().Success {
		t.Fatal("the follower did not refuse")
	}
	// Nobody takes answers from now on. More requests than there is room for must
	// not wait.
	for range 4 * flightsToFollowerMax {
		if _, err := p.AppendEntries(request, new(hraft.AppendEntriesResponse)); err != nil {
			if !errors.Is(err, hraft.ErrPipelineShutdown) {
				t.Fatal(err)
			}
			return
		}
	}
	t.Error("requests were taken without end after a refusal")
}

// refuseAppends answers every request with a newer term.
func refuseAppends(conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		f, err := readFrame(in)
		if err != nil {
			return
		}
		if f.kind != kindAppendEntries {
			continue
		}
		body := encodeAppendAnswer(&hraft.AppendEntriesResponse{Term: 4})
		if _, err := conn.Write(appendFrame(nil, frame{kind: f.kind, flags: flagAnswer, group: f.group, call: f.call, body: body})); err != nil {
			return
		}
	}
}

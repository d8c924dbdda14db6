package raft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
)

// groupTransport is hashicorp/raft's view of the Transport for one group.
// Servers' addresses are their ids.
type groupTransport struct {
	transport *Transport
	id        uint32
	consumer  chan hraft.RPC
	appends   chan received // entries, in the order in which they came
	// heartbeats has the newest that was answered here, for Raft to hear of.
	heartbeats chan hraft.RPC
	stop       chan struct{}
	once       sync.Once
	wait       sync.WaitGroup
	// raft says what this node is in the group, once it runs.
	raft atomic.Pointer[standing]
}

// standing is what a node is in a group. All of it may be asked at any time.
type standing struct {
	State     func() hraft.RaftState
	Term      func() uint64
	LastIndex func() uint64
}

func standingOf(r *hraft.Raft) *standing { return &standing{r.State, r.CurrentTerm, r.LastIndex} }

// follows reports whether this node follows in a term.
func (s *standing) follows(term uint64) bool {
	return s != nil && s.Term() == term && s.State() == hraft.Follower && s.Term() == term
}

var (
	_ hraft.Transport   = (*groupTransport)(nil)
	_ hraft.WithPreVote = (*groupTransport)(nil)
	_ hraft.WithClose   = (*groupTransport)(nil)
)

// received is a frame with the wire to answer on.
type received struct {
	wire  *wire
	frame frame
}

const (
	// appendsMax is how many requests with entries may wait for the disk; more
	// than a leader has on their way.
	appendsMax = 64
	// flightsToFollowerMax is how many requests with entries a leader has on
	// their way to one follower.
	flightsToFollowerMax = 4
	// appendBytesMax bounds the entries of one request, unless one entry alone
	// is larger.
	appendBytesMax = 8 << 20
	// answerTimeout is for how long a node waits for another's answer.
	answerTimeout = 5 * time.Second
)

// group makes the view of one group.
func (t *Transport) group(id uint32) *groupTransport {
	g := &groupTransport{
		transport: t, id: id, consumer: make(chan hraft.RPC), appends: make(chan received, appendsMax),
		heartbeats: make(chan hraft.RPC, 1), stop: make(chan struct{}),
	}
	t.mu.Lock()
	t.mu.groups[id] = g
	t.mu.Unlock()
	g.wait.Go(g.takeAppends)
	g.wait.Go(g.takeHeartbeats)
	return g
}

// receive hands a frame of Raft's to its group.
func (t *Transport) receive(w *wire, f frame) {
	t.mu.RLock()
	g := t.mu.groups[f.group]
	t.mu.RUnlock()
	if g == nil {
		w.respond(f, nil, moved("group %d is not open here", f.group))
		return
	}
	if f.kind == kindAppendEntries {
		select {
		case g.appends <- received{w, f}:
		default:
			w.respond(f, nil, errors.New("too many entries wait for the disk"))
		}
		return
	}
	w.wait.Go(func() {
		body, err := g.answer(f)
		w.respond(f, body, err)
	})
}

// takeAppends gives Raft one request with entries after the other: their order
// is that of the log.
func (g *groupTransport) takeAppends() {
	for {
		select {
		case r := <-g.appends:
			body, err := g.answer(r.frame)
			r.wire.respond(r.frame, body, err)
		case <-g.stop:
			return
		}
	}
}

// answer has Raft answer a frame.
func (g *groupTransport) answer(f frame) ([]byte, error) {
	var command any
	switch f.kind {
	case kindAppendEntries, kindHeartbeat:
		request, err := decodeAppendEntries(f.body)
		if err != nil {
			return nil, err
		}
		command = request
	case kindRequestVote:
		command = new(hraft.RequestVoteRequest)
	case kindRequestPreVote:
		command = new(hraft.RequestPreVoteRequest)
	case kindTimeoutNow:
		command = new(hraft.TimeoutNowRequest)
	default:
		return nil, fmt.Errorf("frames of kind %d are not known here", f.kind)
	}
	if f.kind != kindAppendEntries && f.kind != kindHeartbeat {
		if err := json.Unmarshal(f.body, command); err != nil {
			return nil, err
		}
	}
	if f.kind == kindHeartbeat {
		if answer := g.answerHeartbeat(command.(*hraft.AppendEntriesRequest)); answer != nil {
			return encodeAppendAnswer(answer), nil
		}
	}
	answer, err := g.ask(command)
	if err != nil {
		return nil, err
	}
	if r, ok := answer.(*hraft.AppendEntriesResponse); ok {
		return encodeAppendAnswer(r), nil
	}
	return json.Marshal(answer)
}

// answerHeartbeat answers a leader that this node follows already, so that it does
// not wait behind a slow disk, and has Raft hear of it as soon as that has time. Any
// other heartbeat is Raft's to answer, and nil is given.
//
// hashicorp/raft offers to handle heartbeats beside its main loop. But then one of a
// newer term changes the term of a leader while that gives new entries their term:
// they get that of the next leader, who has others in their place, and nobody
// notices. It was seen when a leader was frozen under load and went on.
func (g *groupTransport) answerHeartbeat(request *hraft.AppendEntriesRequest) *hraft.AppendEntriesResponse {
	raft := g.raft.Load()
	if !raft.follows(request.Term) {
		return nil
	}
	heard := hraft.RPC{Command: request, RespChan: make(chan hraft.RPCResponse, 1)}
	select {
	case g.heartbeats <- heard:
	default: // the one before says as much
	}
	self := []byte(g.transport.options.Self)
	return &hraft.AppendEntriesResponse{
		RPCHeader: hraft.RPCHeader{ProtocolVersion: request.ProtocolVersion, ID: self, Addr: self},
		Term:      request.Term, LastLog: raft.LastIndex(), Success: true,
	}
}

// takeHeartbeats lets Raft know that its leader lives.
func (g *groupTransport) takeHeartbeats() {
	for {
		select {
		case heard := <-g.heartbeats:
			select {
			case g.consumer <- heard:
			case <-g.stop:
				return
			}
		case <-g.stop:
			return
		}
	}
}

// ask gives Raft a command.
func (g *groupTransport) ask(command any) (any, error) {
	answer := make(chan hraft.RPCResponse, 1)
	select {
	case g.consumer <- hraft.RPC{Command: command, RespChan: answer}:
	case <-g.stop:
		return nil, hraft.ErrTransportShutdown
	}
	select {
	case r := <-answer:
		return r.Response, r.Error
	case <-g.stop:
		return nil, hraft.ErrTransportShutdown
	}
}

// Consumer is where Raft takes requests.
func (g *groupTransport) Consumer() <-chan hraft.RPC { return g.consumer }

// LocalAddr is this node's id.
func (g *groupTransport) LocalAddr() hraft.ServerAddress {
	return hraft.ServerAddress(g.transport.options.Self)
}

// EncodePeer gives a node's id as bytes.
func (g *groupTransport) EncodePeer(_ hraft.ServerID, address hraft.ServerAddress) []byte {
	return []byte(address)
}

// DecodePeer reads a node's id.
func (g *groupTransport) DecodePeer(b []byte) hraft.ServerAddress { return hraft.ServerAddress(b) }

// SetHeartbeatHandler does nothing: see answerHeartbeat.
func (g *groupTransport) SetHeartbeatHandler(func(hraft.RPC)) {}

// isHeartbeat tells the library's heartbeats from requests with entries and
// from those that only say what is committed.
func isHeartbeat(r *hraft.AppendEntriesRequest) bool {
	return r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

// limited leaves out entries beyond appendBytesMax. The library goes on after
// the last entry it finds in its own request.
func limited(r *hraft.AppendEntriesRequest) *hraft.AppendEntriesRequest {
	size := 0
	for i, entry := range r.Entries {
		if size += len(entry.Data); size > appendBytesMax && i > 0 {
			r.Entries = r.Entries[:i]
			break
		}
	}
	return r
}

func (g *groupTransport) call(to hraft.ServerID, kind Kind, body []byte) ([]byte, error) {
	ctx, cancel := context.WithTimeout(g.transport.ctx, answerTimeout)
	defer cancel()
	return g.transport.call(ctx, string(to), frame{kind: kind, group: g.id, body: body})
}

// AppendEntries sends entries, or a heartbeat, and waits for the answer.
func (g *groupTransport) AppendEntries(id hraft.ServerID, _ hraft.ServerAddress, request *hraft.AppendEntriesRequest, response *hraft.AppendEntriesResponse) error {
	kind := kindAppendEntries
	if isHeartbeat(request) {
		kind = kindHeartbeat
	}
	body, err := g.call(id, kind, encodeAppendEntries(limited(request)))
	if err != nil {
		return err
	}
	return decodeAppendAnswer(body, response)
}

func (g *groupTransport) callJSON(to hraft.ServerID, kind Kind, request, response any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	if body, err = g.call(to, kind, body); err != nil {
		return err
	}
	return json.Unmarshal(body, response)
}

// RequestVote asks for a vote.
func (g *groupTransport) RequestVote(id hraft.ServerID, _ hraft.ServerAddress, request *hraft.RequestVoteRequest, response *hraft.RequestVoteResponse) error {
	return g.callJSON(id, kindRequestVote, request, response)
}

// RequestPreVote asks whether a vote would be given.
func (g *groupTransport) RequestPreVote(id hraft.ServerID, _ hraft.ServerAddress, request *hraft.RequestPreVoteRequest, response *hraft.RequestPreVoteResponse) error {
	return g.callJSON(id, kindRequestPreVote, request, response)
}

// TimeoutNow has a follower call an election, to hand the lead over.
func (g *groupTransport) TimeoutNow(id hraft.ServerID, _ hraft.ServerAddress, request *hraft.TimeoutNowRequest, response *hraft.TimeoutNowResponse) error {
	return g.callJSON(id, kindTimeoutNow, request, response)
}

// InstallSnapshot is never needed: every node keeps the whole log, so a follower
// that is behind is sent entries.
func (g *groupTransport) InstallSnapshot(hraft.ServerID, hraft.ServerAddress, *hraft.InstallSnapshotRequest, *hraft.InstallSnapshotResponse, io.Reader) error {
	return errors.New("a snapshot was to be sent although the log is whole")
}

// Close ends the view; Raft has stopped.
func (g *groupTransport) Close() error {
	g.once.Do(func() {
		g.transport.mu.Lock()
		delete(g.transport.mu.groups, g.id)
		g.transport.mu.Unlock()
		close(g.stop)
	})
	g.wait.Wait()
	return nil
}

// AppendEntriesPipeline sends requests without waiting for the answers before.
func (g *groupTransport) AppendEntriesPipeline(id hraft.ServerID, _ hraft.ServerAddress) (hraft.AppendPipeline, error) {
	if l := g.transport.link(string(id)); l != nil {
		if w := l.wire(); w != nil {
			return startFollowerPipeline(g, w), nil
		}
	}
	return nil, moved("node %s is not connected", id)
}

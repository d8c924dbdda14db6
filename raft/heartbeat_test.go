package raft

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	hraft "github.com/hashicorp/raft"
)

// TestOnlyAFollowerOfTheTermIsSpared: a heartbeat that would change what a node is,
// or its term, is for Raft's main loop alone, however busy that is.
func TestOnlyAFollowerOfTheTermIsSpared(t *testing.T) {
	const term = 7
	for _, c := range []struct {
		name   string
		state  hraft.RaftState
		term   uint64 // of the heartbeat
		spared bool
	}{
		{"a follower in its term", hraft.Follower, term, true},
		{"a follower in a newer term", hraft.Follower, term + 1, false},
		{"a follower in an older term", hraft.Follower, term - 1, false},
		{"a leader in a newer term", hraft.Leader, term + 1, false},
		{"a candidate in its term", hraft.Candidate, term, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &Transport{options: TransportOptions{Self: "n1"}}
				transport.mu.groups = map[uint32]*groupTransport{}
				g := transport.group(301)
				g.raft.Store(&standing{
					State: func() hraft.RaftState { return c.state }, Term: func() uint64 { return term }, LastIndex: func() uint64 { return 99 },
				})
				request := &hraft.AppendEntriesRequest{Term: c.term}
				var answered atomic.Bool
				answers := make(chan *hraft.AppendEntriesResponse, 1)
				go func() {
					body, err := g.answer(frame{kind: kindHeartbeat, group: 301, body: encodeAppendEntries(request)})
					answer := new(hraft.AppendEntriesResponse)
					if err == nil {
						err = decodeAppendAnswer(body, answer)
					}
					if err != nil {
						t.Error(err)
					}
					answered.Store(true)
					answers <- answer
				}()
				// Raft's main loop is busy.
				time.Sleep(time.Minute)
				synctest.Wait()
				if answered.Load() != c.spared {
					t.Errorf("answered without Raft: %v", answered.Load())
				}
				rpc := <-g.Consumer()
				if got := rpc.Command.(*hraft.AppendEntriesRequest).Term; got != c.term {
					t.Errorf("Raft hears of term %d", got)
				}
				rpc.Respond(&hraft.AppendEntriesResponse{Term: term + 3}, nil)
				answer := <-answers
				if c.spared && (!answer.Success || answer.Term != term || answer.LastLog != 99) || !c.spared && answer.Term != term+3 {
					t.Errorf("answer %+v", answer)
				}
				if err := g.Close(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestAnEntryOfAnotherTermIsNotStored: what a leader proposed must not come into the
// log in a term that it does not lead in.
func TestAnEntryOfAnotherTermIsNotStored(t *testing.T) {
	n := openNode(t, t.TempDir())
	defer n.Close()
	g := n.groups[0]
	store := newLogStore(n.ledger, g.id, &g.proposed)
	data := []byte("proposed")
	g.proposed.add(data, 3, nil)
	_, last := n.ledger.Bounds(g.id)
	entry := &hraft.Log{Index: last + 1, Term: 4, Type: hraft.LogCommand, Data: data}
	if err := store.StoreLog(entry); err == nil {
		t.Error("an entry proposed in term 3 is stored in term 4")
	}
	if _, now := n.ledger.Bounds(g.id); now != last {
		t.Errorf("the log ends at %d, before %d", now, last)
	}
	g.proposed.remove(data)
	if err := g.proposed.check(entry); err != nil {
		t.Errorf("an entry that somebody else proposed: %v", err)
	}
}

package raft

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
)

// verifier finds out whether this node still leads a group, for reads: it asks
// the voters which term they are in. Whoever asks while that is going on waits for
// the next time, because an answer counts only for those who asked before it was
// given.
//
// Raft's own question takes any answer to a heartbeat for one to it, also to a
// heartbeat that was sent long before: a network that held back what a follower
// said let a leader of the past give stale reads.
type verifier struct {
	group *group

	mu      sync.Mutex
	ended   bool
	asking  bool
	next    *round
	readers sync.WaitGroup
}

// round is one time that voters are asked.
type round struct {
	term uint64 // in which this node leads for sure, if err is nil
	err  error
	done chan struct{}
}

// leads returns nil if this node led in a term at some moment after the call, and
// an error that wraps errMoved if it cannot tell.
func (v *verifier) leads(term uint64) error {
	r, err := v.join()
	if err != nil {
		return err
	}
	<-r.done
	if r.err == nil && r.term != term {
		return moved("the lead of group %d has changed", v.group.id)
	}
	return r.err
}

func (v *verifier) join() (*round, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ended {
		return nil, moved("group %d is closing", v.group.id)
	}
	if v.next == nil {
		v.next = &round{done: make(chan struct{})}
	}
	if !v.asking {
		v.asking = true
		v.readers.Go(v.run)
	}
	return v.next, nil
}

// run asks for as long as somebody wants to know.
func (v *verifier) run() {
	for {
		v.mu.Lock()
		r := v.next
		v.next = nil
		if r == nil {
			v.asking = false
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
		r.term, r.err = v.ask()
		close(r.done)
	}
}

// close waits for those who ask, and refuses more.
func (v *verifier) close() {
	v.mu.Lock()
	v.ended = true
	v.mu.Unlock()
	v.readers.Wait()
}

// ask asks all other voters at once and returns when a majority is in the term in
// which this node leads.
func (v *verifier) ask() (uint64, error) {
	g := v.group
	term, leads := g.pipeline.leadsIn()
	if !leads || g.raft.State() != hraft.Leader {
		return 0, errMoved
	}
	voters := g.currentVoters()
	missing := len(voters)/2 + 1
	if slices.Contains(voters, g.node.options.Self) {
		missing--
	}
	ctx, cancel := context.WithTimeout(g.ctx, g.node.options.Timeouts.Heartbeat)
	answers := make(chan error, len(voters))
	asked, err := 0, error(errMoved)
	for _, voter := range voters {
		if voter == g.node.options.Self {
			continue
		}
		asked++
		v.readers.Go(func() { answers <- g.askTerm(ctx, voter, term) })
	}
	// Answers that come later are nobody's concern.
	defer cancel()
	for ; missing > 0; asked-- {
		if asked < missing {
			return 0, moved("no majority says that this node leads group %d: %w", g.id, err)
		}
		answer := <-answers
		if answer == nil {
			missing--
		} else {
			err = answer
		}
	}
	if now := g.raft.CurrentTerm(); now != term || g.raft.State() != hraft.Leader {
		return 0, errMoved
	}
	return term, nil
}

// askTerm returns nil if a node is in a term.
func (g *group) askTerm(ctx context.Context, node string, term uint64) error {
	body := binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, g.id), term)
	answer, err := g.node.options.Transport.Call(ctx, node, callTerm, body)
	if err != nil {
		return err
	}
	if len(answer) != 8 {
		return fmt.Errorf("node %s answered a term of %d bytes", node, len(answer))
	}
	if other := binary.BigEndian.Uint64(answer); other != term {
		return fmt.Errorf("node %s is in term %d, this one leads in %d", node, other, term)
	}
	return nil
}

// answerTerm says in which term this node is. A vote raises it before it is given,
// so that nobody was elected since by a majority that is still in an older one.
func (n *Node) answerTerm(_ context.Context, _ string, body []byte) ([]byte, error) {
	if len(body) != 12 {
		return nil, ao.Errorf(ao.CodeInvalid, "a question for a term of %d bytes", len(body))
	}
	g, err := n.group(binary.BigEndian.Uint32(body))
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(nil, g.raft.CurrentTerm()), nil
}

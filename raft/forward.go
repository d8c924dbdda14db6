package raft

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
)

// patience is how long an append waits for a group to have a leader: a few
// elections.
const patience = 10 * time.Second

// Append gives a proposal its place; see log.Log. It goes to the node that
// leads the process's group. While that changes it asks again, which is safe:
// a message that got its place keeps it.
func (n *Node) Append(ctx context.Context, proposal log.Proposal) (log.Entry, bool, error) {
	proposal, err := n.prepare(ctx, proposal)
	if err != nil {
		return log.Entry{}, false, err
	}
	var last error
	for deadline := n.options.Now().Add(patience); n.options.Now().Before(deadline); {
		g, err := n.route(ctx, proposal)
		if err == nil {
			var entry log.Entry
			var duplicate bool
			if entry, duplicate, err = g.append(ctx, proposal); err == nil {
				return entry, duplicate, nil
			}
		}
		if errors.Is(err, log.ErrClosed) {
			return log.Entry{}, false, ao.Errorf(ao.CodeUnavailable, "the scheduler is stopping: try again: %w", log.ErrClosed)
		}
		if !errors.Is(err, errMoved) {
			return log.Entry{}, false, err
		}
		last = err
		if err := n.pause(ctx); err != nil {
			return log.Entry{}, false, err
		}
	}
	return log.Entry{}, false, ao.Errorf(ao.CodeUnavailable, "no majority of the nodes orders process %s: try again: %w", proposal.Process, last)
}

// prepare verifies a proposal, as many at once as there are cores.
func (n *Node) prepare(ctx context.Context, proposal log.Proposal) (log.Proposal, error) {
	if n.options.Trusted {
		return proposal.Trust()
	}
	select {
	case n.verify <- struct{}{}:
	case <-ctx.Done():
		return proposal, ctx.Err()
	}
	defer func() { <-n.verify }()
	return proposal.Prepare()
}

// pause waits a moment for a group to find its leader.
func (n *Node) pause(ctx context.Context) error {
	timer := time.NewTimer(20*time.Millisecond + rand.N(30*time.Millisecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := n.failed(); err != nil {
		return ao.Errorf(ao.CodeUnavailable, "the scheduler's log has stopped: %w", err)
	}
	return nil
}

// append asks the group's leader, here or elsewhere.
func (g *group) append(ctx context.Context, proposal log.Proposal) (log.Entry, bool, error) {
	entry, duplicate, err := g.place(ctx, proposal)
	if !errors.Is(err, errMoved) {
		return entry, duplicate, err
	}
	leader := g.leader()
	if leader == "" || leader == g.node.options.Self || g.node.options.Transport == nil {
		return entry, duplicate, err
	}
	answer, err := g.node.options.Transport.Call(ctx, leader, callAppend, encodeProposal(g.id, proposal))
	if err != nil {
		return log.Entry{}, false, err
	}
	return decodePlaced(answer)
}

// place appends as the leader, and waits until the entry counts.
func (g *group) place(ctx context.Context, proposal log.Proposal) (log.Entry, bool, error) {
	entry, duplicate, err := g.pipeline.append(ctx, proposal)
	if err == nil {
		err = g.awaitAttested(ctx, entry)
	}
	return entry, duplicate, err
}

// sync waits until this node has applied what the group has acknowledged.
func (g *group) sync(ctx context.Context) error {
	n := g.node
	if n.alone() {
		return nil
	}
	if g.isAway() {
		return ao.Errorf(ao.CodeUnavailable, "node %v orders group %d alone and cannot be reached: try again later, or ask for a stale read", g.currentVoters(), g.id)
	}
	var last error
	for deadline := n.options.Now().Add(patience); n.options.Now().Before(deadline); {
		index, err := g.readIndex(ctx)
		if err == nil {
			_, err = g.progress.wait(ctx, index)
			return err
		}
		if !errors.Is(err, errMoved) {
			return err
		}
		last = err
		if err := n.pause(ctx); err != nil {
			return err
		}
	}
	return ao.Errorf(ao.CodeUnavailable, "no majority of the nodes %v answers for group %d: try again, or ask for a stale read: %w", g.planned, g.id, last)
}

// readIndex gives an index that covers everything acknowledged so far.
func (g *group) readIndex(ctx context.Context) (uint64, error) {
	index, err := g.leaderIndex()
	if !errors.Is(err, errMoved) {
		return index, err
	}
	leader := g.leader()
	if leader == "" || leader == g.node.options.Self || g.node.options.Transport == nil {
		return 0, err
	}
	answer, err := g.node.options.Transport.Call(ctx, leader, callSync, binary.BigEndian.AppendUint32(nil, g.id))
	if err != nil {
		return 0, err
	}
	if len(answer) != 8 {
		return 0, fmt.Errorf("node %s answered a read index of %d bytes", leader, len(answer))
	}
	return binary.BigEndian.Uint64(answer), nil
}

// leaderIndex is readIndex on the leader: what it has acknowledged it has
// applied, so the index is good if it still leads after reading it.
func (g *group) leaderIndex() (uint64, error) {
	term, leads := g.pipeline.leadsIn()
	if !leads {
		return 0, errMoved
	}
	index := g.progress.reached()
	return index, g.verifier.leads(term)
}

// serve answers other nodes.
func (n *Node) serve(t *Transport) {
	t.Handle(callAppend, func(ctx context.Context, _ string, body []byte) ([]byte, error) {
		id, proposal, err := decodeProposal(body)
		if err != nil {
			return nil, err
		}
		g, err := n.group(id)
		if err != nil {
			return nil, err
		}
		// The node that asks has verified the signature: it could sign an
		// assignment as well.
		entry, duplicate, err := g.place(ctx, proposal)
		if err != nil {
			return nil, err
		}
		return encodePlaced(entry, duplicate), nil
	})
	t.Handle(callTerm, n.answerTerm)
	t.Handle(callSync, func(_ context.Context, _ string, body []byte) ([]byte, error) {
		if len(body) != 4 {
			return nil, ao.Errorf(ao.CodeInvalid, "a group of %d bytes", len(body))
		}
		g, err := n.group(binary.BigEndian.Uint32(body))
		if err != nil {
			return nil, err
		}
		index, err := g.leaderIndex()
		return binary.BigEndian.AppendUint64(nil, index), err
	})
}

func (n *Node) group(id uint32) (*group, error) {
	if g := n.groups[id]; g != nil && g.pipeline != nil && g.raft != nil {
		return g, nil
	}
	return nil, moved("group %d is not open", id)
}

// proposalHeader is what of a proposal is not its item.
type proposalHeader struct {
	Group   uint32   `json:"group"`
	Process ao.ID    `json:"process"`
	Message ao.ID    `json:"message"`
	Exclude []string `json:"exclude,omitempty"`
}

// encodeProposal writes: length of the header u32, header as JSON, item.
func encodeProposal(group uint32, p log.Proposal) []byte {
	// These types always encode.
	header, _ := json.Marshal(proposalHeader{group, p.Process, p.Message, p.Exclude})
	b := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	b = append(b, header...)
	if p.Item != nil {
		b = append(b, p.Item.Bytes()...)
	}
	return b
}

func decodeProposal(b []byte) (group uint32, p log.Proposal, err error) {
	if len(b) < 4 || uint64(binary.BigEndian.Uint32(b)) > uint64(len(b)-4) {
		return 0, p, ao.Errorf(ao.CodeInvalid, "a proposal of %d bytes", len(b))
	}
	end := 4 + int(binary.BigEndian.Uint32(b))
	var header proposalHeader
	if err := json.Unmarshal(b[4:end], &header); err != nil {
		return 0, p, ao.Errorf(ao.CodeInvalid, "a proposal: %w", err)
	}
	p = log.Proposal{Process: header.Process, Message: header.Message, Exclude: header.Exclude}
	if end < len(b) {
		if p.Item, err = dataitem.Parse(b[end:]); err != nil {
			return 0, p, ao.Errorf(ao.CodeInvalid, "a proposal's item: %w", err)
		}
	}
	return header.Group, p, nil
}

func encodePlaced(entry log.Entry, duplicate bool) []byte {
	b := []byte{0}
	if duplicate {
		b[0] = 1
	}
	return log.AppendEntry(b, entry)
}

func decodePlaced(b []byte) (log.Entry, bool, error) {
	if len(b) == 0 {
		return log.Entry{}, false, errors.New("an empty answer to an append")
	}
	entry, _, err := log.DecodeEntry(b[1:])
	return entry, b[0] == 1, err
}

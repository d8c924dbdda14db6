package raft

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
)

// changeKind is one step in the membership of a group.
type changeKind string

const (
	changeRemove   changeKind = "remove"
	changeAdd      changeKind = "add" // without a vote
	changePromote  changeKind = "promote"
	changeDemote   changeKind = "demote"
	changeTransfer changeKind = "transfer" // the lead
)

type change struct {
	Group uint32     `json:"group"`
	Kind  changeKind `json:"kind"`
	Node  string     `json:"node"`
	// Address is where the configuration says that an added node is.
	Address string `json:"address,omitempty"`
}

// change has a group's leader make a change, and returns once it is committed.
func (n *Node) change(ctx context.Context, c change) error {
	g := n.groups[c.Group]
	if g == nil {
		return ao.Errorf(ao.CodeNotFound, "there is no group %d", c.Group)
	}
	var last error
	for {
		err := g.change(c)
		if leader := g.leader(); errors.Is(err, errMoved) && leader != "" && leader != n.options.Self {
			var body []byte
			if body, err = json.Marshal(c); err == nil {
				_, err = n.options.Transport.Call(ctx, leader, callChange, body)
			}
		}
		if !errors.Is(err, errMoved) {
			return err
		}
		last = err
		if err := n.pause(ctx); err != nil {
			return fmt.Errorf("%s node %s in group %d: %w: %w", c.Kind, c.Node, c.Group, err, last)
		}
	}
}

// changeTimeout bounds how long a change waits in the leader's queue.
const changeTimeout = 10 * time.Second

// change makes a change here if this node leads the group. Each change can be
// made again.
func (g *group) change(c change) error {
	if !g.pipeline.leads() {
		return moved("this node does not lead group %d", g.id)
	}
	id, address := hraft.ServerID(c.Node), hraft.ServerAddress(g.node.addressOf(c.Node))
	if c.Address != "" {
		address = hraft.ServerAddress(c.Address)
	}
	var err error
	switch c.Kind {
	case changeRemove:
		err = g.raft.RemoveServer(id, 0, changeTimeout).Error()
	case changeAdd:
		err = g.raft.AddNonvoter(id, address, 0, changeTimeout).Error()
	case changePromote:
		err = g.raft.AddVoter(id, address, 0, changeTimeout).Error()
	case changeDemote:
		err = g.raft.DemoteVoter(id, 0, changeTimeout).Error()
	case changeTransfer:
		err = g.raft.LeadershipTransferToServer(id, address).Error()
	default:
		return ao.Errorf(ao.CodeInvalid, "a change of kind %q", c.Kind)
	}
	if errors.Is(err, hraft.ErrNotLeader) || errors.Is(err, hraft.ErrLeadershipLost) || errors.Is(err, hraft.ErrLeadershipTransferInProgress) {
		return moved("%w", err)
	}
	if err != nil {
		return ao.Errorf(ao.CodeUnavailable, "%s node %s in group %d: %w", c.Kind, c.Node, c.Group, err)
	}
	return nil
}

// Repair brings back a node that has lost its data, or whose data is damaged:
// it is taken out of every group of several voters, which a majority must commit;
// then it may come with an empty data directory, gets every entry, and only then
// its votes. Until it is taken out it must not come back at all: what it forgot
// could count as a vote against what was acknowledged. The group that it ordered
// alone comes back as far as the others were sent it. Repair can be run again at
// any time.
func (n *Node) Repair(ctx context.Context, node string, progress func(string)) error {
	t := n.options.Transport
	if t == nil || t.link(node) == nil {
		return ao.Errorf(ao.CodeNotFound, "there is no other node %s in this cluster", node)
	}
	if t.Connected(node) && n.hasItsVotes(node) {
		return ao.Errorf(ao.CodeConflict, "node %s is connected and has its votes: there is nothing to repair; stop it first if its data must go", node)
	}
	plans := n.plansWith(node)
	for _, plan := range plans {
		if err := n.change(ctx, change{Group: plan.id, Kind: changeRemove, Node: node}); err != nil {
			return err
		}
	}
	if err := n.forgetEverywhere(ctx, node, progress); err != nil {
		return err
	}
	progress(fmt.Sprintf("node %s is out of all groups: start it now with an empty data directory", node))
	if err := n.await(ctx, func() bool { return !n.votesWithOthers(node) && t.Connected(node) }); err != nil {
		return fmt.Errorf("wait for node %s to come with an empty data directory: %w", node, err)
	}
	for _, plan := range plans {
		if err := n.refill(ctx, plan.id, node); err != nil {
			return err
		}
		progress(fmt.Sprintf("group %d: node %s has every entry and its vote", plan.id, node))
	}
	return nil
}

// plansWith lists the groups of several voters that a node votes in, or that lack
// a vote it is to have.
func (n *Node) plansWith(node string) (list []groupPlan) {
	founder := slices.Contains(n.placement.nodes, node)
	for _, plan := range n.placement.plans() {
		if len(plan.voters) == 1 {
			continue
		}
		g := n.groups[plan.id]
		lacks := len(g.currentVoters()) < len(plan.voters) && (!founder || slices.Contains(plan.voters, node))
		if g.hasVoter(node) || lacks {
			list = append(list, plan)
		}
	}
	return list
}

// forgetEverywhere has the nodes that can be reached let another life of a node
// in.
func (n *Node) forgetEverywhere(ctx context.Context, node string, progress func(string)) error {
	for _, other := range n.memberIDs() {
		if other == node {
			continue
		}
		err := n.forgetAt(ctx, other, node)
		if errors.Is(err, errMoved) {
			progress(fmt.Sprintf("node %s cannot be reached: run this again when it is back, or it will not speak to node %s", other, node))
			continue
		}
		if err != nil {
			return fmt.Errorf("have node %s let node %s in again: %w", other, node, err)
		}
	}
	return nil
}

// forgetAt asks again while a node has not heard yet that the other is out.
func (n *Node) forgetAt(ctx context.Context, at, node string) error {
	if at == n.options.Self {
		if err := n.await(ctx, func() bool { return !n.votesWithOthers(node) }); err != nil {
			return err
		}
		return n.roster.forget(node)
	}
	for {
		_, err := n.options.Transport.Call(ctx, at, callForget, []byte(node))
		if !errors.Is(err, errMoved) || !n.options.Transport.Connected(at) {
			return err
		}
		if err := n.pause(ctx); err != nil {
			return err
		}
	}
}

// refill gives a node a group's entries and then its vote.
func (n *Node) refill(ctx context.Context, id uint32, node string) error {
	if err := n.change(ctx, change{Group: id, Kind: changeAdd, Node: node}); err != nil {
		return err
	}
	goal := n.groups[id].raft.CommitIndex()
	err := n.await(ctx, func() bool {
		t, err := n.tailOf(ctx, node, id)
		return err == nil && t.last >= goal
	})
	if err != nil {
		return fmt.Errorf("wait for node %s to have group %d: %w", node, id, err)
	}
	return n.change(ctx, change{Group: id, Kind: changePromote, Node: node})
}

// hasItsVotes reports whether a node has every vote that it was planned to have.
func (n *Node) hasItsVotes(node string) bool {
	for _, plan := range n.plansWith(node) {
		if !n.groups[plan.id].hasVoter(node) {
			return false
		}
	}
	return true
}

// votesWithOthers reports whether a node has a vote in a group of several.
func (n *Node) votesWithOthers(node string) bool {
	for _, plan := range n.placement.plans() {
		if len(plan.voters) > 1 && n.groups[plan.id].hasVoter(node) {
			return true
		}
	}
	return false
}

// await polls until something is so.
func (n *Node) await(ctx context.Context, so func() bool) error {
	for !so() {
		if err := n.pause(ctx); err != nil {
			return err
		}
	}
	return nil
}

// TransferLead has another node lead a group.
func (n *Node) TransferLead(ctx context.Context, group uint32, to string) error {
	return n.change(ctx, change{Group: group, Kind: changeTransfer, Node: to})
}

// serveMembership answers other nodes' changes.
func (n *Node) serveMembership(t *Transport) {
	t.Handle(callChange, func(_ context.Context, _ string, body []byte) ([]byte, error) {
		var c change
		if err := json.Unmarshal(body, &c); err != nil {
			return nil, ao.Errorf(ao.CodeInvalid, "a change: %w", err)
		}
		g, err := n.group(c.Group)
		if err != nil {
			return nil, err
		}
		return nil, g.change(c)
	})
	t.Handle(callLast, func(_ context.Context, _ string, body []byte) ([]byte, error) {
		if len(body) != 4 {
			return nil, ao.Errorf(ao.CodeInvalid, "a group of %d bytes", len(body))
		}
		g, err := n.group(binary.BigEndian.Uint32(body))
		if err != nil {
			return nil, err
		}
		return g.tail().encode(nil), nil
	})
	t.Handle(callForget, func(_ context.Context, _ string, body []byte) ([]byte, error) {
		if n.votesWithOthers(string(body)) {
			return nil, moved("node %.40q still has votes here", body)
		}
		return nil, n.roster.forget(string(body))
	})
	t.Handle(callEntries, n.answerEntries)
}

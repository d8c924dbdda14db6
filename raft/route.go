package raft

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
)

// route gives the group that a proposal goes to: the one that orders its process
// as far as this node knows, or the one that its mode's shard gives a new
// process to. If that has changed the group's leader says so.
func (n *Node) route(ctx context.Context, proposal log.Proposal) (*group, error) {
	ordering, err := n.index.Ordering(proposal.Process)
	if errors.Is(err, log.ErrProcessUnknown) && !proposal.IsProcess() && !n.alone() {
		// Perhaps this node is only behind.
		failed := n.syncAll(ctx)
		ordering, err = n.index.Ordering(proposal.Process)
		if err != nil && failed != nil {
			return nil, failed
		}
	}
	switch {
	case err == nil && ordering.Sealed:
		return n.group(ordering.To)
	case err == nil:
		return n.group(ordering.Group)
	case !errors.Is(err, log.ErrProcessUnknown):
		return nil, err
	case !proposal.IsProcess():
		return nil, errUnknown(proposal.Process)
	}
	mode, err := n.modeOf(proposal.Item)
	if err != nil {
		return nil, err
	}
	shard, err := n.shard(mode.Voters, proposal.Process)
	if err != nil {
		return nil, err
	}
	if shard.Sealed {
		return n.group(shard.To)
	}
	return n.group(shard.Group)
}

// Placed names the group that takes a new process of a mode.
func (n *Node) Placed(process ao.ID, mode log.Mode) (uint32, error) {
	if err := n.offers(mode); err != nil {
		return 0, err
	}
	shard, err := n.shard(mode.Voters, process)
	return shard.Group, err
}

// GroupsOf names the groups that processes of a mode are spread over, in order.
func (n *Node) GroupsOf(mode log.Mode) (ids []uint32) {
	for _, plan := range n.placement.sets[mode.Voters] {
		ids = append(ids, plan.id)
	}
	return ids
}

func errUnknown(process ao.ID) error {
	return ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler: spawn it first, or post to the scheduler that has it", process)
}

// modeOf gives the mode that a process is spawned with: its tag Sequencing, or
// the node's default.
func (n *Node) modeOf(item *dataitem.Item) (log.Mode, error) {
	text, ok := item.Tags.Lookup(ao.TagSequencing)
	if !ok {
		return n.options.Mode, nil
	}
	mode, err := log.ParseMode(text)
	if err != nil {
		return mode, err
	}
	return mode, n.offers(mode)
}

// offers says why a mode cannot be had here, or nil.
func (n *Node) offers(mode log.Mode) error {
	switch {
	case !n.placement.has(mode):
		return ao.Errorf(ao.CodeInvalid, "sequencing %s takes %d nodes, and there are %d here: choose one of %s", mode, mode.Voters, len(n.placement.nodes), n.placement.modes())
	case mode.Cosigners > 0 && n.options.Operator == nil:
		return ao.Errorf(ao.CodeInvalid, "sequencing %s takes a key of its own at each node, and this one has none", mode)
	}
	return nil
}

// alone reports whether this node replicates with nobody.
func (n *Node) alone() bool { return len(n.placement.nodes) == 1 }

// Sync waits until this node has applied everything that was acknowledged for a
// process before the call, wherever that was: reads after it are linearizable.
// Without a majority it fails with CodeUnavailable.
func (n *Node) Sync(ctx context.Context, process ao.ID) error {
	if n.alone() {
		return nil
	}
	ordering, err := n.index.Ordering(process)
	if errors.Is(err, log.ErrProcessUnknown) {
		return n.syncAll(ctx)
	}
	for err == nil {
		if err := n.syncOrdering(ctx, ordering); err != nil {
			return err
		}
		// Whoever took the process over may have acknowledged more.
		before := ordering
		if ordering, err = n.index.Ordering(process); ordering.Epoch == before.Epoch && ordering.Sealed == before.Sealed {
			return err
		}
	}
	return err
}

func (n *Node) syncOrdering(ctx context.Context, ordering log.Ordering) error {
	id := ordering.Group
	if ordering.Sealed {
		id = ordering.To
	}
	g, err := n.group(id)
	if err != nil {
		return err
	}
	return g.sync(ctx)
}

// syncAll is Sync for every group.
func (n *Node) syncAll(ctx context.Context) error {
	return n.syncEach(ctx, func(*group) bool { return true })
}

// syncReachable is Sync for every group, but those that one node orders alone
// that cannot be reached.
func (n *Node) syncReachable(ctx context.Context) error {
	return n.syncEach(ctx, func(g *group) bool { return !g.isAway() })
}

func (n *Node) syncEach(ctx context.Context, which func(*group) bool) error {
	all, ctx := errgroup.WithContext(ctx)
	for _, g := range n.groups {
		if which(g) && !n.isRetired(g) {
			all.Go(func() error { return g.sync(ctx) })
		}
	}
	return all.Wait()
}

// isAway reports whether the only node that orders this group cannot be reached.
func (g *group) isAway() bool {
	voters := g.currentVoters()
	return len(voters) == 1 && voters[0] != g.node.options.Self && g.node.options.Transport != nil && !g.node.options.Transport.Connected(voters[0])
}

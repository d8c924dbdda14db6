package raft

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Member is a node that the groups' configurations name.
type Member struct {
	ID string `json:"id"`
	// Address is where it can be reached, for one that was added later.
	Address  string `json:"address,omitempty"`
	Operator ao.ID  `json:"operator"`
}

// serverAddress is how a configuration keeps what is known of an added node.
func (m Member) serverAddress() hraft.ServerAddress {
	return hraft.ServerAddress(m.Address + " " + m.Operator.String())
}

func memberOf(server hraft.Server) Member {
	m := Member{ID: string(server.ID)}
	address, operator, ok := strings.Cut(string(server.Address), " ")
	if ok {
		m.Address = address
		m.Operator, _ = ao.ParseID(operator)
	}
	return m
}

// memberships keeps the transport in step with the groups' configurations: a
// node that is named in none is spoken to no more.
type memberships struct {
	node   *Node
	waking chan struct{}
	stop   chan struct{}
	wait   sync.WaitGroup
}

func newMemberships(n *Node) *memberships {
	return &memberships{node: n, waking: make(chan struct{}, 1), stop: make(chan struct{})}
}

func (m *memberships) wake() {
	select {
	case m.waking <- struct{}{}:
	default:
	}
}

func (m *memberships) start() {
	if m.node.options.Transport == nil {
		return
	}
	m.wait.Go(func() {
		for {
			select {
			case <-m.waking:
				m.node.meetMembers()
			case <-m.stop:
				return
			}
		}
	})
}

func (m *memberships) close() {
	close(m.stop)
	m.wait.Wait()
}

// Members lists the nodes of the cluster, in order of id: those that it was
// founded with, until they are removed, and those that were added.
func (n *Node) Members() []Member {
	known, complete := n.configured()
	if !complete {
		for _, node := range n.placement.nodes {
			if _, ok := known[node]; !ok {
				known[node] = Member{ID: node}
			}
		}
	}
	list := make([]Member, 0, len(known))
	for _, m := range known {
		if m.Operator.IsZero() {
			m.Operator = n.options.Operators[m.ID]
		}
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Member) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// configured gives the nodes that the groups name, and whether all groups have
// said whom they name. A group of one voter counts while its voter is named by
// groups of several, and for the others: only its voter could change it.
func (n *Node) configured() (known map[string]Member, complete bool) {
	n.groupsMu.RLock()
	defer n.groupsMu.RUnlock()
	known, complete = map[string]Member{}, len(n.groups) == len(n.placement.plans())
	for _, several := range []bool{true, false} {
		for _, g := range n.groups {
			voter := g.planned[0]
			if _, named := known[voter]; several != (len(g.planned) > 1) || !several && !named && !n.alone() {
				continue
			}
			g.configMu.Lock()
			complete = complete && g.voters != nil
			for _, server := range g.servers {
				if several || n.alone() || string(server.ID) != voter {
					known[string(server.ID)] = memberOf(server)
				}
			}
			g.configMu.Unlock()
		}
	}
	return known, complete
}

func (n *Node) memberIDs() (ids []string) {
	for _, m := range n.Members() {
		ids = append(ids, m.ID)
	}
	return ids
}

func (n *Node) member(id string) (Member, bool) {
	for _, m := range n.Members() {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// meetMembers lets new nodes in, and those out that are no more.
func (n *Node) meetMembers() {
	members := n.Members()
	for _, m := range members {
		n.options.Transport.AddPeer(m.ID, m.Address)
	}
	for _, peer := range n.options.Transport.peers() {
		if !slices.ContainsFunc(members, func(m Member) bool { return m.ID == peer }) {
			n.options.Logger.Info().Str("node", peer).Msg("no member any more")
			n.options.Transport.RemovePeer(peer)
		}
	}
}

// addressOf gives what a configuration says of a node.
func (n *Node) addressOf(id string) string {
	if m, ok := n.member(id); ok && m.Address != "" {
		return string(m.serverAddress())
	}
	return id
}

func (n *Node) operatorOf(id string) ao.ID {
	m, _ := n.member(id)
	return m.Operator
}

// isRetired reports whether a group's only voter was removed from the cluster.
func (n *Node) isRetired(g *group) bool {
	voters := g.currentVoters()
	if len(voters) != 1 || n.alone() {
		return false
	}
	_, member := n.member(voters[0])
	return !member
}

// AddMember lets a node into the cluster: it is sent every entry of all groups,
// and has no vote until it is given some. It can be asked again.
func (n *Node) AddMember(ctx context.Context, m Member) error {
	if m.ID == "" || m.Address == "" || strings.ContainsAny(m.ID+m.Address, " /\\") {
		return ao.Errorf(ao.CodeInvalid, "a node to be added has an id and an address host:port, not %q and %q", m.ID, m.Address)
	}
	if known, ok := n.member(m.ID); ok && known != m {
		return ao.Errorf(ao.CodeConflict, "there is a node %s already", m.ID)
	}
	for _, plan := range n.placement.plans() {
		g := n.groups[plan.id]
		if n.isRetired(g) {
			continue
		}
		if err := n.change(ctx, change{Group: plan.id, Kind: changeAdd, Node: m.ID, Address: string(m.serverAddress())}); err != nil {
			return err
		}
	}
	return nil
}

// MoveVote gives a node's vote in a group to another node, which first gets every
// entry.
func (n *Node) MoveVote(ctx context.Context, group uint32, from, to string) error {
	g, err := n.group(group)
	if err != nil {
		return ao.Errorf(ao.CodeNotFound, "there is no group %d: there are %v", group, n.placement.groups())
	}
	if _, ok := n.member(to); !ok {
		return ao.Errorf(ao.CodeNotFound, "there is no node %s: add it first", to)
	}
	switch {
	case len(g.planned) == 1:
		return ao.Errorf(ao.CodeInvalid, "group %d belongs to node %s alone: move its shards instead", group, g.planned[0])
	case g.hasVoter(to) && !g.hasVoter(from):
		return nil
	case !g.hasVoter(from) && len(g.currentVoters()) >= len(g.planned):
		return ao.Errorf(ao.CodeConflict, "node %s has no vote in group %d: %v have", from, group, g.currentVoters())
	}
	if !g.hasVoter(to) {
		if err := n.refill(ctx, group, to); err != nil {
			return err
		}
	}
	return n.change(ctx, change{Group: group, Kind: changeDemote, Node: from})
}

// ReplaceMember gives all votes of a node to another, and removes it.
func (n *Node) ReplaceMember(ctx context.Context, old, next string, progress func(string)) error {
	for _, plan := range n.placement.plans() {
		if len(plan.voters) > 1 && n.groups[plan.id].hasVoter(old) {
			if err := n.MoveVote(ctx, plan.id, old, next); err != nil {
				return err
			}
			if err := n.await(ctx, func() bool { return !n.groups[plan.id].hasVoter(old) }); err != nil {
				return fmt.Errorf("wait to hear that node %s has no vote in group %d: %w", old, plan.id, err)
			}
			progress(fmt.Sprintf("group %d: node %s votes in place of %s", plan.id, next, old))
		}
	}
	return n.RemoveMember(ctx, old, progress)
}

// RemoveMember takes a node without votes out of the cluster. What it orders
// alone goes to another node first, for which it must be up.
func (n *Node) RemoveMember(ctx context.Context, node string, progress func(string)) error {
	if _, ok := n.member(node); !ok {
		return ao.Errorf(ao.CodeNotFound, "there is no node %s in this cluster", node)
	}
	if node == n.options.Self {
		return ao.Errorf(ao.CodeInvalid, "node %s cannot remove itself: ask another node", node)
	}
	if n.votesWithOthers(node) {
		return ao.Errorf(ao.CodeConflict, "node %s has votes: give them to another with wallaby cluster replace or move-group", node)
	}
	if err := n.emptySolo(ctx, node, progress); err != nil {
		return err
	}
	for _, plan := range n.placement.plans() {
		if n.groups[plan.id].hasVoter(node) || n.isRetired(n.groups[plan.id]) {
			continue
		}
		if err := n.change(ctx, change{Group: plan.id, Kind: changeRemove, Node: node}); err != nil {
			return err
		}
	}
	progress(fmt.Sprintf("node %s is out of the cluster: stop it", node))
	return nil
}

// emptySolo has another node order what a node orders alone.
func (n *Node) emptySolo(ctx context.Context, node string, progress func(string)) error {
	own, heir := uint32(0), uint32(0)
	found := false
	for _, plan := range n.placement.sets[1] {
		switch {
		case plan.voters[0] == node:
			own, found = plan.id, true
		case !n.isRetired(n.groups[plan.id]):
			heir = plan.id
		}
	}
	if !found {
		return nil
	}
	for number := range shardsCount {
		shard, err := n.shardNumber(log.Solo.Voters, number)
		if err != nil {
			return err
		}
		if shard.Group != own && !(shard.Sealed && shard.To == heir) {
			continue
		}
		if err := n.MoveShard(ctx, log.Solo.Voters, number, heir, func(string) {}); err != nil {
			return fmt.Errorf("move what node %s orders alone: %w", node, err)
		}
	}
	progress(fmt.Sprintf("group %d orders what node %s ordered alone", heir, node))
	return nil
}

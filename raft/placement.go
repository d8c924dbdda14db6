package raft

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// shardsCount is the number of virtual shards of a set of groups. Processes
// belong to a shard for ever; a shard belongs to a group until it is moved.
const shardsCount = 256

// GroupsPerSet is how many groups share the processes of one number of voters:
// enough to spread leaders over the nodes, few enough that batches stay large.
const GroupsPerSet = 8

// groupPlan is a group as a cluster is founded with it.
type groupPlan struct {
	id     uint32
	voters []string
}

// placement says which groups there are. It follows from the nodes alone: one
// group of one voter for each node, numbered from 0, and eight of each larger
// number of voters, numbered from 301 and 501.
type placement struct {
	nodes []string
	sets  map[int][]groupPlan // by number of voters
}

func newPlacement(nodes []string) placement {
	p := placement{nodes: slices.Sorted(slices.Values(nodes)), sets: map[int][]groupPlan{}}
	for i, node := range p.nodes {
		p.sets[1] = append(p.sets[1], groupPlan{uint32(i), []string{node}})
	}
	for _, voters := range []int{3, 5} {
		if voters > len(p.nodes) {
			continue
		}
		for i := range GroupsPerSet {
			plan := groupPlan{id: uint32(100*voters + 1 + i)}
			for j := range voters {
				plan.voters = append(plan.voters, p.nodes[(i+j)%len(p.nodes)])
			}
			p.sets[voters] = append(p.sets[voters], plan)
		}
	}
	return p
}

// plans lists all groups in order of id.
func (p *placement) plans() (list []groupPlan) {
	for _, voters := range []int{1, 3, 5} {
		list = append(list, p.sets[voters]...)
	}
	return list
}

// setOf gives how many voters the groups of a group's set have.
func (p *placement) setOf(group uint32) int {
	for voters, plans := range p.sets {
		for _, plan := range plans {
			if plan.id == group {
				return voters
			}
		}
	}
	return 0
}

// groups lists the groups in order.
func (p *placement) groups() (ids []uint32) {
	for _, plan := range p.plans() {
		ids = append(ids, plan.id)
	}
	return ids
}

// has reports whether there are groups for a mode.
func (p *placement) has(mode log.Mode) bool { return len(p.sets[mode.Voters]) > 0 }

// modes lists what can be chosen, for error messages.
func (p *placement) modes() string {
	text := "solo"
	for _, voters := range []int{3, 5} {
		if len(p.sets[voters]) > 0 {
			text += ", " + log.Mode{Voters: voters}.String() + ", " + log.Mode{Voters: voters, Cosigners: voters/2 + 1}.String()
		}
	}
	return text
}

// shard gives the shard of a process in a set, as the index knows it.
func (n *Node) shard(voters int, process ao.ID) (log.Shard, error) {
	return n.shardNumber(voters, shardOf(process))
}

func (n *Node) shardNumber(voters, number int) (log.Shard, error) {
	shard, err := n.index.Shard(voters, number)
	if errors.Is(err, log.ErrEntryUnknown) {
		plans := n.placement.sets[voters]
		return log.Shard{Voters: voters, Number: number, Group: plans[number%len(plans)].id}, nil
	}
	return shard, err
}

// shardOf hashes a process's id, because whoever spawns can choose the id's
// bytes.
func shardOf(process ao.ID) int {
	sum := sha256.Sum256(process[:])
	return int(binary.BigEndian.Uint32(sum[:]) % shardsCount)
}

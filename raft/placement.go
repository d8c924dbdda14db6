package raft

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/wallaby-ao/wallaby/ao"
)

// shardsCount is the number of virtual shards. Processes belong to a shard for
// ever; a shard belongs to a group.
const shardsCount = 256

// GroupsPerSet is how many groups three or five voters share: enough to spread
// leaders over the nodes, few enough that batches stay large.
const GroupsPerSet = 8

// soloGroup is the one group of a node that is alone. Groups of several voters
// count from 1.
const soloGroup = 0

// placement says which group orders a process.
type placement struct {
	ids    []uint32
	shards [shardsCount]uint32
}

func newPlacement(voters []string) placement {
	p := placement{ids: []uint32{soloGroup}}
	if len(voters) > 1 {
		p.ids = p.ids[:0]
		for id := range uint32(GroupsPerSet) {
			p.ids = append(p.ids, id+1)
		}
	}
	for shard := range p.shards {
		p.shards[shard] = p.ids[shard%len(p.ids)]
	}
	return p
}

// groups lists the groups in order.
func (p *placement) groups() []uint32 { return p.ids }

// groupOf gives the group of a process.
func (p *placement) groupOf(process ao.ID) uint32 { return p.shards[shardOf(process)] }

// shardOf hashes a process's id, because whoever spawns can choose the id's
// bytes.
func shardOf(process ao.ID) int {
	sum := sha256.Sum256(process[:])
	return int(binary.BigEndian.Uint32(sum[:]) % shardsCount)
}

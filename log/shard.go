package log

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
)

// Shard is a share of the processes of one mode's groups: those whose ids hash to
// its number. Its group takes new processes; it is moved like a process, by a
// seal in one group and an opening in the next.
type Shard struct {
	Voters int    `json:"voters"` // names the set of groups
	Number int    `json:"number"`
	Group  uint32 `json:"group"`
	// Version counts its moves.
	Version uint64 `json:"version"`
	// Sealed says that Group takes no new processes; To will.
	Sealed bool   `json:"sealed,omitempty"`
	To     uint32 `json:"to,omitempty"`
}

func shardKey(voters, number int) []byte {
	return key('S', []byte{byte(voters)}, binary.BigEndian.AppendUint16(nil, uint16(number)))
}

func (s Shard) encode() []byte {
	b, _ := json.Marshal(s) // these types always encode
	return b
}

// Shard gives a shard that was ever moved, or ErrEntryUnknown.
func (x *Index) Shard(voters, number int) (s Shard, err error) {
	b, err := x.get(shardKey(voters, number))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, x.broken(fmt.Errorf("%w: shard %d in the log index: %w", ErrCorrupt, number, err))
	}
	return s, nil
}

// Shards lists the shards that were ever moved.
func (x *Index) Shards() (list []Shard, err error) {
	err = x.scan([]byte{'S'}, nil, func(_, value []byte) (bool, error) {
		var s Shard
		err := json.Unmarshal(value, &s)
		list = append(list, s)
		return true, err
	})
	return list, err
}

package node

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
	"github.com/wallaby-ao/wallaby/settlement"
)

// Info is what a client must know to use a node.
type Info struct {
	Version   string       `json:"version"`
	DataDir   string       `json:"dataDir"`
	URLs      URLs         `json:"urls"`
	Scheduler string       `json:"scheduler"`
	Authority string       `json:"authority"`
	Modules   []Module     `json:"modules"`
	Engine    EngineStatus `json:"engine"`
	// Node is this node's id in its cluster; "" when it is alone.
	Node string `json:"node,omitempty"`
	// Settlement is how far the log is settled on the weave; null: it is not.
	Settlement *settlement.Status `json:"settlement,omitempty"`
}

// URLs are where the units answer.
type URLs struct {
	Gateway string `json:"gateway"`
	MU      string `json:"mu"`
	SU      string `json:"su"`
	CU      string `json:"cu"`
}

// EngineStatus says how busy evaluation and delivery are.
type EngineStatus struct {
	HotProcesses  int    `json:"hotProcesses"`
	HotBytes      uint64 `json:"hotBytes"`
	OutboxPending int    `json:"outboxPending"`
	OutboxParked  int    `json:"outboxParked"`
	OutboxDead    int    `json:"outboxDead"`
}

// Info describes the node.
func (n *Node) Info() Info {
	info := Info{
		Version: version(), DataDir: n.dir, Node: n.self(),
		Scheduler: n.SchedulerAddress(), Authority: n.AuthorityAddress(), Modules: n.modules,
		URLs: URLs{
			Gateway: "http://" + n.listeners.gateway.Addr().String(),
			MU:      "http://" + n.listeners.mu.Addr().String(),
			SU:      "http://" + n.listeners.su.Addr().String(),
			CU:      "http://" + n.listeners.cu.Addr().String(),
		},
	}
	if n.engine != nil {
		status := n.engine.Status()
		info.Engine = EngineStatus{
			HotProcesses: status.HotProcesses, HotBytes: status.ResidentBytes,
			OutboxPending: status.OutboxPending, OutboxParked: status.OutboxParked, OutboxDead: status.OutboxDead,
		}
	}
	if uploads := n.uploads.Load(); uploads != nil {
		status := uploads.Status()
		info.Settlement = &status
	}
	return info
}

// version is what the go tool stamped into the binary.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// ProcessInfo is one process of the node's log.
type ProcessInfo struct {
	ID        ao.ID   `json:"id"`
	Name      string  `json:"name"`
	Module    string  `json:"module"`
	Owner     string  `json:"owner"`
	Nonce     uint64  `json:"nonce"`
	Evaluated *uint64 `json:"evaluated"` // null before the first evaluation
}

// Processes lists processes in order of id, after the given one.
func (n *Node) Processes(ctx context.Context, after ao.ID, limit int) ([]ProcessInfo, error) {
	heads, err := n.log.Processes(ctx, after, limit)
	if err != nil {
		return nil, err
	}
	list := make([]ProcessInfo, 0, len(heads))
	for _, head := range heads {
		entry, err := n.log.Read(ctx, head.Process, 0)
		if err != nil {
			return nil, err
		}
		item, err := entry.Item()
		if err != nil {
			return nil, err
		}
		info := ProcessInfo{
			ID: head.Process, Name: item.Tags.Get("Name"), Module: item.Tags.Get(ao.TagModule),
			Owner: item.Address(), Nonce: head.Nonce,
		}
		if nonce, ok := n.engine.Evaluated(head.Process); ok {
			info.Evaluated = &nonce
		}
		list = append(list, info)
	}
	return list, nil
}

// SequencingInfo says how a process is ordered and whom its order rests on.
type SequencingInfo struct {
	Process ao.ID  `json:"process"`
	Epoch   uint64 `json:"epoch"`
	Nonce   uint64 `json:"nonce"`
	raft.Sequencing
	// Survives is how many of the voters may be lost with their disks.
	Survives int `json:"survives"`
	// Equivocators are the addresses of the keys that could sign two orders, if
	// Colluding of them did.
	Equivocators []string `json:"equivocators"`
	Colluding    int      `json:"colluding"`
}

// Sequencing describes the order of a process that this node has.
func (n *Node) Sequencing(ctx context.Context, process ao.ID) (SequencingInfo, error) {
	head, err := n.log.Linearizable().Head(ctx, process)
	if errors.Is(err, aolog.ErrProcessUnknown) {
		return SequencingInfo{}, ao.Errorf(ao.CodeNotFound, "process %s is not known to this node", process)
	}
	if err != nil {
		return SequencingInfo{}, err
	}
	sequencing, err := n.log.Sequencing(process)
	if err != nil {
		return SequencingInfo{}, err
	}
	s := SequencingInfo{
		Process: process, Epoch: head.Epoch, Nonce: head.Nonce, Sequencing: sequencing,
		Equivocators: []string{n.SchedulerAddress()}, Colluding: 1,
	}
	if k := sequencing.Mode.Cosigners; k > 0 {
		s.Equivocators, s.Colluding = nil, k
		for _, voter := range sequencing.Voters {
			s.Equivocators = append(s.Equivocators, n.options.Cluster.operators()[voter].String())
		}
	}
	s.Survives = (len(s.Voters) - 1) / 2
	return s, nil
}

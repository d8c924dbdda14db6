package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/raft"
)

// ClusterStatus is every node of the cluster as it sees itself.
type ClusterStatus struct {
	Name  string       `json:"name"`
	Nodes []NodeStatus `json:"nodes"`
}

// NodeStatus is one node with its groups.
type NodeStatus struct {
	ID      string `json:"id"`
	Address string `json:"address"`
	// Operator is the address of the key that signs for this node in cosigned
	// modes; zero when it has none.
	Operator ao.ID `json:"operator"`
	// OperatorAddress is the same as contracts see it, which a process names as one
	// of its authorities to have this node's deliveries counted.
	OperatorAddress string             `json:"operatorAddress,omitempty"`
	Version         string             `json:"version,omitempty"`
	URLs            URLs               `json:"urls"`
	Groups          []raft.GroupStatus `json:"groups"`
	Engine          EngineStatus       `json:"engine"`
	// DiskFreeBytes is what is left where the node keeps its data.
	DiskFreeBytes uint64 `json:"diskFreeBytes"`
	// Quarantine says why the node may not take part until it is repaired.
	Quarantine string `json:"quarantine,omitempty"`
	// Error says why nothing more is known of the node.
	Error string `json:"error,omitempty"`
}

func (n *Node) nodeStatus() NodeStatus {
	info := n.Info()
	status := NodeStatus{ID: info.Node, Version: info.Version, URLs: info.URLs, Groups: n.log.Status(), Engine: info.Engine}
	if free, err := diskFree(n.dir); err == nil {
		status.DiskFreeBytes = free
	}
	if n.operator != nil {
		status.OperatorAddress = dataitem.NativeAddress(n.operator.Owner())
	}
	if n.options.Cluster != nil {
		status.Address, status.Operator = n.options.Cluster.address(info.Node), n.options.Cluster.operators()[info.Node]
	}
	return status
}

func (n *Node) answerStatus(context.Context, string, []byte) ([]byte, error) {
	return json.Marshal(n.nodeStatus())
}

// serveRepair runs raft's repair and reports its steps, one a line, as they happen.
func (n *Node) serveRepair(w http.ResponseWriter, r *http.Request) {
	say := steps(w)
	if err := n.log.Repair(r.Context(), r.URL.Query().Get("node"), say); err != nil {
		say("error: " + err.Error())
		return
	}
	say("done")
}

// steps answers line by line, as things happen.
func steps(w http.ResponseWriter) func(line string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	controller := http.NewResponseController(w)
	return func(line string) {
		fmt.Fprintln(w, line)
		_ = controller.Flush()
	}
}

// statusTimeout bounds how long a node is waited for.
const statusTimeout = 2 * time.Second

// ClusterStatus asks every node how it is.
func (n *Node) ClusterStatus(ctx context.Context) ClusterStatus {
	c := n.options.Cluster
	if c == nil {
		return ClusterStatus{Nodes: []NodeStatus{n.nodeStatus()}}
	}
	members := n.log.Members()
	status := ClusterStatus{Name: c.Name, Nodes: make([]NodeStatus, len(members))}
	var wait sync.WaitGroup
	for i, member := range members {
		if member.Address == "" {
			member.Address = c.address(member.ID)
		}
		wait.Go(func() { status.Nodes[i] = n.statusOf(ctx, member) })
	}
	wait.Wait()
	return status
}

func (n *Node) statusOf(ctx context.Context, member raft.Member) NodeStatus {
	if member.ID == n.options.Cluster.Self {
		return n.nodeStatus()
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	status := NodeStatus{ID: member.ID, Address: member.Address, Operator: member.Operator}
	b, err := n.transport.Call(ctx, member.ID, callStatus, nil)
	if err == nil {
		err = json.Unmarshal(b, &status)
	}
	if err != nil {
		status.Error, status.Quarantine = err.Error(), n.transport.Refused(member.ID)
	}
	return status
}

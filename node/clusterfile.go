package node

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/internal/guard"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// File is what a node of a cluster is started with: cluster init writes one for
// each. Paths in it are relative to the file.
type File struct {
	Cluster string   `yaml:"cluster"`
	Node    string   `yaml:"node"`
	Nodes   []Member `yaml:"nodes"`
	// Founders are the nodes that the cluster began with; default all. Groups
	// follow from them.
	Founders    []string `yaml:"founders,omitempty"`
	Credentials string   `yaml:"credentials"`
	Wallets     string   `yaml:"wallets"`
	DataDir     string   `yaml:"data-dir"`
	Host        string   `yaml:"host"`
	PortBase    int      `yaml:"port-base"`
	// Sequencing orders processes that do not choose, the same on all nodes.
	Sequencing string `yaml:"sequencing,omitempty"`
	// Chain is when blocks come, the same on all nodes.
	Chain Chain `yaml:"chain,omitempty"`
	// HopsMax and PairRateMax bound what one message may cause; 0: no bound. A flag
	// of the same name goes before.
	HopsMax     *int `yaml:"hops-max,omitempty"`
	PairRateMax *int `yaml:"pair-rate-max,omitempty"`
	// RootEvery has state roots kept behind every such nonce. A flag of the same name
	// goes before.
	RootEvery uint64 `yaml:"root-every,omitempty"`
	// CheckpointEvery has checkpoints made after so many messages of a process.
	CheckpointEvery uint64 `yaml:"checkpoint-every,omitempty"`
	// Gateways and AllowAddresses add to what the flags --gateway and
	// --allow-addresses say.
	Gateways       []string `yaml:"gateways,omitempty"`
	AllowAddresses []string `yaml:"allow-addresses,omitempty"`
	// SchedulerURL is where others reach the scheduler; default where it listens.
	SchedulerURL string `yaml:"scheduler-url,omitempty"`
}

// bound is an option's value for what a file says; nil: nothing.
func bound(n *int) int {
	if n == nil {
		return 0
	}
	return Bound(*n)
}

// Bound is an option's value for what an operator writes, where 0 means none.
func Bound(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

// ReadFile reads a node's file into options.
func ReadFile(path string) (Options, error) {
	f, err := decodeFile(path)
	if err != nil {
		return Options{}, err
	}
	var mode aolog.Mode
	if f.Sequencing != "" {
		if mode, err = aolog.ParseMode(f.Sequencing); err != nil {
			return Options{}, fmt.Errorf("node file %s: %w", path, err)
		}
	}
	allowed, err := guard.ParseAllowed(f.AllowAddresses)
	if err != nil {
		return Options{}, fmt.Errorf("node file %s: %w", path, err)
	}
	from := func(name string) string {
		if name == "" || filepath.IsAbs(name) {
			return name
		}
		return filepath.Join(filepath.Dir(path), name)
	}
	return Options{
		DataDir: from(f.DataDir), Host: f.Host, PortBase: f.PortBase, HopsMax: bound(f.HopsMax), PairRateMax: bound(f.PairRateMax),
		RootEvery: f.RootEvery, CheckpointEvery: f.CheckpointEvery, Gateways: f.Gateways, AllowAddresses: allowed, SchedulerURL: f.SchedulerURL,
		Cluster: &Cluster{
			Name: f.Cluster, Self: f.Node, Members: f.Nodes, Founders: f.Founders, Mode: mode, Chain: f.Chain,
			CredentialsDir: from(f.Credentials), WalletDir: from(f.Wallets),
		},
	}, nil
}

func decodeFile(path string) (f File, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return f, fmt.Errorf("read the node's file: %w: wallaby cluster init makes one for each node", err)
	}
	decoder := yaml.NewDecoder(bytes.NewReader(b))
	decoder.KnownFields(true)
	if err := decoder.Decode(&f); err != nil {
		return f, fmt.Errorf("node file %s: %w", path, err)
	}
	return f, nil
}

// ClusterPlan is a cluster to be made.
type ClusterPlan struct {
	Name    string
	Members []Member
	// PortBases are the ports of each node's units; default 4000 for all, for
	// nodes on machines of their own.
	PortBases []int
	// Founders are the nodes that the cluster began with; default all.
	Founders []string
	// Sequencing orders processes that do not choose; default all nodes vote.
	Sequencing string
	// Chain is when blocks come; default: from when the cluster is made.
	Chain Chain
}

// CreateCluster makes a cluster's keys and a directory for each node under dir:
// the node's file, its credentials, and the wallets that all share. It makes
// nothing anew that is there.
func CreateCluster(dir string, plan ClusterPlan, now time.Time) error {
	c := &Cluster{Name: plan.Name, Self: plan.Members[0].ID, Members: plan.Members}
	if err := c.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", dir, err)
	}
	if _, err := os.Stat(filepath.Join(dir, raft.FileAuthority)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds a cluster already: choose another directory", dir)
	}
	authority, err := raft.CreateAuthority(dir, plan.Name, now)
	if err != nil {
		return err
	}
	for _, name := range []string{schedulerWallet, authorityWallet} {
		if _, err := CreateWallet(filepath.Join(dir, walletsDir, name), dataitem.Ethereum); err != nil {
			return err
		}
	}
	if plan.Chain == (Chain{}) {
		plan.Chain = Chain{GenesisMS: now.UnixMilli(), IntervalMS: chainIntervalMS}
	}
	plan.Members = slices.Clone(plan.Members)
	for i, member := range plan.Members {
		operator, err := CreateWallet(filepath.Join(NodeDir(dir, member.ID), walletsDir, operatorWallet), dataitem.Ethereum)
		if err != nil {
			return err
		}
		plan.Members[i].Operator = dataitem.AddressOf(operator.Owner())
	}
	for i, member := range plan.Members {
		portBase := 4000
		if plan.PortBases != nil {
			portBase = plan.PortBases[i]
		}
		if err := createNode(dir, plan, member, portBase, authority, now); err != nil {
			return err
		}
	}
	return nil
}

func createNode(dir string, plan ClusterPlan, member Member, portBase int, authority *raft.Authority, now time.Time) error {
	own := NodeDir(dir, member.ID)
	if err := authority.Issue(own, member.ID, now); err != nil {
		return err
	}
	for _, name := range []string{schedulerWallet, authorityWallet} {
		b, err := os.ReadFile(filepath.Join(dir, walletsDir, name))
		if err != nil {
			return fmt.Errorf("read wallet: %w", err)
		}
		if err := os.MkdirAll(filepath.Join(own, walletsDir), 0o700); err != nil {
			return fmt.Errorf("make the wallets of node %s: %w", member.ID, err)
		}
		if err := fsx.CreateDurably(filepath.Join(own, walletsDir, name), 0o600, b); err != nil {
			return fmt.Errorf("write wallet: %w", err)
		}
	}
	b, err := yaml.Marshal(File{
		Cluster: plan.Name, Node: member.ID, Nodes: plan.Members, Founders: plan.Founders, Sequencing: plan.Sequencing, Chain: plan.Chain,
		Credentials: ".", Wallets: walletsDir, DataDir: "data", Host: "127.0.0.1", PortBase: portBase,
	})
	if err != nil {
		return fmt.Errorf("encode the file of node %s: %w", member.ID, err)
	}
	if err := os.WriteFile(NodeFile(dir, member.ID), b, 0o600); err != nil {
		return fmt.Errorf("write the file of node %s: %w", member.ID, err)
	}
	return nil
}

// NodeDir is where CreateCluster puts what belongs to a node.
func NodeDir(dir, id string) string { return filepath.Join(dir, id) }

// NodeFile is the file that a node is started with.
func NodeFile(dir, id string) string { return filepath.Join(dir, id, id+".yaml") }

package node

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/vm"
)

// Options says where a node keeps its data and where it listens.
type Options struct {
	// DataDir holds everything the node remembers. It is created if needed.
	DataDir string
	// Ephemeral keeps the data in a temporary directory that Close removes.
	Ephemeral bool
	// CacheDir keeps compiled modules, which other nodes of this machine may use, too;
	// default "cache" in DataDir.
	CacheDir string
	// Host is the address to listen on; default 127.0.0.1.
	Host string
	// PortBase is the gateway's port; the messenger listens on PortBase+2, the
	// scheduler on +3, the compute unit on +4. Default 4000; 0 with AnyPort.
	PortBase int
	// AnyPort lets the system choose free ports, for tests.
	AnyPort bool
	// Cluster makes the node one of several that replicate their log; nil: it is
	// alone.
	Cluster *Cluster
	// Modules are published, or pinned under a given id, before the node
	// serves.
	Modules []ModuleFile
	// HotMemoryBytes bounds the memory of processes kept ready to run; default
	// 512 MiB.
	HotMemoryBytes uint64
	// Workers is the number of processes evaluated at once; default one per
	// core.
	Workers int
	// EvaluationTimeoutMS is the wall clock allowed to one message, as the last
	// resort behind gas; default 60,000.
	EvaluationTimeoutMS int64
	// PluginDirs are searched for virtual machines that run as plugins, programs
	// called wallaby-vm-NAME.
	PluginDirs []string
	// PluginMemoryBytes bounds each process of a plugin; default 4 GiB.
	PluginMemoryBytes uint64
	// Gateways are URLs of gateways that are asked about processes and schedulers
	// which this node's own does not know, in this order.
	Gateways []string
	// AllowAddresses are prefixes that URLs of other schedulers may lead to although
	// they are loopback, private or the like: guard.ParseAllowed reads them.
	AllowAddresses []netip.Prefix
	// SchedulerURL is where others reach the scheduler, for its Scheduler-Location;
	// default where it listens.
	SchedulerURL string
	// Settlement says where the log is settled beside the node's own gateway.
	Settlement Settlement
	// TrustCheckpoints are addresses whose checkpoints are believed if they hold,
	// beside this node's own.
	TrustCheckpoints []string
	// Machines are rules for processes that ask for no virtual machine; without
	// one it is wazero.
	Machines []MachineRule
	// WrapDriver, if set, stands between the engine and the virtual machine, to
	// record or to measure.
	WrapDriver func(vm.Driver) vm.Driver
	// AheadMessages is how many messages that are not evaluated yet have reads of a
	// process answered from a checkpoint; default 1,000.
	AheadMessages uint64
	// CheckpointEvery has a checkpoint of a process made after so many messages, though
	// at most one in half an hour, and uploaded if the node settles; 0: only when an
	// operator asks.
	CheckpointEvery uint64
	// RootEvery has state roots kept behind every such nonce; 0: of none, they are
	// worked out when somebody asks.
	RootEvery uint64
	// HopsMax is how many deliveries one message may cause at this node before the
	// rest is parked; default 10,000, negative: no bound.
	HopsMax int
	// PairRateMax is how often in a minute one process may send to another for one
	// message; default 6,000, negative: no bound.
	PairRateMax int
	// Now is the wall clock; default time.Now.
	Now func() time.Time
	// Logger receives what an operator can act on; default none.
	Logger zerolog.Logger
}

// ModuleFile is a wasm file for the node to serve.
type ModuleFile struct {
	// ID is the id that clients have hard-coded; zero publishes the module
	// under its own id.
	ID   ao.ID
	Path string
}

// ParseModuleFile reads "FILE.wasm" or "ID=FILE.wasm".
func ParseModuleFile(s string) (ModuleFile, error) {
	if len(s) > 44 && s[43] == '=' {
		id, err := ao.ParseID(s[:43])
		if err != nil {
			return ModuleFile{}, fmt.Errorf("module %q: %w", s, err)
		}
		return ModuleFile{ID: id, Path: s[44:]}, nil
	}
	if s == "" {
		return ModuleFile{}, fmt.Errorf("module: name a .wasm file, or ID=FILE.wasm")
	}
	return ModuleFile{Path: s}, nil
}

// The ports of the units, relative to the gateway's.
const (
	portOffsetMU = 2
	portOffsetSU = 3
	portOffsetCU = 4
)

func (o Options) withDefaults() (Options, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.PortBase == 0 {
		o.PortBase = 4000
	}
	if o.PortBase < 1 || o.PortBase+portOffsetCU > 65535 {
		return o, fmt.Errorf("port base %d leaves no room for the units: choose 1 to %d", o.PortBase, 65535-portOffsetCU)
	}
	if o.DataDir == "" && !o.Ephemeral {
		return o, fmt.Errorf("no data directory: name one or ask for an ephemeral node")
	}
	if o.Cluster != nil {
		if err := o.Cluster.check(); err != nil {
			return o, err
		}
	}
	for _, text := range o.Gateways {
		if _, err := courier.NewRemote(text, nil); err != nil {
			return o, err
		}
	}
	if u, err := url.Parse(o.SchedulerURL); o.SchedulerURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		return o, fmt.Errorf("scheduler URL %q is no http URL: name the one that others reach it by", o.SchedulerURL)
	}
	for _, owner := range o.TrustCheckpoints {
		if _, err := ao.ParseID(owner); err != nil {
			return o, fmt.Errorf("trust-checkpoints: %q is no owner's address as gateways index it: %w", owner, err)
		}
	}
	if err := o.Settlement.check(); err != nil {
		return o, err
	}
	if o.HotMemoryBytes == 0 {
		o.HotMemoryBytes = 512 << 20
	}
	if o.EvaluationTimeoutMS == 0 {
		o.EvaluationTimeoutMS = 60_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

func (o Options) address(offset int) string {
	if o.AnyPort {
		return net.JoinHostPort(o.Host, "0")
	}
	return net.JoinHostPort(o.Host, strconv.Itoa(o.PortBase+offset))
}

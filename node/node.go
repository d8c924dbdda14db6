package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/internal/kv"
	"github.com/wallaby-ao/wallaby/messenger"
	"github.com/wallaby-ao/wallaby/raft"
	"github.com/wallaby-ao/wallaby/settlement"
	"github.com/wallaby-ao/wallaby/vm"
)

// Node is a whole ao computer that is open and serving.
type Node struct {
	options   Options
	dir       string
	listeners *listeners
	doors     doors
	servers   *servers

	scheduler dataitem.Signer
	authority dataitem.Signer
	operator  dataitem.Signer // this node's own, in a cluster that has such keys

	transport *raft.Transport // nil when the node is alone
	gateway   *gateway.Gateway
	fallback  *fallback
	log       *raft.Node
	state     *kv.DB
	drivers   []vm.Driver
	machines  map[string]string // format, or "" → driver
	engine    *engine.Engine
	forks     *forks
	courier   *courier.Courier
	messenger *messenger.Messenger
	voice     *voice // nil when the node has no key of its own
	monitor   *messenger.Monitor
	modules   []Module
	// uploads settles the log on the weave; nil when it is settled nowhere.
	uploads atomic.Pointer[settlement.Settler]
	// archives are the gateways that the operator has named, by URL.
	archives map[string]*settlement.Archive
	// checkpointing is held while a checkpoint is made or some are judged; unit names
	// this start in those that are made.
	checkpointing sync.Mutex
	unit          func() (string, error)
	// adminToken is what an operator shows.
	adminToken string
	// replaying is held by the replay or the new fork in hand.
	replaying sync.Mutex

	failed    chan error
	ready     chan struct{}
	closers   []closer
	closeOnce sync.Once
	closeErr  error
}

// closer undoes one step of Open.
type closer struct {
	what  string
	close func(context.Context) error
}

// Open starts a node and returns once it serves. Whatever goes wrong leaves
// nothing open, and the error is one line that says what to do.
func Open(ctx context.Context, options Options) (*Node, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{options: options, failed: make(chan error, 1), ready: make(chan struct{}), unit: sync.OnceValues(newUnit)}
	if err := n.open(ctx); err != nil {
		// The first error is the one to show; what closing adds is noise.
		_ = n.Close(ctx)
		return nil, err
	}
	close(n.ready)
	return n, nil
}

// open takes each part in the order in which later parts need it. Ports come
// first because they fail fast; their doors open last, so that nothing is
// answered by half a node.
func (n *Node) open(ctx context.Context) error {
	steps := []func(context.Context) error{
		n.openListeners,
		n.openDirectory,
		n.openRestored,
		n.openDisk,
		n.openDoors,
		n.openWallets,
		n.openAdmin,
		n.openGateway,
		n.openTransport,
		n.openLog,
		n.openState,
		n.openEngine,
		n.openForks,
		n.openCourier,
		n.openMessenger,
		n.openMonitor,
		n.openCluster,
		n.openSettlement,
		n.openUploads,
		n.openCheckpoints,
		n.publishModules,
		n.publishSchedulerLocation,
		n.openServers,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// onClose remembers how to undo a step; Close runs these in reverse.
func (n *Node) onClose(what string, close func(context.Context) error) {
	n.closers = append(n.closers, closer{what, close})
}

// Close drains the node: requests in hand are answered, the message in hand is
// evaluated, and everything is put away. It waits until ctx ends at the most.
func (n *Node) Close(ctx context.Context) error {
	n.closeOnce.Do(func() {
		for i := len(n.closers) - 1; i >= 0; i-- {
			step := n.closers[i]
			if err := step.close(ctx); err != nil && n.closeErr == nil {
				n.closeErr = fmt.Errorf("close %s: %w", step.what, err)
			}
		}
	})
	return n.closeErr
}

// Failed gives the error that makes the node unfit to go on, such as a failed
// fsync. The owner must then stop: memory that may be wrong must not serve.
func (n *Node) Failed() <-chan error { return n.failed }

// fail reports the first fatal error.
func (n *Node) fail(err error) {
	select {
	case n.failed <- err:
	default:
	}
}

func (n *Node) openListeners(context.Context) error {
	listeners, err := listen(n.options)
	if err != nil {
		return err
	}
	n.listeners = listeners
	n.onClose("ports", func(context.Context) error { listeners.close(); return nil })
	return nil
}

func (n *Node) openDirectory(context.Context) error {
	n.dir = n.options.DataDir
	if n.options.Ephemeral {
		dir, err := os.MkdirTemp("", "wallaby-")
		if err != nil {
			return fmt.Errorf("make a temporary data directory: %w", err)
		}
		n.dir = dir
		n.onClose("temporary data directory", func(context.Context) error { return os.RemoveAll(dir) })
	} else if err := os.MkdirAll(n.dir, 0o755); err != nil {
		return fmt.Errorf("cannot make data directory %s (%w): choose another with --data-dir", n.dir, cause(err))
	}
	lock, err := lockDirectory(n.dir)
	if err != nil {
		return err
	}
	n.onClose("lock", func(context.Context) error { return lock.Close() })
	return nil
}

func (n *Node) openWallets(context.Context) (err error) {
	dir, open := filepath.Join(n.dir, walletsDir), OpenWallet
	if n.options.Cluster != nil {
		// The nodes of a cluster sign as one: none may make keys of its own.
		dir = n.options.Cluster.WalletDir
		open = func(path string, _ dataitem.SignatureType) (dataitem.Signer, error) { return LoadWallet(path) }
	}
	if n.scheduler, err = open(filepath.Join(dir, schedulerWallet), dataitem.Ethereum); err != nil {
		return err
	}
	if n.authority, err = open(filepath.Join(dir, authorityWallet), dataitem.Ethereum); err != nil {
		return err
	}
	return n.openOperator(dir)
}

// openOperator reads the key that this node's operator has alone.
func (n *Node) openOperator(dir string) error {
	c := n.options.Cluster
	if c == nil || len(c.operators()) == 0 {
		return nil
	}
	path := filepath.Join(dir, operatorWallet)
	signer, err := LoadWallet(path)
	if err != nil {
		return fmt.Errorf("the operator's key of node %s: %w", c.Self, err)
	}
	if want := c.operators()[c.Self]; dataitem.AddressOf(signer.Owner()) != want {
		return fmt.Errorf("%s is not the key that the node's file names as the operator of node %s (%s)", path, c.Self, want)
	}
	n.operator = signer
	return nil
}

// The keys of a node, or of a cluster.
const (
	walletsDir      = "wallets"
	schedulerWallet = "scheduler.json"
	authorityWallet = "authority.json"
	operatorWallet  = "operator.json"
)

// SchedulerAddress is the address that processes name in their Scheduler tag,
// in the form that gateways index.
func (n *Node) SchedulerAddress() string { return dataitem.AddressOf(n.scheduler.Owner()).String() }

// AuthorityAddress is the address that processes trust to push messages, in
// the form that contracts see.
func (n *Node) AuthorityAddress() string { return dataitem.NativeAddress(n.authority.Owner()) }

// errNotRunning says that a part was asked for before it was opened.
var errNotRunning = errors.New("the node is not running")

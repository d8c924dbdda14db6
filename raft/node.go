package raft

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
)

// Options says where a node's log is and who signs in it.
type Options struct {
	Dir    string
	Signer dataitem.Signer // the scheduler's key
	// BlockHeight is the height that assignments carry; default 0.
	BlockHeight func() uint64
	Now         func() time.Time // default time.Now
	Rand        io.Reader        // default crypto/rand
	FS          fsx.FS           // default the real file system
	Logger      zerolog.Logger
	// QueueMax is how many appends may wait for their place; default 4096.
	QueueMax int
	// SegmentBytes is the size of a segment; default log.SegmentBytes.
	SegmentBytes int64
	// Fatal is told of an error after which the node must stop.
	Fatal func(error)
}

func (o Options) withDefaults() Options {
	if o.BlockHeight == nil {
		o.BlockHeight = func() uint64 { return 0 }
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.FS == nil {
		o.FS = fsx.OS{}
	}
	if o.QueueMax == 0 {
		o.QueueMax = 4096
	}
	if o.Fatal == nil {
		o.Fatal = func(error) {}
	}
	return o
}

// groupID is the only group there is while a node is its own quorum.
const groupID = 0

// Node is a log.Log whose one group has one voter: this node.
type Node struct {
	options   Options
	ledger    *log.Ledger
	index     *log.Index
	lock      *os.File
	stable    *stableStore
	snapshots *snapshotStore
	raft      *hraft.Raft
	pipeline  *pipeline

	progress progress
	failure  atomic.Pointer[error]
	once     sync.Once
	closeErr error
}

var _ log.Log = (*Node)(nil)

// Open opens or makes a log. Damage gives an error that wraps log.ErrCorrupt
// and names the file.
func Open(options Options) (*Node, error) {
	options = options.withDefaults()
	n := &Node{options: options}
	n.progress.cond = sync.NewCond(&n.progress.Mutex)
	if err := n.open(); err != nil {
		n.closeStores()
		return nil, err
	}
	return n, nil
}

func (n *Node) open() (err error) {
	o := n.options
	warn := func(text string) { o.Logger.Warn().Msg(text) }
	if n.lock, err = lockDir(o.Dir); err != nil {
		return err
	}
	n.ledger, err = log.OpenLedger(log.LedgerOptions{
		Dir: filepath.Join(o.Dir, "segments"), FS: o.FS, SegmentBytes: o.SegmentBytes, Fatal: n.fail, Warn: warn,
	})
	if err != nil {
		return err
	}
	_, last := n.ledger.Bounds(groupID)
	if n.stable, err = openStableStore(o.FS, o.Dir, last > 0, n.fail, warn); err != nil {
		return err
	}
	if n.snapshots, err = openSnapshots(o.FS, o.Dir, warn); err != nil {
		return err
	}
	clean, err := n.openIndex()
	if err != nil {
		return err
	}
	machine := &fsm{group: groupID, ledger: n.ledger, index: n.index, applied: n.progress.set, fatal: n.fail}
	if err := machine.catchUp(n.snapshots.index(), clean); err != nil {
		return err
	}
	if err := n.start(machine); err != nil {
		return err
	}
	n.pipeline = startPipeline(n)
	return nil
}

// fail remembers the first error after which the log cannot go on, and tells
// the owner.
func (n *Node) fail(err error) {
	if n.failure.CompareAndSwap(nil, &err) {
		n.options.Fatal(err)
	}
}

// failed gives that error, or nil.
func (n *Node) failed() error {
	if err := n.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// start runs Raft and waits until this node leads and has applied all it has.
func (n *Node) start(machine *fsm) error {
	const self = hraft.ServerID("solo")
	address, transport := hraft.NewInmemTransport(hraft.ServerAddress(self))
	config := hraft.DefaultConfig()
	config.LocalID = self
	config.Logger = newLogger(n.options.Logger)
	// A single voter waits for nobody: it may call an election at once.
	config.HeartbeatTimeout = 20 * time.Millisecond
	config.ElectionTimeout = 20 * time.Millisecond
	config.LeaderLeaseTimeout = 20 * time.Millisecond
	config.CommitTimeout = time.Second
	config.MaxAppendEntries = 512
	config.BatchApplyCh = true
	// A snapshot is but a position: many of them make a start short.
	config.SnapshotThreshold = 4096
	config.SnapshotInterval = 5 * time.Second
	// Nothing is ever compacted away: the Raft log is the message log.
	config.TrailingLogs = 1 << 62
	store := &logStore{ledger: n.ledger, group: groupID}
	exists, err := hraft.HasExistingState(store, n.stable, n.snapshots)
	if err != nil {
		return fmt.Errorf("look for an existing group: %w", err)
	}
	if !exists {
		voters := hraft.Configuration{Servers: []hraft.Server{{ID: self, Address: address}}}
		if err := hraft.BootstrapCluster(config, store, n.stable, n.snapshots, transport, voters); err != nil {
			return fmt.Errorf("start a new group: %w", err)
		}
	}
	if n.raft, err = hraft.NewRaft(config, machine, store, n.stable, n.snapshots, transport); err != nil {
		return fmt.Errorf("start Raft: %w", err)
	}
	select {
	case leads := <-n.raft.LeaderCh():
		if !leads {
			return errors.New("this node lost the lead of its own group at start")
		}
	case <-time.After(leaderTimeout):
		return fmt.Errorf("this node does not lead its own group after %s", leaderTimeout)
	}
	if err := n.raft.Barrier(0).Error(); err != nil {
		return fmt.Errorf("apply the log: %w", err)
	}
	n.progress.set(n.raft.AppliedIndex())
	return nil
}

// leaderTimeout is generous because an election of one flushes twice on a disk
// that may be busy.
const leaderTimeout = 30 * time.Second

// Append gives a proposal its place; see log.Log.
func (n *Node) Append(ctx context.Context, proposal log.Proposal) (log.Entry, bool, error) {
	return n.pipeline.append(ctx, proposal)
}

// Groups names the one group.
func (n *Node) Groups() []uint32 { return []uint32{groupID} }

// Close finishes the appends in hand and closes everything.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.pipeline.close()
		n.progress.close()
		if n.failed() == nil {
			// Nothing to take a snapshot of is no fault.
			if err := n.raft.Snapshot().Error(); err != nil && !errors.Is(err, hraft.ErrNothingNewToSnapshot) {
				n.closeErr = fmt.Errorf("snapshot the log: %w", err)
			}
		}
		err := n.raft.Shutdown().Error()
		n.closeErr = errors.Join(n.closeErr, err, n.closeStores())
	})
	return n.closeErr
}

// closeStores closes what is open, the index first because it is derived from
// the ledger.
func (n *Node) closeStores() error {
	var errs []error
	if n.index != nil {
		err := n.index.Close()
		if err == nil && n.raft != nil && n.failed() == nil {
			err = n.setMarker(cleanMarker, true)
		}
		errs = append(errs, err)
	}
	if n.snapshots != nil {
		errs = append(errs, n.snapshots.close())
	}
	if n.stable != nil {
		errs = append(errs, n.stable.Close())
	}
	if n.ledger != nil {
		errs = append(errs, n.ledger.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}

// progress is how far the group is applied, for those who follow it.
type progress struct {
	sync.Mutex
	cond   *sync.Cond
	index  uint64
	closed bool
}

func (p *progress) set(index uint64) {
	p.Lock()
	p.index = max(p.index, index)
	p.Unlock()
	p.cond.Broadcast()
}

func (p *progress) close() {
	p.Lock()
	p.closed = true
	p.Unlock()
	p.cond.Broadcast()
}

// wait returns the applied index once it is at least index.
func (p *progress) wait(ctx context.Context, index uint64) (uint64, error) {
	stop := context.AfterFunc(ctx, p.cond.Broadcast)
	defer stop()
	p.Lock()
	defer p.Unlock()
	for p.index < index && !p.closed && ctx.Err() == nil {
		p.cond.Wait()
	}
	switch {
	case ctx.Err() != nil:
		return 0, ctx.Err()
	case p.index < index:
		return 0, log.ErrClosed
	}
	return p.index, nil
}

// randomAnchor makes an assignment's anchor.
func (n *Node) randomAnchor() (anchor [32]byte, err error) {
	if _, err := io.ReadFull(n.options.Rand, anchor[:]); err != nil {
		return anchor, fmt.Errorf("read randomness: %w", err)
	}
	return anchor, nil
}

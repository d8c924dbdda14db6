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
	options  Options
	ledger   *log.Ledger
	index    *log.Index
	stable   *stableStore
	raft     *hraft.Raft
	pipeline *pipeline

	progress progress
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
	n.ledger, err = log.OpenLedger(log.LedgerOptions{
		Dir: filepath.Join(o.Dir, "segments"), FS: o.FS, SegmentBytes: o.SegmentBytes, Fatal: o.Fatal,
		Warn: func(text string) { o.Logger.Warn().Msg(text) },
	})
	if err != nil {
		return err
	}
	if n.stable, err = openStableStore(o.FS, o.Dir); err != nil {
		return err
	}
	clean, err := n.openIndex()
	if err != nil {
		return err
	}
	snapshots, err := hraft.NewFileSnapshotStoreWithLogger(o.Dir, 2, newLogger(o.Logger))
	if err != nil {
		return fmt.Errorf("open Raft snapshots in %s: %w", o.Dir, err)
	}
	machine := &fsm{
		group: groupID, ledger: n.ledger, index: n.index,
		sequencer: log.Sequencer{}, applied: n.progress.set, fatal: o.Fatal,
	}
	if err := machine.catchUp(newestSnapshot(snapshots), clean); err != nil {
		return err
	}
	if err := n.start(machine, snapshots); err != nil {
		return err
	}
	n.pipeline = startPipeline(n)
	return nil
}

// start runs Raft and waits until this node leads and has applied all it has.
func (n *Node) start(machine *fsm, snapshots hraft.SnapshotStore) error {
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
	config.SnapshotThreshold = 8192
	// Nothing is ever compacted away: the Raft log is the message log.
	config.TrailingLogs = 1 << 62
	store := &logStore{ledger: n.ledger, group: groupID}
	exists, err := hraft.HasExistingState(store, n.stable, snapshots)
	if err != nil {
		return fmt.Errorf("look for an existing group: %w", err)
	}
	if !exists {
		voters := hraft.Configuration{Servers: []hraft.Server{{ID: self, Address: address}}}
		if err := hraft.BootstrapCluster(config, store, n.stable, snapshots, transport, voters); err != nil {
			return fmt.Errorf("start a new group: %w", err)
		}
	}
	if n.raft, err = hraft.NewRaft(config, machine, store, n.stable, snapshots, transport); err != nil {
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

// cleanMarker is there only while the index was closed in good order.
const cleanMarker = "index.clean"

// openIndex opens the index, or makes it anew from the ledger when badger finds
// it damaged.
func (n *Node) openIndex() (clean bool, err error) {
	marker := filepath.Join(n.options.Dir, cleanMarker)
	if _, err := os.Stat(marker); err == nil {
		clean = true
		if err := os.Remove(marker); err != nil {
			return false, fmt.Errorf("remove %s: %w", marker, err)
		}
	}
	dir := filepath.Join(n.options.Dir, "index")
	n.index, err = log.OpenIndex(dir)
	if err == nil {
		_, err = n.index.Applied(groupID)
	}
	if err == nil {
		return clean, nil
	}
	n.options.Logger.Warn().Err(err).Msg("the log's index is damaged: making it anew from the segments")
	if n.index != nil {
		_ = n.index.Close()
	}
	if err := os.RemoveAll(dir); err != nil {
		return false, fmt.Errorf("remove the damaged log index %s: %w", dir, err)
	}
	n.index, err = log.OpenIndex(dir)
	return false, err
}

func newestSnapshot(snapshots hraft.SnapshotStore) uint64 {
	list, err := snapshots.List()
	if err != nil || len(list) == 0 {
		return 0
	}
	return list[0].Index
}

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
		err := n.raft.Shutdown().Error()
		n.closeErr = errors.Join(err, n.closeStores())
	})
	return n.closeErr
}

// closeStores closes what is open, the index first because it is derived from
// the ledger.
func (n *Node) closeStores() error {
	var errs []error
	if n.index != nil {
		err := n.index.Close()
		if err == nil && n.raft != nil {
			err = os.WriteFile(filepath.Join(n.options.Dir, cleanMarker), nil, 0o644)
		}
		errs = append(errs, err)
	}
	if n.stable != nil {
		errs = append(errs, n.stable.Close())
	}
	if n.ledger != nil {
		errs = append(errs, n.ledger.Close())
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

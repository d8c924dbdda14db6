package raft

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
)

// group is one Raft group of a node: the order of those processes that the
// placement gives it. All groups of a node share its ledger and its index.
type group struct {
	id        uint32
	node      *Node
	planned   []string // the voters of a new group
	stable    *stableStore
	snapshots *snapshotStore
	transport hraft.Transport
	raft      *hraft.Raft
	pipeline  *pipeline
	cosigner  *cosigner
	progress  progress

	configMu sync.Mutex
	voters   map[string]bool // by the newest committed configuration; nil: not known
	servers  []hraft.Server  // by the same

	verifier verifier

	notify   chan bool       // true when this node begins to lead, false when it ends
	ctx      context.Context // ends when the group closes
	cancel   context.CancelFunc
	wait     sync.WaitGroup
	proposed proposed
}

// errMoved says that another node leads the group, or will.
var errMoved = errors.New("this node does not lead the group")

// moved is an error that says why a group's leader could not be asked, and is
// errMoved: asking again may help.
func moved(format string, args ...any) error { return movedError{fmt.Errorf(format, args...)} }

type movedError struct{ error }

func (e movedError) Is(target error) bool { return target == errMoved }
func (e movedError) Unwrap() error        { return e.error }

// openGroup opens a group's vote and snapshot and brings the index up to it.
func (n *Node) openGroup(plan groupPlan) (*group, error) {
	id := plan.id
	g := &group{id: id, node: n, planned: plan.voters, notify: make(chan bool, 64)}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.cosigner, g.verifier.group = newCosigner(g), g
	g.progress.cond = sync.NewCond(&g.progress.Mutex)
	o := n.options
	warn := func(text string) { o.Logger.Warn().Uint32("group", id).Msg(text) }
	dir := groupDir(o.Dir, id)
	if err := makeGroupDir(o.FS, o.Dir, dir); err != nil {
		return g, fmt.Errorf("make the directory of group %d: %w", id, err)
	}
	_, last := n.ledger.Bounds(id)
	var err error
	if g.stable, err = openStableStore(o.FS, dir, last > 0, n.fail, warn); err != nil {
		return g, err
	}
	if g.snapshots, err = openSnapshots(o.FS, dir, warn); err != nil {
		return g, err
	}
	machine := &fsm{
		group: id, mode: log.Mode{Voters: len(plan.voters)}, ledger: n.ledger, index: n.index, handovers: n.handovers, proposed: &g.proposed,
		applied: g.progress.set, configured: g.setConfiguration, fatal: n.fail, logger: o.Logger,
	}
	if meta := g.snapshots.newest(); meta != nil {
		g.setConfiguration(meta.Configuration)
	}
	if err := machine.catchUp(g.snapshots.index()); err != nil {
		return g, err
	}
	applied, err := n.index.Applied(id)
	if err != nil {
		return g, err
	}
	g.progress.set(applied)
	return g, g.start(machine)
}

// groupDir is where a group keeps its vote and its snapshot.
func groupDir(dir string, id uint32) string {
	return filepath.Join(dir, "groups", strconv.FormatUint(uint64(id), 10))
}

// makeGroupDir makes a directory whose name survives a power cut.
func makeGroupDir(filesystem fsx.FS, root, dir string) error {
	if err := filesystem.MkdirAll(dir); err != nil {
		return err
	}
	if err := filesystem.SyncDir(filepath.Dir(dir)); err != nil {
		return err
	}
	return filesystem.SyncDir(root)
}

// exists reports whether this node has something of the group. A first start that
// was cut off between noting the first term and the first entry, which says who
// votes, has nothing: left like that, the group would never have a leader.
func (g *group) exists(store *logStore) (bool, error) {
	last, err := store.LastIndex()
	if err != nil {
		return false, err
	}
	term, err := g.stable.GetUint64(keyCurrentTerm)
	if err == nil && last == 0 && term == 1 && g.snapshots.index() == 0 {
		if err := g.stable.SetUint64(keyCurrentTerm, 0); err != nil {
			return false, err
		}
	}
	return hraft.HasExistingState(store, g.stable, g.snapshots)
}

// keyCurrentTerm is where Raft keeps the newest term that it knows of.
var keyCurrentTerm = []byte("CurrentTerm")

// start runs Raft. The group of a node that is alone is waited for.
func (g *group) start(machine *fsm) error {
	store := newLogStore(g.node.ledger, g.id, &g.proposed)
	config := g.config()
	g.transport = g.node.transportOf(g)
	exists, err := g.exists(store)
	if err != nil {
		return fmt.Errorf("look for an existing group %d: %w", g.id, err)
	}
	// A node that comes to groups that are there already is told who votes.
	formed := g.node.roster != nil && g.node.roster.othersFormed()
	switch {
	case g.mustRestore(exists, formed):
		if err := g.restore(store); err != nil {
			return err
		}
	case !exists && !formed:
		if err := hraft.BootstrapCluster(config, store, g.stable, g.snapshots, g.transport, g.founding()); err != nil {
			return fmt.Errorf("start a new group %d: %w", g.id, err)
		}
	}
	g.pipeline = startPipeline(g)
	if g.raft, err = hraft.NewRaft(config, machine, store, g.stable, g.snapshots, g.transport); err != nil {
		return fmt.Errorf("start Raft of group %d: %w", g.id, err)
	}
	if t, ok := g.transport.(*groupTransport); ok {
		t.raft.Store(standingOf(g.raft))
	}
	first := make(chan error, 1)
	g.wait.Go(func() { g.watchLead(first) })
	g.wait.Go(func() { g.cosigner.run(g.ctx) })
	if !g.node.alone() {
		return nil
	}
	select {
	case err := <-first:
		return err
	case <-time.After(leaderTimeout):
		return fmt.Errorf("this node does not lead its own group after %s", leaderTimeout)
	}
}

// founding gives the servers of a new group: nodes without a vote get every entry
// too, because every node evaluates every process.
func (g *group) founding() (configuration hraft.Configuration) {
	for _, node := range g.node.placement.nodes {
		server := hraft.Server{ID: hraft.ServerID(node), Address: hraft.ServerAddress(node), Suffrage: hraft.Nonvoter}
		if slices.Contains(g.planned, node) {
			server.Suffrage = hraft.Voter
		}
		configuration.Servers = append(configuration.Servers, server)
	}
	return configuration
}

// leaderTimeout is generous because an election of one flushes twice on a disk
// that may be busy.
const leaderTimeout = 30 * time.Second

func (g *group) config() *hraft.Config {
	timeouts := g.node.options.Timeouts
	if g.node.alone() {
		// A single voter waits for nobody: it may call an election at once.
		timeouts = Timeouts{Heartbeat: 20 * time.Millisecond, Election: 20 * time.Millisecond, Lease: 20 * time.Millisecond}
	}
	config := hraft.DefaultConfig()
	config.LocalID = hraft.ServerID(g.node.options.Self)
	config.Logger = newLogger(g.node.options.Logger)
	config.HeartbeatTimeout = timeouts.Heartbeat
	config.ElectionTimeout = timeouts.Election
	config.LeaderLeaseTimeout = timeouts.Lease
	// A follower learns of a commit with the next entry or after this long.
	config.CommitTimeout = 20 * time.Millisecond
	if g.node.alone() {
		config.CommitTimeout = time.Second
	}
	config.MaxAppendEntries = 512
	config.BatchApplyCh = true
	// A snapshot is but a position, so it costs little, and what came after the
	// newest is applied once more at a start: under load that is two to four
	// seconds of messages.
	config.SnapshotThreshold = 256
	config.SnapshotInterval = 2 * time.Second
	// Nothing is ever compacted away: the Raft log is the message log.
	config.TrailingLogs = 1 << 62
	config.NotifyCh = g.notify
	// A node that is taken out of a group may be put back.
	config.ShutdownOnRemove = false
	return config
}

// watchLead opens the pipeline when this node leads and everything committed by
// leaders before it is applied, for only then does it know every head. first
// is told how the first time went.
func (g *group) watchLead(first chan<- error) {
	for {
		select {
		case leads := <-g.notify:
			if !leads {
				g.pipeline.follow()
				g.node.leadChanged()
				continue
			}
			term := g.raft.CurrentTerm()
			err := g.raft.Barrier(0).Error()
			if err == nil {
				g.pipeline.lead(term)
				g.node.leadChanged()
				g.node.handovers.wake()
			} else {
				err = fmt.Errorf("apply the log of group %d: %w", g.id, err)
			}
			select {
			case first <- err:
			default:
			}
		case <-g.ctx.Done():
			return
		}
	}
}

// setConfiguration notes who votes by a committed configuration.
func (g *group) setConfiguration(configuration hraft.Configuration) {
	voters := map[string]bool{}
	for _, server := range configuration.Servers {
		if server.Suffrage == hraft.Voter {
			voters[string(server.ID)] = true
		}
	}
	g.configMu.Lock()
	g.voters, g.servers = voters, configuration.Servers
	g.configMu.Unlock()
	g.node.memberships.wake()
}

// hasVoter reports whether a node has a vote. Before anything was committed
// those who were planned have.
func (g *group) hasVoter(node string) bool {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	if g.voters == nil {
		return slices.Contains(g.planned, node)
	}
	return g.voters[node]
}

// currentVoters lists those who have a vote, in order.
func (g *group) currentVoters() []string {
	g.configMu.Lock()
	defer g.configMu.Unlock()
	if g.voters == nil {
		return g.planned
	}
	return slices.Sorted(maps.Keys(g.voters))
}

// leader names the node that leads, "" when nobody is known to.
func (g *group) leader() string {
	_, id := g.raft.LeaderWithID()
	return string(id)
}

// close finishes the appends in hand and stops Raft.
func (g *group) close() error {
	var closeErr error
	if g.pipeline != nil {
		g.pipeline.close()
	}
	g.progress.close()
	if g.raft != nil && g.node.failed() == nil {
		// Nothing to take a snapshot of is no fault.
		if err := g.raft.Snapshot().Error(); err != nil && !errors.Is(err, hraft.ErrNothingNewToSnapshot) {
			closeErr = fmt.Errorf("snapshot the log: %w", err)
		}
		g.handOver()
	}
	// Before Raft: it leaves what is in its queue without an answer when it ends.
	g.cancel()
	g.verifier.close()
	g.wait.Wait()
	if g.raft != nil {
		closeErr = errors.Join(closeErr, g.raft.Shutdown().Error())
	}
	if closer, ok := g.transport.(hraft.WithClose); ok {
		closeErr = errors.Join(closeErr, closer.Close())
	}
	return closeErr
}

// handOver gives the lead to another node before this one goes, so that nobody
// has to wait until it counts as lost. If nobody takes it, they wait.
func (g *group) handOver() {
	if len(g.currentVoters()) < 2 || g.raft.State() != hraft.Leader {
		return
	}
	if err := g.raft.LeadershipTransfer().Error(); err != nil {
		g.node.options.Logger.Debug().Err(err).Uint32("group", g.id).Msg("nobody takes over the lead")
	}
}

// closeStores closes the files once Raft is stopped.
func (g *group) closeStores() error {
	var errs []error
	if g.snapshots != nil {
		errs = append(errs, g.snapshots.close())
	}
	if g.stable != nil {
		errs = append(errs, g.stable.Close())
	}
	return errors.Join(errs...)
}

// GroupStatus is one group as this node sees it.
type GroupStatus struct {
	Group  uint32   `json:"group"`
	Role   string   `json:"role"` // leader, follower, candidate or shutdown
	Leader string   `json:"leader"`
	Term   uint64   `json:"term"`
	Last   uint64   `json:"last"`
	Commit uint64   `json:"commit"`
	Lag    uint64   `json:"lag"` // entries committed and not applied yet
	Voters []string `json:"voters"`
}

func (g *group) status() GroupStatus {
	s := GroupStatus{
		Group: g.id, Leader: g.leader(), Term: g.raft.CurrentTerm(), Last: g.raft.LastIndex(), Commit: g.raft.CommitIndex(),
		Voters: g.currentVoters(),
	}
	switch g.raft.State() {
	case hraft.Leader:
		s.Role = "leader"
	case hraft.Candidate:
		s.Role = "candidate"
	case hraft.Follower:
		s.Role = "follower"
	default:
		s.Role = "shutdown"
	}
	if applied := g.raft.AppliedIndex(); applied < s.Commit {
		s.Lag = s.Commit - applied
	}
	return s
}

// progress is the newest entry of the group that holds messages and is applied,
// for those who follow it. It is the same on every node that has applied as
// much: what Raft writes for itself does not count.
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

func (p *progress) reached() uint64 {
	p.Lock()
	defer p.Unlock()
	return p.index
}

// wait returns the applied index once it is at least index.
func (p *progress) wait(ctx context.Context, index uint64) (uint64, error) {
	stop := context.AfterFunc(ctx, func() {
		p.Lock() // whoever looks at ctx waits before this can wake it
		defer p.Unlock()
		p.cond.Broadcast()
	})
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

package raft

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	hraft "github.com/hashicorp/raft"
	"github.com/rs/zerolog"
	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/internal/procs"
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
	// QueueMax is how many appends of a group may wait for their place; default
	// 4096.
	QueueMax int
	// Self is this node's id, and Voters the ids of all nodes that replicate the
	// log, Self among them. A node without Voters is alone. Groups of fewer voters
	// send the others their entries all the same.
	Self   string
	Voters []string
	// Mode orders processes that do not choose; the same on all nodes. Default: all
	// nodes are voters.
	Mode log.Mode
	// Operator signs under the order of cosigned processes: a key that no other
	// node has. nil: this node offers no such mode.
	Operator dataitem.Signer
	// Operators are the addresses of all nodes' operators, by node.
	Operators map[string]ao.ID
	// Evidence is told of two assignments for one place, signed by one scheduler.
	Evidence func(one, other []byte)
	// Transport reaches the other voters; a node that is alone needs none.
	Transport *Transport
	// Timeouts say when a leader counts as lost; default DefaultTimeouts.
	Timeouts Timeouts
	// SegmentBytes is the size of a segment; default log.SegmentBytes.
	SegmentBytes int64
	// IndexMemoryBytes is how much of the index is in memory before it is written;
	// default 8 MiB.
	IndexMemoryBytes int
	// Trusted takes items as they come, without verifying their signatures: for
	// a caller that has verified them, and to measure the log without it.
	Trusted bool
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
	if o.Self == "" {
		o.Self = "solo"
	}
	if o.Mode == (log.Mode{}) {
		o.Mode = log.Mode{Voters: len(o.voters())}
	}
	if o.Timeouts == (Timeouts{}) {
		o.Timeouts = DefaultTimeouts
	}
	return o
}

// voters are all nodes that replicate the log.
func (o Options) voters() []string {
	if len(o.Voters) == 0 {
		return []string{o.Self}
	}
	return o.Voters
}

func (o Options) check() error {
	voters := o.voters()
	switch {
	case !slices.Contains(voters, o.Self) && o.Transport == nil:
		return fmt.Errorf("node %s is none of the voters %v", o.Self, voters)
	case len(voters)%2 == 0:
		return fmt.Errorf("%d voters: an even number survives no more losses than one less: use 1, 3 or 5", len(voters))
	case len(voters) > 1 && o.Transport == nil:
		return errors.New("a node that is not alone needs a transport")
	}
	return nil
}

// Timeouts say when a leader counts as lost. Heartbeats do not wait for a disk,
// so they may be shorter than its stalls.
type Timeouts struct {
	// Heartbeat is for how long a follower waits for its leader, Election how
	// long a candidate waits for votes; both are stretched at random up to twice.
	Heartbeat, Election time.Duration
	// Lease is after how long without a majority a leader steps down.
	Lease time.Duration
}

// DefaultTimeouts find a lost leader within a second.
var DefaultTimeouts = Timeouts{Heartbeat: 300 * time.Millisecond, Election: 300 * time.Millisecond, Lease: 250 * time.Millisecond}

// Node is a log.Log: the groups that this node has a vote in, over one ledger
// and one index. What belongs to a group that another node leads is passed on
// to that node.
type Node struct {
	options     Options
	placement   placement
	ledger      *log.Ledger
	index       *log.Index
	lock        *os.File
	roster      *roster      // nil for a node that is alone
	groupsMu    sync.RWMutex // while the node opens
	groups      map[uint32]*group
	verify      chan struct{} // a token for each verification at work
	changed     chan struct{} // the lead of a group has changed
	handovers   *handovers
	memberships *memberships

	failure  atomic.Pointer[error]
	once     sync.Once
	closeErr error
}

var _ log.Log = (*Node)(nil)

// Open opens or makes a log. Damage gives an error that wraps log.ErrCorrupt
// and names the file. A node that is not alone waits at its first start until it
// has met all the others, or ctx ends; later it waits for nobody: until a
// majority is there, appends fail with CodeUnavailable.
func Open(ctx context.Context, options Options) (*Node, error) {
	options = options.withDefaults()
	if err := options.check(); err != nil {
		return nil, err
	}
	n := &Node{
		options: options,
		groups:  map[uint32]*group{},
		verify:  make(chan struct{}, procs.Cores()),
		changed: make(chan struct{}, 1),
	}
	n.handovers, n.memberships = newHandovers(n), newMemberships(n)
	if err := n.open(ctx); err != nil {
		for _, g := range n.groups {
			_ = g.close()
		}
		_ = n.closeStores()
		return nil, err
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) (err error) {
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
	if err := n.openIndex(); err != nil {
		return err
	}
	n.placement = newPlacement(o.voters())
	if err := n.offers(o.Mode); err != nil {
		return err
	}
	if o.Transport != nil {
		if err := n.meetAll(ctx, warn); err != nil {
			return err
		}
	}
	// Each group puts into the index what that lacks.
	var opening errgroup.Group
	opening.SetLimit(procs.Cores())
	for _, plan := range n.placement.plans() {
		opening.Go(func() error {
			g, err := n.openGroup(plan)
			n.groupsMu.Lock()
			defer n.groupsMu.Unlock()
			n.groups[plan.id] = g
			return err
		})
	}
	if err := opening.Wait(); err != nil {
		return err
	}
	if o.Transport != nil {
		n.serve(o.Transport)
		n.serveMembership(o.Transport)
		n.serveHandover(o.Transport)
		n.serveCosigning(o.Transport)
	}
	n.handovers.start()
	n.memberships.start()
	return nil
}

// meetAll opens the roster and waits until every other node was met.
func (n *Node) meetAll(ctx context.Context, warn func(string)) (err error) {
	o := n.options
	formed := func() bool {
		for _, id := range n.placement.groups() {
			if _, last := n.ledger.Bounds(id); last > 0 {
				return true
			}
		}
		return false
	}
	if n.roster, err = openRoster(o.FS, o.Dir, formed(), o.Rand, warn); err != nil {
		return err
	}
	n.roster.formed, n.roster.isVoter, n.roster.mode = formed, n.isVoter, o.Mode.String()
	o.Transport.start(n.roster)
	for told := false; ; {
		missing, changed := n.roster.missing(o.Self, o.Voters)
		// A node that was added later begins no group: it needs but one that has.
		added := !slices.Contains(o.Voters, o.Self) && len(missing) < len(o.Voters) && n.roster.othersFormed()
		if len(missing) == 0 || added {
			return nil
		}
		if !told {
			o.Logger.Info().Strs("nodes", missing).Msg("first start: waiting to meet the other nodes")
			told = true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("nodes %v never let this one in: at its first start a node waits for all to be up, and one that lost its data for wallaby cluster repair: %w", missing, ctx.Err())
		}
	}
}

// isVoter reports whether a node has a vote in some group, as far as this node
// knows for sure.
func (n *Node) isVoter(node string) bool {
	n.groupsMu.RLock()
	defer n.groupsMu.RUnlock()
	for _, id := range n.placement.groups() {
		if g := n.groups[id]; g == nil || g.hasVoter(node) {
			return true
		}
	}
	return false
}

// transportOf gives a group its way to the other voters.
func (n *Node) transportOf(g *group) hraft.Transport {
	if n.alone() {
		_, alone := hraft.NewInmemTransport(hraft.ServerAddress(n.options.Self))
		return alone
	}
	return n.options.Transport.group(g.id)
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

// Groups names the groups whose entries this node holds, in order.
func (n *Node) Groups() []uint32 { return n.placement.groups() }

// Leads reports whether this node leads the group of a process.
func (n *Node) Leads(process ao.ID) bool {
	g := n.groupOf(process)
	return g != nil && g.pipeline.leads()
}

// Leader names the node that leads the group of a process, "" when nobody is
// known to.
func (n *Node) Leader(process ao.ID) string {
	if g := n.groupOf(process); g != nil {
		return g.leader()
	}
	return ""
}

// LeadsGroup reports whether this node leads a group.
func (n *Node) LeadsGroup(group uint32) bool {
	g := n.groups[group]
	return g != nil && g.pipeline.leads()
}

// GroupLeader names the node that leads a group, "" when nobody is known to.
func (n *Node) GroupLeader(group uint32) string {
	if g := n.groups[group]; g != nil {
		return g.leader()
	}
	return ""
}

// groupOf gives the group that orders a process, as far as this node knows; nil
// when it knows no such process.
func (n *Node) groupOf(process ao.ID) *group {
	ordering, err := n.index.Ordering(process)
	if err != nil {
		return nil
	}
	if ordering.Sealed {
		return n.groups[ordering.To]
	}
	return n.groups[ordering.Group]
}

// Sequencing says how a process is ordered.
type Sequencing struct {
	Mode   log.Mode `json:"mode"`
	Group  uint32   `json:"group"`
	Voters []string `json:"voters"`
	Leader string   `json:"leader"` // "" when nobody is known to lead
	// Moving says that group Group is to take the process over, and has not yet.
	Moving bool `json:"moving,omitempty"`
	// History are the epochs after the first.
	History []log.Opening `json:"history,omitempty"`
}

// Sequencing describes the order of a process, or gives ErrProcessUnknown.
func (n *Node) Sequencing(process ao.ID) (s Sequencing, err error) {
	ordering, err := n.index.Ordering(process)
	if err != nil {
		return s, err
	}
	s = Sequencing{Mode: ordering.Mode, Group: ordering.Group, Moving: ordering.Sealed}
	if ordering.Sealed {
		s.Group = ordering.To
	}
	for number := uint64(1); number <= ordering.Epoch; number++ {
		opening, err := n.index.Epoch(process, number)
		if err != nil {
			return s, fmt.Errorf("epoch %d of %s: %w", number, process, err)
		}
		s.History = append(s.History, opening)
	}
	g, err := n.group(s.Group)
	if err == nil {
		s.Voters, s.Leader = g.currentVoters(), g.leader()
	}
	return s, err
}

// LeadChanged receives when this node began or ended to lead some group. It
// holds at most one signal.
func (n *Node) LeadChanged() <-chan struct{} { return n.changed }

func (n *Node) leadChanged() {
	select {
	case n.changed <- struct{}{}:
	default:
	}
}

// Status describes every group, in order of id.
func (n *Node) Status() []GroupStatus {
	list := make([]GroupStatus, 0, len(n.groups))
	for _, id := range n.placement.groups() {
		list = append(list, n.groups[id].status())
	}
	return list
}

// Close finishes the appends in hand and closes everything.
func (n *Node) Close() error {
	n.once.Do(func() {
		n.handovers.close()
		n.memberships.close()
		var (
			wait sync.WaitGroup
			mu   sync.Mutex
		)
		for _, g := range n.groups {
			wait.Go(func() {
				err := g.close()
				mu.Lock()
				defer mu.Unlock()
				n.closeErr = errors.Join(n.closeErr, err)
			})
		}
		wait.Wait()
		n.closeErr = errors.Join(n.closeErr, n.closeStores())
	})
	return n.closeErr
}

// closeStores closes what is open, the index first because it is derived from
// the ledger.
func (n *Node) closeStores() error {
	var errs []error
	if n.index != nil {
		errs = append(errs, n.index.Close())
	}
	for _, g := range n.groups {
		errs = append(errs, g.closeStores())
	}
	if n.roster != nil {
		errs = append(errs, n.roster.close())
	}
	if n.ledger != nil {
		errs = append(errs, n.ledger.Close())
	}
	if n.lock != nil {
		errs = append(errs, n.lock.Close())
	}
	return errors.Join(errs...)
}

// randomAnchor makes an assignment's anchor.
func (n *Node) randomAnchor() (anchor [32]byte, err error) {
	if _, err := io.ReadFull(n.options.Rand, anchor[:]); err != nil {
		return anchor, fmt.Errorf("read randomness: %w", err)
	}
	return anchor, nil
}

package raft

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// simNet is a network in memory. Bytes take a while; where a link is cut they
// vanish without a word, as they do when a switch dies.
type simNet struct {
	mu        sync.Mutex
	random    *rand.Rand
	listeners map[string]*simListener
	cut       map[[2]string]bool // from, to
}

func newSimNet(seed int64) *simNet {
	return &simNet{random: rand.New(rand.NewSource(seed)), listeners: map[string]*simListener{}, cut: map[[2]string]bool{}}
}

func (s *simNet) isCut(from, to string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.cut[[2]string{from, to}]
}

func (s *simNet) setCut(from, to string, cut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut[[2]string{from, to}] = cut
}

func (s *simNet) heal() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.cut)
}

func (s *simNet) delay() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.random.Intn(2000)) * time.Microsecond
}

func (s *simNet) listen(node string) net.Listener {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := &simListener{node: node, accepted: make(chan net.Conn), done: make(chan struct{})}
	s.listeners[node] = l
	return l
}

func (s *simNet) dial(ctx context.Context, from, to string) (net.Conn, error) {
	s.mu.Lock()
	l := s.listeners[to]
	s.mu.Unlock()
	if s.isCut(from, to) || s.isCut(to, from) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if l == nil {
		return nil, errors.New("connection refused")
	}
	near, far := net.Pipe()
	select {
	case l.accepted <- &simConn{Conn: far, net: s, from: to, to: from}:
		return &simConn{Conn: near, net: s, from: from, to: to}, nil
	case <-l.done:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type simListener struct {
	node     string
	accepted chan net.Conn
	done     chan struct{}
	once     sync.Once
}

func (l *simListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.accepted:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *simListener) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *simListener) Addr() net.Addr { return simAddr(l.node) }

type simAddr string

func (simAddr) Network() string  { return "sim" }
func (a simAddr) String() string { return string(a) }

// simConn loses everything that is written to it once its link was cut.
type simConn struct {
	net.Conn
	net      *simNet
	from, to string
	lost     bool
}

func (c *simConn) Write(b []byte) (int, error) {
	time.Sleep(c.net.delay())
	if c.lost = c.lost || c.net.isCut(c.from, c.to); c.lost {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// simCluster is nodes on such a network, each with a disk whose power can be
// cut.
type simCluster struct {
	t        *testing.T
	net      *simNet
	ids      []string
	founders []string
	mu       sync.Mutex
	nodes    map[string]*simNode
	boots    int
	// queueMax is Options.QueueMax of nodes that are started.
	queueMax int
}

type simNode struct {
	id        string
	disk      *fsxtest.Disk
	log       *Node
	transport *Transport
}

func newSimCluster(t *testing.T, seed int64, ids ...string) *simCluster {
	c := &simCluster{t: t, net: newSimNet(seed), ids: ids, founders: ids, nodes: map[string]*simNode{}}
	var wait sync.WaitGroup
	for _, id := range ids {
		wait.Go(func() { c.boot(id, fsxtest.NewDisk()) })
	}
	wait.Wait()
	return c
}

// boot starts a node on a disk, with an index that must be made from it.
func (c *simCluster) boot(id string, disk *fsxtest.Disk) {
	if err := c.tryBoot(context.Background(), id, disk); err != nil {
		c.t.Errorf("node %s: %v", id, err)
	}
}

func (c *simCluster) tryBoot(ctx context.Context, id string, disk *fsxtest.Disk) error {
	c.mu.Lock()
	c.boots++
	// Every start of a node has a directory of its own for the index, and the
	// same paths on the disk.
	dir := filepath.Join(c.t.TempDir(), fmt.Sprint(c.boots))
	c.mu.Unlock()
	transport := NewTransport(TransportOptions{
		Self: id, Peers: c.ids, Listener: c.net.listen(id),
		Dial: func(ctx context.Context, node string) (net.Conn, error) { return c.net.dial(ctx, id, node) },
	})
	options := Options{
		Dir: dir, Signer: logtest.Signer(c.t, 1), SegmentBytes: 1 << 20, IndexMemoryBytes: 32 << 10, FS: rebased{disk, dir},
		Self: id, Voters: c.founders, Transport: transport, QueueMax: c.queueMax, Operator: operatorOf(c.t, id), Operators: operators(c.t, c.ids),
		Fatal: func(err error) { c.t.Errorf("node %s: fatal: %v", id, err) },
	}
	node, err := Open(ctx, options)
	if err != nil {
		return errors.Join(err, transport.Close())
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes[id] = &simNode{id, disk, node, transport}
	return nil
}

func (c *simCluster) node(id string) *simNode {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nodes[id]
}

// powerCut stops a node, leaving what its disk may hold then, and starts it
// again after a while.
func (c *simCluster) powerCut(id string, random *rand.Rand, off time.Duration) {
	c.t.Helper()
	n := c.node(id)
	image := n.disk.PowerCut(random)
	for _, other := range c.ids {
		c.net.setCut(id, other, true)
		c.net.setCut(other, id, true)
	}
	if err := errors.Join(n.log.Close(), n.transport.Close()); err != nil {
		c.t.Errorf("stop node %s: %v", id, err)
	}
	time.Sleep(off)
	for _, other := range c.ids {
		c.net.setCut(id, other, false)
		c.net.setCut(other, id, false)
	}
	c.boot(id, image)
}

func (c *simCluster) close() {
	for _, id := range c.ids {
		n := c.node(id)
		if err := errors.Join(n.log.Close(), n.transport.Close()); err != nil {
			c.t.Errorf("close node %s: %v", id, err)
		}
	}
}

// client appends messages to a process of its own until stop, each until it is
// taken, through any node.
func (c *simCluster) client(number int, stop <-chan struct{}, told *acks, seen *history) {
	signer := logtest.Signer(c.t, byte(50+number))
	random := rand.New(rand.NewSource(int64(number)))
	take := func(item *dataitem.Item) (log.Entry, bool) {
		process := item.TargetID()
		if process.IsZero() {
			process = item.ID()
		}
		ended := seen.began(number, operation{process, true})
		for {
			select {
			case <-stop:
				ended(outcome{unknown: true})
				return log.Entry{}, false
			default:
			}
			id := c.ids[random.Intn(len(c.ids))]
			ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
			entry, _, err := c.node(id).log.Append(ctx, log.Proposal{Item: item})
			cancel()
			if err == nil {
				ended(outcome{nonce: entry.Nonce})
				told.add(entry)
				return entry, true
			}
			if code := ao.CodeOf(err); code != ao.CodeUnavailable && code != ao.CodeRateLimited && !errors.Is(err, context.DeadlineExceeded) {
				c.t.Errorf("append through %s: %v", id, err)
				return log.Entry{}, false
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	process, ok := take(logtest.ProcessItem(c.t, signer, fmt.Sprint("of client ", number)))
	for i := 0; ok; i++ {
		_, ok = take(logtest.MessageItem(c.t, signer, process.Process, fmt.Sprint(i)))
		time.Sleep(time.Duration(random.Intn(300)) * time.Millisecond)
	}
}

// verify waits until every node has what was acknowledged, and checks it.
func (c *simCluster) verify(told *acks) error {
	known := told.snapshot()
	processes := map[ao.ID]bool{}
	for _, entry := range known {
		processes[entry.Process] = true
	}
	heads := map[ao.ID]log.Head{}
	for _, id := range c.ids {
		n := c.node(id).log
		for process := range processes {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			head, err := n.Linearizable().Head(ctx, process)
			cancel()
			if err != nil {
				return fmt.Errorf("head of %s on %s: %w", process, id, err)
			}
			if other, ok := heads[process]; ok && other != head {
				return fmt.Errorf("head of %s is %+v on %s and %+v elsewhere\n%s", process, head, id, other, c.describe(process))
			}
			heads[process] = head
			if err := checkNoDoubles(n, process); err != nil {
				return fmt.Errorf("process %s on %s: %w", process, id, err)
			}
		}
		if err := checkAcks(n, known); err != nil {
			text := ""
			for process := range processes {
				text += process.String() + "\n" + c.describe(process)
			}
			return fmt.Errorf("node %s: %w\n%s", id, err, text)
		}
	}
	return nil
}

// describe says how each node has a process, for a failure's message.
func (c *simCluster) describe(process ao.ID) (text string) {
	for _, id := range c.ids {
		n := c.node(id).log
		newest, err := n.index.Ordering(process)
		text += fmt.Sprintf("%s: %+v %v\n", id, newest, err)
		for _, group := range n.Groups() {
			if own, whole, err := n.index.OrderingIn(process, group); err == nil {
				text += fmt.Sprintf("  group %d: epoch %d nonce %d sealed %v to %d whole %v\n", group, own.Epoch, own.Nonce, own.Sealed, own.To, whole)
			}
		}
	}
	return text
}

func checkNoDoubles(n *Node, process ao.ID) error {
	seen := map[ao.ID]uint64{}
	return n.Range(context.Background(), process, 0, 1<<60, func(e log.Entry) error {
		if first, double := seen[messageID(e)]; double {
			return fmt.Errorf("message %s has the places %d and %d", messageID(e), first, e.Nonce)
		}
		seen[messageID(e)] = e.Nonce
		return nil
	})
}

func TestThreeNodesAreALog(t *testing.T) {
	logtest.Run(t, func(t *testing.T) log.Log { return openTriple(t) })
}

// triple is three nodes that look like one log: calls go to the second.
type triple struct {
	log.Log
	cluster *simCluster
}

func openTriple(t *testing.T) log.Log {
	c := newSimCluster(t, 1, "n1", "n2", "n3")
	return triple{c.node("n2").log.Linearizable(), c}
}

func (l triple) Close() error {
	l.cluster.close()
	return nil
}

// TestClusterLosesNothing breaks links and cuts power at random under load.
func TestClusterLosesNothing(t *testing.T) {
	for seed := range int64(seeds(t, 6)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			var seen history
			synctest.Test(t, func(t *testing.T) { breakCluster(t, seed, &seen) })
			seen.check(t)
			t.Logf("%d operations", len(seen.operations))
		})
	}
}

func breakCluster(t *testing.T, seed int64, seen *history) {
	random := rand.New(rand.NewSource(seed))
	c := newSimCluster(t, seed, "n1", "n2", "n3")
	defer c.close()
	var (
		told  acks
		given words
		wait  sync.WaitGroup
		stop  = make(chan struct{})
	)
	for number := range 5 {
		wait.Go(func() { c.client(number, stop, &told, seen) })
	}
	for number := range 3 {
		wait.Go(func() { c.reader(number, stop, &told, seen) })
	}
	wait.Go(func() { c.mover(seed, stop, &told) })
	wait.Go(func() { c.promiser(seed, stop, &told, &given) })
	time.Sleep(5 * time.Second)
	faults := 10
	if raceEnabled {
		faults = 4
	}
	for range faults {
		victim := c.ids[random.Intn(len(c.ids))]
		others := slices.DeleteFunc(slices.Clone(c.ids), func(id string) bool { return id == victim })
		for_ := 200*time.Millisecond + time.Duration(random.Intn(8000))*time.Millisecond
		switch random.Intn(4) {
		case 0: // alone
			for _, other := range others {
				c.net.setCut(victim, other, true)
				c.net.setCut(other, victim, true)
			}
			time.Sleep(for_)
		case 1: // heard by nobody, and hears all
			for _, other := range others {
				c.net.setCut(victim, other, true)
			}
			time.Sleep(for_)
		case 2: // the others do not hear of each other
			c.net.setCut(others[0], others[1], true)
			c.net.setCut(others[1], others[0], true)
			time.Sleep(for_)
		case 3:
			c.powerCut(victim, random, for_)
		}
		c.net.heal()
		time.Sleep(time.Duration(random.Intn(5000)) * time.Millisecond)
	}
	time.Sleep(10 * time.Second)
	before := len(told.snapshot())
	time.Sleep(10 * time.Second)
	close(stop)
	wait.Wait()
	if after := len(told.snapshot()); after == before {
		t.Errorf("no message was taken for 10 seconds after all was healed")
	}
	if err := errors.Join(c.verify(&told), given.kept(c)); err != nil {
		t.Error(err)
	}
	t.Logf("%d messages acknowledged, %d epochs", len(told.snapshot()), c.epochs(&told))
}

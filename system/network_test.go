package system

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/wallaby-ao/wallaby/node"
)

// network stands between the nodes of a cluster: every connection of one to
// another goes through it, and it can hold, lose or delay what one says to
// another, in each direction for itself.
type network struct {
	t         *testing.T
	listeners []net.Listener
	wait      sync.WaitGroup

	mu      sync.Mutex
	ways    map[way]treatment
	changed chan struct{} // closed when ways change
	conns   map[net.Conn]struct{}
	closed  bool
}

// way is a direction between two nodes.
type way struct{ from, to string }

// treatment is what happens to bytes on a way.
type treatment struct {
	// hold keeps bytes until the way is open again, as TCP's own repetition does
	// after a short cut: they come late, and all.
	hold bool
	// lose drops bytes, and with them all that follows on the same connection: a
	// TCP connection that misses a byte gives nothing more. It ends when a node
	// misses the other's pings.
	lose bool
	// delayMax bounds a delay that is drawn for each piece.
	delayMax time.Duration
}

// newNetwork makes a network that lasts as long as the test.
func newNetwork(t *testing.T) *network {
	n := &network{t: t, ways: map[way]treatment{}, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	t.Cleanup(n.close)
	return n
}

// config has a node reach the others through the network: it changes the
// addresses in the node's own file. Only the node with the smaller id dials.
func (n *network) config(dir, id string) string {
	n.t.Helper()
	path := node.NodeFile(dir, id)
	b, err := os.ReadFile(path)
	if err != nil {
		n.t.Fatal(err)
	}
	var file node.File
	if err := yaml.Unmarshal(b, &file); err != nil {
		n.t.Fatal(err)
	}
	for i, member := range file.Nodes {
		if member.ID > id {
			file.Nodes[i].Address = n.listen(id, member.ID, member.Address)
		}
	}
	if b, err = yaml.Marshal(file); err != nil {
		n.t.Fatal(err)
	}
	through := filepath.Join(filepath.Dir(path), "proxied.yaml")
	if err := os.WriteFile(through, b, 0o600); err != nil {
		n.t.Fatal(err)
	}
	return through
}

// listen takes connections of one node to another, and gives where.
func (n *network) listen(from, to, address string) string {
	n.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		n.t.Fatal(err)
	}
	n.listeners = append(n.listeners, l)
	n.wait.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			n.wait.Go(func() { n.join(from, to, near, address) })
		}
	})
	return l.Addr().String()
}

// join carries bytes both ways until one side ends.
func (n *network) join(from, to string, near net.Conn, address string) {
	defer near.Close()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	if !n.keep(near, far) {
		return
	}
	defer n.forget(near, far)
	var pumps sync.WaitGroup
	over := make(chan struct{})
	var once sync.Once
	end := func() { once.Do(func() { close(over); near.Close(); far.Close() }) }
	pumps.Go(func() { defer end(); n.pump(way{from, to}, near, far, over) })
	pumps.Go(func() { defer end(); n.pump(way{to, from}, far, near, over) })
	pumps.Wait()
}

// pump carries one direction of a connection.
func (n *network) pump(w way, in, out net.Conn, over <-chan struct{}) {
	b := make([]byte, 64<<10)
	lost := false
	for {
		size, err := in.Read(b)
		if err != nil {
			return
		}
		for {
			now, changed := n.treatment(w)
			lost = lost || now.lose
			if !now.hold {
				if now.delayMax > 0 {
					time.Sleep(rand.N(now.delayMax))
				}
				break
			}
			select {
			case <-changed:
			case <-over:
				return
			}
		}
		if lost {
			continue
		}
		if _, err := out.Write(b[:size]); err != nil {
			return
		}
	}
}

func (n *network) treatment(w way) (treatment, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ways[w], n.changed
}

// treat changes what happens on a way.
func (n *network) treat(from, to string, how treatment) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ways[way{from, to}] = how
	close(n.changed)
	n.changed = make(chan struct{})
}

// heal lets everything pass.
func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	clear(n.ways)
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *network) keep(conns ...net.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		n.conns[c] = struct{}{}
	}
	return !n.closed
}

func (n *network) forget(conns ...net.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range conns {
		delete(n.conns, c)
	}
}

// close ends all connections and waits for what carries them.
func (n *network) close() {
	var errs []error
	for _, l := range n.listeners {
		errs = append(errs, l.Close())
	}
	n.mu.Lock()
	n.closed = true
	for c := range n.conns {
		c.Close()
	}
	n.mu.Unlock()
	n.heal()
	n.wait.Wait()
	if err := errors.Join(errs...); err != nil {
		n.t.Error(err)
	}
}

// TestTheNetworkHoldsLosesAndPasses: a proxy that lets everything through would
// make every test of partitions pass.
func TestTheNetworkHoldsLosesAndPasses(t *testing.T) {
	n := newNetwork(t)
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n.listeners = append(n.listeners, echo)
	n.wait.Go(func() {
		for {
			c, err := echo.Accept()
			if err != nil {
				return
			}
			n.wait.Go(func() { defer c.Close(); _, _ = io.Copy(c, c) })
		}
	})
	address := n.listen("a", "b", echo.Addr().String())
	ask := func(c net.Conn, wait time.Duration) bool {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(wait))
		size, err := c.Read(make([]byte, 1))
		return size == 1 && err == nil
	}
	dial := func() net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	const long, short = 10 * time.Second, 50 * time.Millisecond
	c := dial()
	if !ask(c, long) {
		t.Fatal("an open way does not pass bytes")
	}
	for _, w := range []way{{"a", "b"}, {"b", "a"}} {
		n.treat(w.from, w.to, treatment{hold: true})
		if ask(c, short) {
			t.Errorf("%v is held and bytes came back", w)
		}
		n.heal()
		_ = c.SetReadDeadline(time.Now().Add(long))
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Errorf("%v was held and what was sent never came: %v", w, err)
		}
	}
	n.treat("b", "a", treatment{lose: true})
	if ask(c, short) {
		t.Error("lost bytes came back")
	}
	n.heal()
	if ask(c, short) {
		t.Error("a connection that lost bytes goes on")
	}
	if !ask(dial(), long) {
		t.Error("a new connection does not pass bytes")
	}
}

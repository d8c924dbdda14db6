package system

import (
	"net"
	"sync"
	"testing"
	"time"
)

// proxy stands between a node that dials and the one it dials, and can stop
// what flows: so that nothing passes in one direction or both, while nobody is
// told, or with the connections broken.
type proxy struct {
	listener net.Listener
	target   string
	wait     sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	held    [2]bool // towards the target, and back
	closed  bool
	conns   map[net.Conn]bool
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, target: target, conns: map[net.Conn]bool{}}
	p.changed = sync.NewCond(&p.mu)
	p.wait.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wait.Go(func() { p.serve(near) })
	}
}

func (p *proxy) serve(near net.Conn) {
	defer near.Close()
	// While something is held a new connection comes to nothing.
	if !p.pass(0) || !p.pass(1) {
		return
	}
	far, err := net.DialTimeout("tcp", p.target, time.Second)
	if err != nil {
		return
	}
	defer far.Close()
	if !p.note(near, far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { p.copy(far, near, 0) })
	both.Go(func() { p.copy(near, far, 1) })
	both.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, near)
	delete(p.conns, far)
}

func (p *proxy) note(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		p.conns[c] = true
	}
	return !p.closed
}

func (p *proxy) copy(to, from net.Conn, direction int) {
	defer to.Close()
	defer from.Close()
	b := make([]byte, 64<<10)
	for {
		n, err := from.Read(b)
		if err != nil || !p.pass(direction) {
			return
		}
		if _, err := to.Write(b[:n]); err != nil {
			return
		}
	}
}

// pass waits while a direction is held, and reports false when the proxy ends.
func (p *proxy) pass(direction int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.held[direction] && !p.closed {
		p.changed.Wait()
	}
	return !p.closed
}

// hold stops or lets flow what goes towards the target and what comes back.
func (p *proxy) hold(towards, back bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.held = [2]bool{towards, back}
	p.changed.Broadcast()
}

// cut breaks all connections.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.changed.Broadcast()
	p.mu.Unlock()
	p.listener.Close()
	p.cut()
	p.wait.Wait()
}

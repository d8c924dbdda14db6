package raft

import (
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
)

// TransportOptions say who a node is and how it reaches the others.
type TransportOptions struct {
	Self  string
	Peers []string // ids of the other nodes
	// Listener takes connections of nodes whose id is smaller than Self.
	Listener net.Listener
	// Dial connects to a node; what it gives is authenticated.
	Dial func(ctx context.Context, node string) (net.Conn, error)
	// Identify names the node at the other end of a connection by its
	// certificate; nil believes what it says, for tests.
	Identify     func(ctx context.Context, conn net.Conn) (node string, err error)
	Logger       zerolog.Logger
	acquaintance acquaintance
}

// acquaintance decides with whom a node speaks.
type acquaintance interface {
	// greeting is what this node says of itself.
	greeting(self string) greeting
	// meet says whether to speak to a node, which is then remembered.
	meet(greeting) error
	// welcomed notes that a node remembers this one.
	welcomed(node string) error
}

// Transport carries what nodes say to each other: one connection for each pair
// of nodes, shared by all groups. The node with the smaller id dials.
type Transport struct {
	options TransportOptions
	ctx     context.Context
	cancel  context.CancelFunc
	wait    sync.WaitGroup

	refusals struct {
		sync.Mutex
		logged map[string]time.Time
	}
	mu struct {
		sync.RWMutex
		groups   map[uint32]*groupTransport
		handlers map[Kind]Handler
		links    map[string]*link
		started  bool
	}
}

// Handler answers a call of another node. Its error reaches the caller as an
// *ao.Error with the same code.
type Handler func(ctx context.Context, from string, body []byte) ([]byte, error)

// The times of a connection. A peer that says nothing for silenceMax is gone,
// even if its socket is still open.
const (
	dialTimeout  = 2 * time.Second
	redialMin    = 20 * time.Millisecond
	redialMax    = time.Second
	pingInterval = time.Second
	silenceMax   = 5 * time.Second
)

// NewTransport makes a transport that listens and dials once a node opens with
// it.
func NewTransport(options TransportOptions) *Transport {
	t := &Transport{options: options}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.mu.groups = map[uint32]*groupTransport{}
	t.mu.handlers = map[Kind]Handler{}
	t.refusals.logged = map[string]time.Time{}
	t.mu.links = map[string]*link{}
	for _, peer := range options.Peers {
		if peer != options.Self {
			t.mu.links[peer] = newLink(t.ctx, peer, "")
		}
	}
	return t
}

// start listens and dials, and speaks with whom the acquaintance allows.
func (t *Transport) start(a acquaintance) {
	t.options.acquaintance = a
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.started = true
	for _, l := range t.mu.links {
		t.reach(l)
	}
	t.wait.Go(t.accept)
}

// reach dials a node, if this one is the one to do so.
func (t *Transport) reach(l *link) {
	if t.options.Self < l.node {
		t.wait.Go(func() { t.dialForever(l) })
	}
}

// AddPeer lets another node in, which can be reached at an address.
func (t *Transport) AddPeer(node, address string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if node == t.options.Self || t.mu.links[node] != nil || t.ctx.Err() != nil {
		return
	}
	l := newLink(t.ctx, node, address)
	t.mu.links[node] = l
	if t.mu.started {
		t.reach(l)
	}
}

// RemovePeer speaks to a node no more.
func (t *Transport) RemovePeer(node string) {
	t.mu.Lock()
	l := t.mu.links[node]
	delete(t.mu.links, node)
	t.mu.Unlock()
	if l != nil {
		l.cancel()
		l.replace(nil)
	}
}

// Address gives where a node that was let in can be reached; "" for those that
// the transport was made with.
func (t *Transport) Address(node string) string {
	if l := t.link(node); l != nil {
		return l.address
	}
	return ""
}

// peers lists those who may connect.
func (t *Transport) peers() []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return slices.Collect(maps.Keys(t.mu.links))
}

func (t *Transport) link(node string) *link {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.mu.links[node]
}

// Handle has a kind of call answered by a handler.
func (t *Transport) Handle(kind Kind, handler Handler) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.mu.handlers[kind] = handler
}

// Call asks another node. An error of the other side is an *ao.Error; one that
// wraps errMoved says that the node is not there, or is not whom to ask.
func (t *Transport) Call(ctx context.Context, node string, kind Kind, body []byte) ([]byte, error) {
	return t.call(ctx, node, frame{kind: kind, body: body})
}

func (t *Transport) call(ctx context.Context, node string, f frame) ([]byte, error) {
	l := t.link(node)
	if l == nil {
		return nil, fmt.Errorf("node %s is no member", node)
	}
	w := l.wire()
	if w == nil {
		return nil, moved("node %s is not connected", node)
	}
	return w.call(ctx, f)
}

// Connected reports whether a node can be called.
func (t *Transport) Connected(node string) bool {
	l := t.link(node)
	return l != nil && l.wire() != nil
}

// Close ends all connections and waits for what runs on them.
func (t *Transport) Close() error {
	t.cancel()
	err := t.options.Listener.Close()
	t.mu.RLock()
	links := slices.Collect(maps.Values(t.mu.links))
	t.mu.RUnlock()
	for _, l := range links {
		l.replace(nil)
	}
	t.wait.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// dialForever keeps a link connected.
func (t *Transport) dialForever(l *link) {
	wait := redialMin
	for l.ctx.Err() == nil {
		started := time.Now()
		err := t.dial(l)
		if l.ctx.Err() != nil {
			return
		}
		if time.Since(started) > redialMax {
			wait = redialMin
		}
		t.options.Logger.Debug().Err(err).Str("node", l.node).Msg("not connected")
		select {
		case <-time.After(wait):
		case <-l.ctx.Done():
		}
		wait = min(2*wait, redialMax)
	}
}

func (t *Transport) dial(l *link) error {
	ctx, cancel := context.WithTimeout(t.ctx, dialTimeout)
	defer cancel()
	conn, err := t.options.Dial(ctx, l.node)
	if err != nil {
		return err
	}
	w, err := t.greet(ctx, conn)
	if err != nil {
		conn.Close()
		t.warn(l.node, err)
		return err
	}
	if w.node != l.node {
		conn.Close()
		return fmt.Errorf("node %s answered in place of %s", w.node, l.node)
	}
	return t.run(l, w)
}

// acceptMax bounds connections that have not said yet who they are.
const acceptMax = 64

func (t *Transport) accept() {
	slots := make(chan struct{}, acceptMax)
	for {
		conn, err := t.options.Listener.Accept()
		if err != nil {
			if t.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			t.options.Logger.Warn().Err(err).Msg("accept a node's connection")
			select {
			case <-time.After(redialMin):
				continue
			case <-t.ctx.Done():
				return
			}
		}
		select {
		case slots <- struct{}{}:
		default:
			conn.Close()
			continue
		}
		t.wait.Go(func() {
			ctx, cancel := context.WithTimeout(t.ctx, dialTimeout)
			w, err := t.greet(ctx, conn)
			cancel()
			<-slots
			if err == nil && w.node >= t.options.Self {
				err = fmt.Errorf("node %s dialled, although it must be dialled", w.node)
			}
			if err != nil {
				conn.Close()
				host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
				t.warn(host, err)
				return
			}
			if l := t.link(w.node); l != nil {
				_ = t.run(l, w)
			} else {
				conn.Close()
			}
		})
	}
}

// greet tells the other end who this is, and learns who that is. Its name must
// be a member's, and the one in its certificate.
func (t *Transport) greet(ctx context.Context, conn net.Conn) (*wire, error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	certified := ""
	if t.options.Identify != nil {
		var err error
		if certified, err = t.options.Identify(ctx, conn); err != nil {
			return nil, err
		}
	}
	w := newWire(t, conn)
	body, err := json.Marshal(t.options.acquaintance.greeting(t.options.Self))
	if err != nil {
		return nil, err
	}
	hello, err := t.exchange(w, frame{kind: kindHello, body: body})
	if err != nil {
		return nil, fmt.Errorf("greet: %w", err)
	}
	var other greeting
	if hello.kind != kindHello || json.Unmarshal(hello.body, &other) != nil {
		return nil, errors.New("the other side does not greet as a node does")
	}
	w.node = other.Node
	if t.link(w.node) == nil {
		return nil, fmt.Errorf("%.40q is no other member of this cluster", w.node)
	}
	if t.options.Identify != nil && subtle.ConstantTimeCompare([]byte(certified), []byte(w.node)) != 1 {
		return nil, fmt.Errorf("a node with the certificate of %q says that it is %q", certified, w.node)
	}
	verdict := frame{kind: kindWelcome}
	refused := t.options.acquaintance.meet(other)
	if l := t.link(w.node); l != nil {
		l.note(refused)
	}
	if refused != nil {
		verdict = frame{kind: kindRefused, body: []byte(refused.Error())}
	}
	heard, err := t.exchange(w, verdict)
	switch {
	case refused != nil:
		return nil, refused
	case err != nil:
		return nil, fmt.Errorf("greet node %s: %w", w.node, err)
	case heard.kind == kindRefused:
		return nil, fmt.Errorf("node %s refuses: %.500s", w.node, heard.body)
	case heard.kind != kindWelcome:
		return nil, fmt.Errorf("node %s does not greet as a node does", w.node)
	}
	return w, t.options.acquaintance.welcomed(w.node)
}

// refusalInterval is how often the same refusal is logged.
const refusalInterval = 10 * time.Second

// warn logs a refusal, unless the same one was just logged.
func (t *Transport) warn(from string, err error) {
	t.refusals.Lock()
	defer t.refusals.Unlock()
	text, now := from+err.Error(), time.Now()
	for known, at := range t.refusals.logged {
		if now.Sub(at) > refusalInterval {
			delete(t.refusals.logged, known)
		}
	}
	if _, known := t.refusals.logged[text]; known || len(t.refusals.logged) > acceptMax {
		return
	}
	t.refusals.logged[text] = now
	t.options.Logger.Warn().Err(err).Str("from", from).Msg("connection refused")
}

// exchange says something and hears what the other side says.
func (t *Transport) exchange(w *wire, f frame) (heard frame, err error) {
	said := make(chan error, 1)
	t.wait.Go(func() {
		_, err := w.conn.Write(appendFrame(nil, f))
		said <- err
	})
	heard, err = readFrame(w.in)
	return heard, errors.Join(err, <-said)
}

// run serves a connection until it breaks.
func (t *Transport) run(l *link, w *wire) error {
	l.replace(w)
	if err := l.ctx.Err(); err != nil {
		w.fail(err)
	}
	t.options.Logger.Info().Str("node", l.node).Msg("connected")
	err := w.serve()
	l.drop(w)
	return err
}

// Refused says why a node that tried to connect is not spoken to, "" when it is.
func (t *Transport) Refused(node string) string {
	l := t.link(node)
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.refused == nil {
		return ""
	}
	return l.refused.Error()
}

// link is the way to one node; it has a wire while there is a connection.
type link struct {
	node    string
	address string
	ctx     context.Context // ends when the node is removed
	cancel  context.CancelFunc

	mu      sync.Mutex
	current *wire
	refused error // why the node was not let in the last time
}

func newLink(ctx context.Context, node, address string) *link {
	l := &link{node: node, address: address}
	l.ctx, l.cancel = context.WithCancel(ctx)
	return l
}

func (l *link) note(refused error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused = refused
}

func (l *link) wire() *wire {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

// replace uses a new connection and ends the one before.
func (l *link) replace(w *wire) {
	l.mu.Lock()
	old := l.current
	l.current = w
	l.mu.Unlock()
	if old != nil {
		old.fail(errors.New("the connection was replaced"))
	}
}

func (l *link) drop(w *wire) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current == w {
		l.current = nil
	}
}

// answer runs a handler for a frame.
func (t *Transport) answer(ctx context.Context, from string, f frame) ([]byte, error) {
	t.mu.RLock()
	handler := t.mu.handlers[f.kind]
	t.mu.RUnlock()
	if handler == nil {
		return nil, moved("calls of kind %d are not answered here", f.kind)
	}
	return handler(ctx, from, f.body)
}

// errorBody is an error on its way to another node.
type errorBody struct {
	Code    ao.Code `json:"code"`
	Message string  `json:"message"`
	Moved   bool    `json:"moved,omitempty"`
}

func bodyOf(err error) errorBody {
	return errorBody{ao.CodeOf(err), err.Error(), errors.Is(err, errMoved)}
}

func (b errorBody) err() error {
	if b.Moved {
		return moved("%s", b.Message)
	}
	return ao.Errorf(b.Code, "%s", b.Message)
}

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
)

// listeners are the node's open ports. They are taken before anything else is
// opened, so that a port in use is found at once and leaves nothing behind.
type listeners struct {
	gateway, mu, su, cu net.Listener
}

func listen(o Options) (*listeners, error) {
	l := &listeners{}
	for _, unit := range []struct {
		name   string
		offset int
		to     *net.Listener
	}{
		{"gateway", 0, &l.gateway}, {"messenger", portOffsetMU, &l.mu},
		{"scheduler", portOffsetSU, &l.su}, {"compute unit", portOffsetCU, &l.cu},
	} {
		address := o.address(unit.offset)
		listener, err := net.Listen("tcp", address)
		if err != nil {
			l.close()
			if errors.Is(err, syscall.EADDRINUSE) {
				return nil, fmt.Errorf("port %s for the %s is in use: stop what uses it, or move all ports with --port-base", address, unit.name)
			}
			return nil, fmt.Errorf("listen for the %s on %s: %w", unit.name, address, err)
		}
		*unit.to = listener
	}
	return l, nil
}

// CheckPorts says, as Open would, which port of this machine is in use that a node's
// units need.
func CheckPorts(portBase int) error {
	l, err := listen(Options{Host: "127.0.0.1", PortBase: portBase})
	if err == nil {
		l.close()
	}
	return err
}

func (l *listeners) close() {
	for _, listener := range []net.Listener{l.gateway, l.mu, l.su, l.cu} {
		if listener != nil {
			listener.Close()
		}
	}
}

// doors are the handlers of the node's ports. Until they are opened they answer
// that the node is starting: a client that finds a port but no answer would wait.
type doors struct{ gateway, mu, su, cu door }

type door struct{ inner atomic.Pointer[http.Handler] }

func (d *door) open(handler http.Handler) { d.inner.Store(&handler) }

// ServeHTTP asks the handler behind the door.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if handler := d.inner.Load(); handler != nil {
		(*handler).ServeHTTP(w, r)
		return
	}
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	fmt.Fprintf(w, `{"error":"the node is starting: try again","code":%q}`+"\n", ao.CodeUnavailable)
}

// openDoors begins to answer on every port.
func (n *Node) openDoors(context.Context) error {
	n.servers = &servers{stopping: make(chan struct{})}
	n.servers.serve(n.listeners.gateway, &n.doors.gateway, n.fail)
	n.servers.serve(n.listeners.mu, &n.doors.mu, n.fail)
	n.servers.serve(n.listeners.su, &n.doors.su, n.fail)
	n.servers.serve(n.listeners.cu, &n.doors.cu, n.fail)
	n.onClose("ports", n.servers.shutdown)
	return nil
}

// servers answers HTTP on the node's listeners.
type servers struct {
	servers []*http.Server
	wait    sync.WaitGroup
	// stopping is closed when the first shutdown begins.
	stopping chan struct{}
	stop     sync.Once
}

// The limits of a connection. There is no write timeout: a result may take as
// long as its evaluation, and the handler bounds that itself.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 60 * time.Second
	idleTimeout       = 120 * time.Second
	headerBytesMax    = 64 << 10
)

// serve starts answering on listener; fail is told if the server stops by
// itself.
func (s *servers) serve(listener net.Listener, handler http.Handler, fail func(error)) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    headerBytesMax,
	}
	s.servers = append(s.servers, server)
	s.wait.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fail(fmt.Errorf("serve on %s: %w", listener.Addr(), err))
		}
	})
}

// shutdown lets requests in hand finish until ctx ends and then cuts them off.
func (s *servers) shutdown(ctx context.Context) error {
	s.stop.Do(func() { close(s.stopping) })
	var first error
	for _, server := range s.servers {
		err := server.Shutdown(ctx)
		if err != nil {
			err = server.Close()
		}
		if first == nil {
			first = err
		}
	}
	s.wait.Wait()
	return first
}

package plugin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/wallaby-ao/wallaby/vm"
)

// worker is one process of a plugin.
type worker struct {
	client *plugin.Client
	socket string
	dir    string
	done   chan struct{} // closed by kill
	once   sync.Once
	watch  sync.WaitGroup

	mu      sync.Mutex
	reason  string          // why it was stopped
	dead    bool            // a connection to it broke
	modules map[string]bool // that it has loaded
	users   int             // processes on it
}

// nothing is what go-plugin is told of: calls have a socket of their own.
type nothing struct{ plugin.NetRPCUnsupportedPlugin }

// GRPCServer registers nothing.
func (*nothing) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }

// GRPCClient gives nothing.
func (*nothing) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

const (
	startTimeout  = 30 * time.Second
	checkInterval = time.Second
	// pingEvery is how many checks of memory there are for one of life.
	pingEvery = 5
)

// startWorker starts a process and waits until it takes calls.
func startWorker(ctx context.Context, o Options) (*worker, error) {
	// A path to a socket may have 108 bytes, and a data directory's may be long.
	dir, err := os.MkdirTemp("", "wallaby-vm-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the socket: %w", err)
	}
	w := &worker{dir: dir, socket: filepath.Join(dir, "calls"), done: make(chan struct{}), modules: map[string]bool{}}
	command := exec.Command(o.Path)
	// go-plugin's own socket goes with the directory: a worker that is killed leaves it.
	command.Env = append(os.Environ(), SocketVariable+"="+w.socket, plugin.EnvUnixSocketDir+"="+dir,
		CacheVariable+"="+o.CacheDir, ParentVariable+"="+strconv.Itoa(os.Getpid()))
	said := &stderr{warn: o.Warn}
	w.client = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  Handshake,
		Plugins:          plugin.PluginSet{"vm": &nothing{}},
		Cmd:              command,
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
		Stderr:           said,
		StartTimeout:     startTimeout,
	})
	protocol, err := w.client.Client()
	if err == nil {
		err = limitFiles(w.pid(), o.OpenFilesMax)
	}
	if err != nil {
		w.kill("it did not start")
		// go-plugin explains itself in several lines; what the program said last is
		// a better reason.
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("start %s: it does not behave as a plugin of this wallaby (%s)", o.Path, cmp.Or(said.latest(), strings.TrimSpace(first)))
	}
	w.watch.Go(func() { w.check(protocol, o) })
	return w, ctx.Err()
}

func (w *worker) pid() int {
	if c := w.client.ReattachConfig(); c != nil {
		return c.Pid
	}
	return 0
}

// check ends a worker that takes too much memory or no longer answers. It looks
// at the memory while it waits for an answer, too: go-plugin waits for ever.
func (w *worker) check(protocol plugin.ClientProtocol, o Options) {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	answered := make(chan error, 1)
	patience := max(1, int(time.Duration(o.PingTimeoutMS)*time.Millisecond/checkInterval))
	for n, waiting := 0, 0; ; {
		select {
		case <-w.done:
			return
		case err := <-answered:
			if err != nil {
				w.stop("it does not answer")
				return
			}
			waiting = 0
			continue
		case <-ticker.C:
		}
		n++
		if resident := residentBytes(w.pid()); o.MemoryBytesMax > 0 && resident > o.MemoryBytesMax {
			w.stop(fmt.Sprintf("it holds %d MB of memory and may hold %d", resident>>20, o.MemoryBytesMax>>20))
			return
		}
		switch {
		case waiting > patience:
			w.stop("it does not answer")
			return
		case waiting > 0:
			waiting++
		case n%pingEvery == 0:
			waiting = 1
			w.watch.Go(func() { answered <- protocol.Ping() })
		}
	}
}

// stop ends the process at once and notes why.
func (w *worker) stop(reason string) {
	w.mu.Lock()
	if w.reason == "" {
		w.reason = reason
	}
	w.mu.Unlock()
	if pid := w.pid(); pid > 0 {
		if process, err := os.FindProcess(pid); err == nil {
			_ = process.Kill()
		}
	}
}

// kill ends the process and frees what it had; nobody uses it after.
func (w *worker) kill(reason string) {
	w.stop(reason)
	w.once.Do(func() {
		close(w.done)
		w.watch.Wait()
		w.client.Kill()
		_ = os.RemoveAll(w.dir)
	})
}

// lost makes an error of a connection that broke. The worker gets no more work:
// that its process has ended is known only a moment later.
func (w *worker) lost(err error) error {
	w.mu.Lock()
	w.dead = true
	defer w.mu.Unlock()
	reason := w.reason
	if reason == "" {
		reason = fmt.Sprintf("its process ended (%v)", err)
	}
	return &vm.LostError{Reason: reason}
}

// dial opens a connection, as soon as the plugin listens.
func (w *worker) dial(ctx context.Context) (*connection, error) {
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", w.socket)
		if err == nil {
			return newConnection(c), nil
		}
		if w.client.Exited() || ctx.Err() != nil {
			return nil, errors.Join(w.lost(err), ctx.Err())
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// gone reports whether the worker can take no more work.
func (w *worker) gone() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead || w.client.Exited()
}

// ask opens a connection for one request. A worker that has no answer within
// timeoutMS is ended.
func (w *worker) ask(ctx context.Context, request frame, timeoutMS int64) (frame, error) {
	c, err := w.dial(ctx)
	if err != nil {
		return frame{}, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(time.Duration(timeoutMS) * time.Millisecond)); err != nil {
		return frame{}, w.lost(err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if err := c.send(request); err != nil {
		return frame{}, w.lost(err)
	}
	answer, err := c.receive()
	if ctx.Err() != nil {
		return frame{}, ctx.Err()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.stop(fmt.Sprintf("it did not load a module, or say what it is, within %d ms", timeoutMS))
	}
	if err != nil {
		return frame{}, w.lost(err)
	}
	return answer, answer.err()
}

// stderr passes on what a plugin says, and remembers the last of it.
type stderr struct {
	warn func(string)

	mu   sync.Mutex
	last string
}

// saidMax bounds what is remembered.
const saidMax = 300

// Write takes a line or a part of one.
func (s *stderr) Write(b []byte) (int, error) {
	if text := strings.TrimSpace(string(b)); text != "" {
		s.mu.Lock()
		s.last = strings.ToValidUTF8(text[:min(len(text), saidMax)], "")
		s.mu.Unlock()
		s.warn(text)
	}
	return len(b), nil
}

func (s *stderr) latest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

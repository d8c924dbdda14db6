package plugin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"

	"github.com/wallaby-ao/wallaby/vm"
)

// SocketVariable names the environment variable with the path of the socket that
// a plugin listens on for calls. CacheVariable names the one with a directory in
// which it may keep compiled code, ParentVariable that with the process id of its
// node: when that is not its parent any more, the plugin ends.
const (
	SocketVariable = "WALLABY_VM_SOCKET"
	CacheVariable  = "WALLABY_VM_CACHE"
	ParentVariable = "WALLABY_VM_PARENT"
)

// Handshake is what a plugin and a node know each other by.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  1,
	MagicCookieKey:   "WALLABY_VM_PLUGIN",
	MagicCookieValue: "vm",
}

// About describes a plugin to operators.
type About struct {
	// Engine is the engine's name and version, e.g. "wasmtime 39.0.1".
	Engine string
	// Needs lists what it needs beside itself, e.g. "cgo".
	Needs []string
	// Can lists what it can do beside running modules, e.g. "vectors".
	Can []string
	// Formats are the module formats that it runs; Serve takes them from its driver.
	Formats []string
}

// Warn tells the node: it passes on what a plugin prints.
func Warn(what string) { fmt.Fprintln(os.Stderr, what) }

// Serve is a plugin's main function: it serves a driver until its node goes, and
// ends the process when it cannot.
func Serve(driver vm.Driver, about About) {
	path := os.Getenv(SocketVariable)
	if path == "" {
		fmt.Fprintf(os.Stderr, "%s is a virtual machine for wallaby: put it beside the wallaby program, or give wallaby --plugin-dir, and see wallaby vm list\n", os.Args[0])
		os.Exit(2)
	}
	raiseStack()
	listener, err := net.Listen("unix", path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "listen on %s: %v\n", path, err)
		os.Exit(1)
	}
	go endWithParent(os.Getenv(ParentVariable), path)
	s := newServer(driver, about)
	go s.accept(listener)
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig: Handshake,
		Plugins:         plugin.PluginSet{"vm": &nothing{}},
		GRPCServer:      plugin.DefaultGRPCServer,
		Logger:          hclog.NewNullLogger(),
	})
	_ = listener.Close()
	_ = driver.Close()
}

// parentInterval is how long a plugin may outlive its node.
const parentInterval = time.Second

// endWithParent ends the process when its node is gone: one that was killed could not
// say so. It takes its sockets away, which nobody else will, and the directory that its node
// made for them.
func endWithParent(node, socket string) {
	parent, err := strconv.Atoi(node)
	if err != nil {
		return // whoever started it looks after it
	}
	for os.Getppid() == parent {
		time.Sleep(parentInterval)
	}
	_ = os.Remove(socket)
	if dir := filepath.Dir(socket); os.Getenv(plugin.EnvUnixSocketDir) == dir {
		_ = os.RemoveAll(dir) // the node made it for these sockets alone
	}
	os.Exit(0)
}

// server answers the calls of a node.
type server struct {
	driver vm.Driver
	about  About

	mu      sync.Mutex
	modules map[string]vm.Module
	forks   map[string]vm.Process
	forked  int
}

func newServer(driver vm.Driver, about About) *server {
	return &server{driver: driver, about: about, modules: map[string]vm.Module{}, forks: map[string]vm.Process{}}
}

func (s *server) accept(listener net.Listener) {
	for {
		c, err := listener.Accept()
		if err != nil {
			return
		}
		go s.serve(newConnection(c))
	}
}

// session is one connection and its process.
type session struct {
	*server
	*connection
	inbox   *inbox
	process vm.Process
	env     []byte
}

// serve answers until the connection ends, which ends its process, too.
func (s *server) serve(c *connection) {
	ctx, cancel := context.WithCancel(context.Background())
	t := &session{server: s, connection: c, inbox: newInbox(c, cancel)}
	for {
		request, err := t.inbox.request()
		if err != nil {
			break
		}
		t.inbox.busy(true)
		answer := t.answer(ctx, request)
		t.inbox.busy(false)
		if err := t.send(answer); err != nil {
			break
		}
	}
	_ = c.Close()
	cancel()
	t.inbox.close()
	if t.process != nil {
		_ = t.process.Close()
	}
}

func (t *session) answer(ctx context.Context, request frame) (answer frame) {
	defer func() {
		if fault := recover(); fault != nil {
			answer = failure(fmt.Errorf("the virtual machine panicked: %v", fault))
		}
	}()
	answer, err := t.do(ctx, request)
	if err != nil {
		return failure(err)
	}
	if answer.kind == 0 {
		answer.kind = kindDone
	}
	return answer
}

func (t *session) do(ctx context.Context, request frame) (frame, error) {
	switch request.kind {
	case kindDescribe:
		return frame{header: header{Engine: t.about.Engine, Formats: t.driver.Formats(), Needs: t.about.Needs, Can: t.about.Can}}, nil
	case kindLoad:
		return t.load(ctx, request)
	case kindNew:
		return t.new(ctx, request)
	case kindAttach:
		return frame{}, t.attach(request.Fork)
	}
	if t.process == nil {
		return frame{}, errors.New("this connection has no process")
	}
	switch request.kind {
	case kindHandle:
		return t.handle(ctx, request)
	case kindRollback:
		return frame{}, t.process.Rollback(ctx)
	case kindSnapshot:
		return frame{}, t.process.Snapshot(sender{t.connection})
	case kindFork:
		return t.fork(ctx)
	case kindResident:
		return frame{header: header{MemoryBytes: t.process.ResidentBytes()}}, nil
	}
	return frame{}, fmt.Errorf("request %d is unknown", request.kind)
}

// moduleKey names a module by what it is.
func moduleKey(format string, wasm []byte) string {
	sum := sha256.Sum256(append([]byte(format+"\x00"), wasm...))
	return hex.EncodeToString(sum[:])
}

func (t *session) load(ctx context.Context, request frame) (frame, error) {
	source := vm.Source{Format: request.Format, Bytes: request.body}
	if id, err := hex.DecodeString(request.ID); err == nil {
		copy(source.ID[:], id)
	}
	module, err := t.driver.Load(ctx, source)
	if err != nil {
		return frame{}, err
	}
	info := module.Info()
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.modules[moduleKey(request.Format, request.body)] = module
	return frame{header: header{Info: &info}}, nil
}

func (t *session) new(ctx context.Context, request frame) (frame, error) {
	var snapshot vm.SnapshotReader
	if request.Restored {
		r, err := t.readSnapshot()
		if err != nil {
			return frame{}, err
		}
		snapshot = r
	}
	t.server.mu.Lock()
	module, ok := t.modules[request.Module]
	t.server.mu.Unlock()
	if !ok {
		return frame{kind: kindFailed, header: header{Code: codeUnknown}}, nil
	}
	if request.Config == nil || t.process != nil {
		return frame{}, errors.New("a process needs a config and a connection of its own")
	}
	c := vm.Config{
		MemoryLimitBytes: request.Config.MemoryLimitBytes,
		OutputLimitBytes: request.Config.OutputLimitBytes,
		TimeoutMS:        request.Config.TimeoutMS,
	}
	if id, err := hex.DecodeString(request.Config.Process); err == nil {
		copy(c.Process[:], id)
	}
	if request.Config.Host {
		c.Host = t
	}
	process, err := module.New(ctx, c, snapshot)
	t.process = process
	return frame{}, err
}

func (t *session) handle(ctx context.Context, request frame) (frame, error) {
	if request.EnvBytes > len(request.body) {
		return frame{}, errors.New("the environment is cut off")
	}
	if !request.SameEnv {
		t.env = request.body[:request.EnvBytes]
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.inbox.begin(request.Number, cancel)
	output, err := t.process.Handle(ctx, vm.Call{Message: request.body[request.EnvBytes:], Env: t.env, GasLimit: request.Gas})
	if err != nil {
		answer := failure(err)
		answer.Gas, answer.MemoryBytes = output.GasUsed, output.MemoryBytes
		return answer, nil
	}
	return frame{header: header{Gas: output.GasUsed, MemoryBytes: output.MemoryBytes}, body: output.Response}, nil
}

// fork keeps the new process until its own connection comes for it.
func (t *session) fork(ctx context.Context) (frame, error) {
	process, err := t.process.Fork(ctx)
	if err != nil {
		return frame{}, err
	}
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.forked++
	name := fmt.Sprint(t.forked)
	t.forks[name] = process
	return frame{header: header{Fork: name}}, nil
}

func (t *session) attach(fork string) error {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	process, ok := t.forks[fork]
	if !ok || t.process != nil {
		return fmt.Errorf("there is no fork %q", fork)
	}
	delete(t.forks, fork)
	t.process = process
	return nil
}

// Open asks the node for data.
func (t *session) Open(_ context.Context, path string) ([]byte, error) {
	if err := t.send(frame{kind: kindOpen, header: header{Path: path}}); err != nil {
		return nil, err
	}
	f, err := t.inbox.opened()
	if err != nil {
		return nil, err
	}
	switch f.Code {
	case "":
		return f.body, nil
	case "notFound":
		return nil, vm.ErrNotFound
	}
	return nil, hostError{errors.New(f.Error)}
}

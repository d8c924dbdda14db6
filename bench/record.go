package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/wallaby-ao/wallaby/vm"
)

// recorded is what an engine hands to a guest for a boot and for the messages
// after it, so that a peer can be given the very same.
type recorded struct {
	env, boot json.RawMessage
	messages  []json.RawMessage
}

// recordCalls gives a process of a fresh node in dir benchmark messages and
// keeps what the guest saw. The node's log stays behind in dir.
func recordCalls(ctx context.Context, dir, module string, count int) (f filled, r recorded, err error) {
	recorder := &recorder{}
	f, err = fillProcess(ctx, dir, module, count, recorder.wrap)
	if err != nil {
		return f, r, err
	}
	recorder.mu.Lock()
	defer recorder.mu.Unlock()
	if len(recorder.calls) != count+1 {
		return f, r, fmt.Errorf("a boot and %d messages made %d calls", count, len(recorder.calls))
	}
	r.env, r.boot = recorder.calls[0].Env, recorder.calls[0].Message
	for _, call := range recorder.calls[1:] {
		r.messages = append(r.messages, call.Message)
	}
	return f, r, nil
}

// recorder is a driver that keeps the calls of its processes.
type recorder struct {
	vm.Driver

	mu    sync.Mutex
	calls []vm.Call
}

// wrap has the recorder load modules with the given driver.
func (r *recorder) wrap(driver vm.Driver) vm.Driver {
	r.Driver = driver
	return r
}

// Load loads a module whose processes are recorded.
func (r *recorder) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	module, err := r.Driver.Load(ctx, source)
	return recordedModule{module, r}, err
}

type recordedModule struct {
	vm.Module
	recorder *recorder
}

// New makes a process that is recorded.
func (m recordedModule) New(ctx context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	process, err := m.Module.New(ctx, config, snapshot)
	return recordedProcess{process, m.recorder}, err
}

type recordedProcess struct {
	vm.Process
	recorder *recorder
}

// Handle keeps the call and runs it.
func (p recordedProcess) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	p.recorder.mu.Lock()
	p.recorder.calls = append(p.recorder.calls, vm.Call{Message: append([]byte(nil), call.Message...), Env: append([]byte(nil), call.Env...)})
	p.recorder.mu.Unlock()
	return p.Process.Handle(ctx, call)
}

package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/internal/kv"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/raft"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// recorded is what an engine hands to a guest for a boot and for the messages
// after it, so that a peer can be given the very same.
type recorded struct {
	env, boot json.RawMessage
	messages  []json.RawMessage
}

// recordCalls evaluates benchmark messages and keeps what the guest saw.
func recordCalls(ctx context.Context, dir, module string, count int) (r recorded, err error) {
	wasm, err := os.ReadFile(module)
	if err != nil {
		return r, fmt.Errorf("read module: %w", err)
	}
	signer, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return r, err
	}
	published, err := node.ModuleItem(wasm, nil, signer)
	if err != nil {
		return r, err
	}
	history, err := raft.Open(raft.Options{Dir: filepath.Join(dir, "log"), Signer: signer})
	if err != nil {
		return r, err
	}
	defer history.Close()
	db, err := kv.Open(badger.DefaultOptions(filepath.Join(dir, "state")), nil)
	if err != nil {
		return r, err
	}
	defer db.Close()
	driver, err := wazero.NewDriver(wazero.Options{})
	if err != nil {
		return r, err
	}
	defer driver.Close()
	recorder := &recorder{Driver: driver}
	e, err := engine.Open(ctx, engine.Options{
		Log: history, DB: db.DB, Drivers: []vm.Driver{recorder}, Modules: oneModule{published},
	})
	if err != nil {
		return r, err
	}
	defer e.Close()
	process, err := dataitem.Create(processDraft(published.ID().String(), dataitem.AddressOf(signer.Owner()).String(), "authority", "recorded"), signer)
	if err != nil {
		return r, err
	}
	last := process
	for i := range count + 1 {
		if i > 0 {
			if last, err = dataitem.Create(evalDraft(process.ID(), uint64(i)), signer); err != nil {
				return r, err
			}
		}
		if _, _, err := history.Append(ctx, log.Proposal{Item: last}); err != nil {
			return r, err
		}
	}
	evaluation, err := e.Result(ctx, process.ID(), last.ID())
	if err != nil {
		return r, err
	}
	if err := checkAnswer(evaluation.Result.JSON()); err != nil {
		return r, err
	}
	recorder.mu.Lock()
	defer recorder.mu.Unlock()
	if len(recorder.calls) != count+1 {
		return r, fmt.Errorf("a boot and %d messages made %d calls", count, len(recorder.calls))
	}
	r.env, r.boot = recorder.calls[0].Env, recorder.calls[0].Message
	for _, call := range recorder.calls[1:] {
		r.messages = append(r.messages, call.Message)
	}
	return r, nil
}

// oneModule is a ModuleSource of one module.
type oneModule struct{ item *dataitem.Item }

// Module gives the module under any id.
func (m oneModule) Module(_ context.Context, id ao.ID) (engine.Module, error) {
	return engine.Module{ID: id, Owner: m.item.Address(), Tags: m.item.Tags, Bytes: m.item.Data}, nil
}

// recorder is a driver that keeps the calls of its processes.
type recorder struct {
	vm.Driver

	mu    sync.Mutex
	calls []vm.Call
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

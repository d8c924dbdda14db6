// Package wasmtime runs prepared modules on wasmtime, through wasmtime-go. It is
// a Go module of its own, so that only its plugin is linked with it: wasmtime and
// wasmer define the same C symbols and may never share a binary.
package wasmtime

import (
	"context"
	"fmt"

	wt "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// Version is the engine's version.
const Version = "39.0.1"

// stackBytes is what wasmtime may use of a thread's stack: more than what
// prepared modules bound themselves to, and less than the 8 MiB of a thread.
const stackBytes = binary.StackBytes + 2<<20

// Options choose how wasmtime runs.
type Options struct {
	// CacheDir keeps compiled code between starts; "" keeps none.
	CacheDir string
	// Warn is told of compiled code that cannot be read or kept; nil is nobody.
	Warn func(string)
}

// Engine is wasmtime as an engine for package wasm.
type Engine struct {
	engine *wt.Engine
	cache  wasm.CodeCache
}

var _ wasm.Engine = (*Engine)(nil)

// NewDriver makes a vm.Driver on wasmtime.
func NewDriver(o Options) *wasm.Driver { return wasm.NewDriver(NewEngine(o)) }

// NewEngine starts an engine.
func NewEngine(o Options) *Engine {
	config := wt.NewConfig()
	config.SetMaxWasmStack(stackBytes)
	config.SetWasmRelaxedSIMD(false)
	config.SetWasmThreads(false)
	return &Engine{
		engine: wt.NewEngineWithConfig(config),
		cache:  wasm.CodeCache{Dir: o.CacheDir, Engine: "wasmtime " + Version + " " + wasm.Machine(), Warn: o.Warn},
	}
}

// Name is "wasmtime".
func (e *Engine) Name() string { return "wasmtime" }

// Memory64 is false although wasmtime has it: a lowered memory is faster, and
// all engines then run the same code.
func (e *Engine) Memory64() bool { return false }

// Close frees the engine.
func (e *Engine) Close() error {
	e.engine.Close()
	return nil
}

// Compile compiles a module, or finds it compiled.
func (e *Engine) Compile(_ context.Context, bytes []byte, imports []wasm.Import, fingerprint [32]byte) (wasm.Code, error) {
	if compiled := e.cache.Get(fingerprint); compiled != nil {
		if module, err := wt.NewModuleDeserialize(e.engine, compiled); err == nil {
			return &code{e, module, imports}, nil
		}
	}
	module, err := wt.NewModule(e.engine, bytes)
	if err != nil {
		return nil, &vm.UnsupportedError{Feature: "wasmtime cannot compile it: " + words(err)}
	}
	compiled, err := module.Serialize()
	if err != nil {
		return nil, fmt.Errorf("serialize compiled code: %w", err)
	}
	e.cache.Put(fingerprint, compiled)
	return &code{e, module, imports}, nil
}

// code is a compiled module.
type code struct {
	engine  *Engine
	module  *wt.Module
	imports []wasm.Import
}

// Instantiate makes an instance in a store of its own.
func (c *code) Instantiate(_ context.Context, imports []wasm.HostFunc, _ uint64) (wasm.Instance, error) {
	in := &instance{
		store:     wt.NewStore(c.engine.engine),
		functions: map[string]*function{},
		globals:   map[string]*global{},
	}
	externs := make([]wt.AsExtern, len(imports))
	for i, body := range imports {
		t := c.imports[i].Type
		externs[i] = wt.NewFunc(in.store, wt.NewFuncType(kinds(t.Params), kinds(t.Results)), adapt(t, body))
	}
	var err error
	if in.instance, err = wt.NewInstance(in.store, c.module, externs); err != nil {
		in.store.Close()
		return nil, explain(err)
	}
	memory := in.instance.GetExport(in.store, "memory")
	if memory == nil || memory.Memory() == nil {
		in.store.Close()
		return nil, &vm.UnsupportedError{Feature: "it exports no memory"}
	}
	in.memory = memory.Memory()
	return in, nil
}

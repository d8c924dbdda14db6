// Package wasmer runs prepared modules on wasmer's Cranelift compiler, through
// wasmer-go. It is a Go module of its own, so that only its plugin is linked with
// it: wasmer and wasmtime define the same C symbols and may never share a binary.
package wasmer

import (
	"context"
	"fmt"

	wm "github.com/wasmerio/wasmer-go/wasmer"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// Version is the version of wasmer-go, which holds wasmer 2.0.0.
const Version = "1.0.4"

// Options choose how wasmer runs.
type Options struct {
	// CacheDir keeps compiled code between starts; "" keeps none.
	CacheDir string
	// Warn is told of compiled code that cannot be read or kept; nil is nobody.
	Warn func(string)
}

// Engine is wasmer as an engine for package wasm.
type Engine struct {
	store *wm.Store
	cache wasm.CodeCache
}

var _ wasm.Engine = (*Engine)(nil)

// NewDriver makes a vm.Driver on wasmer.
func NewDriver(o Options) *wasm.Driver { return wasm.NewDriver(NewEngine(o)) }

// NewEngine starts an engine. Its compiler is Cranelift: Singlepass hands the
// floats that Go functions return to the guest as garbage.
func NewEngine(o Options) *Engine {
	config := wm.NewConfig().UseUniversalEngine().UseCraneliftCompiler()
	return &Engine{
		store: wm.NewStore(wm.NewEngineWithConfig(config)),
		cache: wasm.CodeCache{Dir: o.CacheDir, Engine: "wasmer " + Version + " cranelift " + wasm.Machine(), Warn: o.Warn},
	}
}

// Name is "wasmer".
func (e *Engine) Name() string { return "wasmer" }

// Memory64 is false: wasmer has 32-bit memories only.
func (e *Engine) Memory64() bool { return false }

// Close leaves what it holds to the end of its process: wasmer's objects are
// freed by finalizers, whose order nobody knows.
func (e *Engine) Close() error { return nil }

// Compile compiles a module, or finds it compiled.
func (e *Engine) Compile(_ context.Context, bytes []byte, imports []wasm.Import, fingerprint [32]byte) (wasm.Code, error) {
	if compiled := e.cache.Get(fingerprint); compiled != nil {
		if module, err := wm.DeserializeModule(e.store, compiled); err == nil {
			return &code{e, module, imports}, nil
		}
	}
	module, err := wm.NewModule(e.store, bytes)
	if err != nil {
		return nil, &vm.UnsupportedError{Feature: fmt.Sprintf("wasmer cannot compile it: %v", err)}
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
	module  *wm.Module
	imports []wasm.Import
}

// Instantiate makes an instance. It holds on to its functions: wasmer would call
// them after their finalizers had run.
func (c *code) Instantiate(_ context.Context, imports []wasm.HostFunc, _ uint64) (wasm.Instance, error) {
	in := &instance{code: c, functions: map[string]*function{}, globals: map[string]*global{}}
	byModule := map[string]map[string]wm.IntoExtern{}
	for i, body := range imports {
		im := c.imports[i]
		f := wm.NewFunction(c.engine.store, wm.NewFunctionType(kinds(im.Type.Params), kinds(im.Type.Results)), adapt(im.Type, body))
		in.hosts = append(in.hosts, f)
		if byModule[im.Module] == nil {
			byModule[im.Module] = map[string]wm.IntoExtern{}
		}
		byModule[im.Module][im.Name] = f
	}
	object := wm.NewImportObject()
	for name, functions := range byModule {
		object.Register(name, functions)
	}
	var err error
	if in.instance, err = wm.NewInstance(c.module, object); err != nil {
		return nil, explain(err)
	}
	if in.memory, err = in.instance.Exports.GetMemory("memory"); err != nil {
		return nil, &vm.UnsupportedError{Feature: "it exports no memory"}
	}
	return in, nil
}

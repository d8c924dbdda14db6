package wazero

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	rt "github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// Options choose how wazero runs.
type Options struct {
	// CacheDir keeps compiled code between starts; "" keeps none.
	CacheDir string
	// Interpreter runs modules without compiling them: slow, and the same on
	// every CPU.
	Interpreter bool
	// Warn is told of damage that was mended; default nobody.
	Warn func(string)
}

// Engine is wazero as an engine for package wasm.
type Engine struct {
	options Options
	runtime rt.Runtime
	cache   rt.CompilationCache
	sums    *sums // nil without a cache
}

var _ wasm.Engine = (*Engine)(nil)

// NewDriver makes a vm.Driver on wazero.
func NewDriver(o Options) (*wasm.Driver, error) {
	engine, err := NewEngine(o)
	if err != nil {
		return nil, err
	}
	return wasm.NewDriver(engine), nil
}

// NewEngine starts a runtime.
func NewEngine(o Options) (*Engine, error) {
	config := rt.NewRuntimeConfigCompiler()
	if o.Interpreter {
		config = rt.NewRuntimeConfigInterpreter()
	}
	e := &Engine{options: o}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.CacheDir != "" {
		var err error
		if e.sums, err = openSums(o.CacheDir, o.Warn); err != nil {
			return nil, err
		}
		cache, err := rt.NewCompilationCacheWithDir(o.CacheDir)
		if err != nil {
			return nil, fmt.Errorf("open the cache of compiled modules in %s: %w", o.CacheDir, err)
		}
		e.cache = cache
		config = config.WithCompilationCache(cache)
	}
	// Debug information would make every trap cost milliseconds, and prepared
	// modules have none.
	config = config.WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	e.runtime = rt.NewRuntimeWithConfig(context.Background(), config)
	return e, nil
}

// Name is "wazero", or "wazero-interpreter".
func (e *Engine) Name() string {
	if e.options.Interpreter {
		return "wazero-interpreter"
	}
	return "wazero"
}

// Memory64 is false: wazero has 32-bit memories only.
func (e *Engine) Memory64() bool { return false }

// Close frees the runtime and all that was compiled.
func (e *Engine) Close() error {
	err := e.runtime.Close(context.Background())
	if e.cache != nil {
		err = errors.Join(err, e.cache.Close(context.Background()))
	}
	return err
}

// Compile compiles a module and the trampolines to its host functions.
// wazero's cache goes by the bytes, so the fingerprint is not needed.
func (e *Engine) Compile(ctx context.Context, bytes []byte, imports []wasm.Import, _ [32]byte) (wasm.Code, error) {
	ctx = experimental.WithCompilationWorkers(ctx, procs.Cores())
	compiled, err := e.runtime.CompileModule(ctx, bytes)
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fmt.Errorf("keep compiled code: %w", path)
	}
	if err != nil {
		return nil, &vm.UnsupportedError{Feature: fmt.Sprintf("wazero cannot compile it: %v", err)}
	}
	hosts, err := e.hostModules(ctx, imports)
	if err != nil {
		return nil, errors.Join(err, compiled.Close(ctx))
	}
	if e.sums != nil {
		if err := e.sums.seal(); err != nil {
			e.options.Warn(err.Error()) // it is compiled again at the next start
		}
	}
	return &code{engine: e, compiled: compiled, hosts: hosts}, nil
}

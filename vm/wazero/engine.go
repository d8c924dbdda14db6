package wazero

import (
	"context"
	"errors"
	"fmt"

	rt "github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

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
}

// Engine is wazero as an engine for package wasm.
type Engine struct {
	options Options
	runtime rt.Runtime
	cache   rt.CompilationCache
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
	if o.CacheDir != "" {
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

// Compile compiles a module. wazero's cache goes by the bytes, so the
// fingerprint is not needed.
func (e *Engine) Compile(ctx context.Context, bytes []byte, _ [32]byte) (wasm.Code, error) {
	compiled, err := e.runtime.CompileModule(ctx, bytes)
	if err != nil {
		return nil, &vm.UnsupportedError{Feature: fmt.Sprintf("wazero cannot compile it: %v", err)}
	}
	return &code{engine: e, compiled: compiled}, nil
}

type code struct {
	engine   *Engine
	compiled rt.CompiledModule
}

// hostError carries an error of a host function through wazero's panics.
type hostError struct{ err error }

func (e hostError) Error() string { return e.err.Error() }

// Instantiate makes an instance. Its host functions are a module of its own,
// resolved for it alone, so that instances share nothing.
func (c *code) Instantiate(ctx context.Context, imports []wasm.HostFunc, memoryBytesMax uint64) (wasm.Instance, error) {
	in := &instance{memoryBytesMax: memoryBytesMax, functions: map[string]api.Function{}}
	hosts, err := c.hostModules(ctx, imports, in)
	if err != nil {
		return nil, err
	}
	ctx = experimental.WithImportResolver(ctx, func(name string) api.Module { return hosts[name] })
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(in.allocate))
	config := rt.NewModuleConfig().WithName("").WithStartFunctions()
	in.module, err = c.engine.runtime.InstantiateModule(ctx, c.compiled, config)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	if in.module.Memory() == nil {
		return nil, errors.Join(&vm.UnsupportedError{Feature: "it exports no memory"}, in.Close())
	}
	return in, nil
}

func (c *code) hostModules(ctx context.Context, imports []wasm.HostFunc, in *instance) (map[string]api.Module, error) {
	builders := map[string]rt.HostModuleBuilder{}
	for _, f := range imports {
		builder, ok := builders[f.Module]
		if !ok {
			builder = c.engine.runtime.NewHostModuleBuilder(f.Module)
			builders[f.Module] = builder
		}
		builder.NewFunctionBuilder().
			WithGoModuleFunction(adapt(f), f.Type.Params, f.Type.Results).
			Export(f.Name)
	}
	hosts := map[string]api.Module{}
	for name, builder := range builders {
		compiled, err := builder.Compile(ctx)
		if err != nil {
			return nil, fmt.Errorf("compile host module %s: %w", name, err)
		}
		host, err := c.engine.runtime.InstantiateModule(ctx, compiled, rt.NewModuleConfig().WithName(""))
		if err != nil {
			return nil, fmt.Errorf("instantiate host module %s: %w", name, err)
		}
		hosts[name] = host
		in.hosts = append(in.hosts, host)
		in.compiled = append(in.compiled, compiled)
	}
	return hosts, nil
}

// adapt clears the upper halves of 32-bit parameters, which wazero leaves as
// they happen to be, and turns an error into the panic that ends the call.
func adapt(f wasm.HostFunc) api.GoModuleFunc {
	var narrow []int
	for i, t := range f.Type.Params {
		if t == api.ValueTypeI32 {
			narrow = append(narrow, i)
		}
	}
	empty := len(f.Type.Params)+len(f.Type.Results) == 0
	return func(ctx context.Context, _ api.Module, stack []uint64) {
		for _, i := range narrow {
			stack[i] = uint64(uint32(stack[i]))
		}
		if empty {
			stack = []uint64{0}
		}
		if err := f.Call(ctx, stack); err != nil {
			panic(hostError{err})
		}
	}
}

// instance is one live module.
type instance struct {
	module         api.Module
	hosts          []api.Module
	compiled       []rt.CompiledModule
	memory         *memory
	memoryBytesMax uint64
	functions      map[string]api.Function
	depth          int
}

// Call calls an export. wazero's functions own a stack each, so a nested call
// takes a function of its own.
func (in *instance) Call(ctx context.Context, name string, args ...uint64) (uint64, error) {
	f := in.functions[name]
	if f == nil || in.depth > 0 {
		if f = in.module.ExportedFunction(name); f == nil {
			return 0, fmt.Errorf("the module does not export %s", name)
		}
		if in.depth == 0 {
			in.functions[name] = f
		}
	}
	var stack [8]uint64
	n := copy(stack[:], args)
	in.depth++
	err := f.CallWithStack(ctx, stack[:max(n, 1)])
	in.depth--
	if err != nil {
		return 0, explain(err)
	}
	return stack[0], nil
}

// explain gives back a host function's own error, and calls the rest traps.
func explain(err error) error {
	if host, ok := errors.AsType[hostError](err); ok {
		return host.err
	}
	if exit, ok := errors.AsType[*sys.ExitError](err); ok {
		return fmt.Errorf("module closed with exit code %d", exit.ExitCode())
	}
	return &vm.TrapError{Reason: firstLine(err.Error())}
}

// firstLine leaves out wazero's stack trace, which differs between engines.
func firstLine(s string) string {
	for i := range len(s) {
		if s[i] == '\n' {
			return s[:i]
		}
	}
	return s
}

// Memory is a view of the memory.
func (in *instance) Memory() []byte {
	m := in.module.Memory()
	b, _ := m.Read(0, m.Size())
	return b
}

// Grow adds pages.
func (in *instance) Grow(pages uint64) bool {
	if pages > 65536 || uint64(in.module.Memory().Size())+pages*vm.PageBytes > in.memoryBytesMax {
		return false
	}
	_, ok := in.module.Memory().Grow(uint32(pages))
	return ok
}

// Global reads an exported global.
func (in *instance) Global(name string) (uint64, bool) {
	g := in.module.ExportedGlobal(name)
	if g == nil {
		return 0, false
	}
	return g.Get(), true
}

// SetGlobal writes an exported mutable global.
func (in *instance) SetGlobal(name string, value uint64) error {
	g, ok := in.module.ExportedGlobal(name).(api.MutableGlobal)
	if !ok {
		return fmt.Errorf("the module has no mutable global %s", name)
	}
	g.Set(value)
	return nil
}

// Close frees the instance, its host functions and its memory.
func (in *instance) Close() error {
	ctx := context.Background()
	var errs []error
	if in.module != nil {
		errs = append(errs, in.module.Close(ctx))
	}
	for _, host := range in.hosts {
		errs = append(errs, host.Close(ctx))
	}
	for _, compiled := range in.compiled {
		errs = append(errs, compiled.Close(ctx))
	}
	if in.memory != nil {
		in.memory.Free()
	}
	return errors.Join(errs...)
}

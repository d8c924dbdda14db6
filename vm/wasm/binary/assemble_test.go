package binary

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// fn is a function of a module made for a test.
type fn struct {
	params, results []byte
	locals          []byte
	body            []byte // without its end
	export          string
}

// assemble makes a module of functions, with one page of memory; alter may
// change it before it is written.
func assemble(fns []fn, alter func(m *Module)) []byte {
	m := &Module{start: -1, dataCount: -1, transient: map[uint32]bool{}}
	m.Memories = []Limits{{Flags: limitsHasMax, Min: 1, Max: 10}}
	for i, f := range fns {
		c := code{body: join(f.body, ops(opEnd))}
		for _, kind := range f.locals {
			c.locals = append(c.locals, local{1, kind})
		}
		m.addFunc(m.addType(FuncType{Params: f.params, Results: f.results}), c)
		if f.export != "" {
			m.Exports = append(m.Exports, Export{Name: f.export, Kind: KindFunc, Index: uint32(i)})
		}
	}
	if alter != nil {
		alter(m)
	}
	return m.Encode()
}

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func ops(b ...byte) []byte { return b }

func i32c(v int32) []byte { e := emitter{}; e.i32(v); return e.b }

func i64c(v int64) []byte { e := emitter{}; e.i64(v); return e.b }

func f64c(bits uint64) []byte { e := emitter{}; e.f64(bits); return e.b }

func f32c(bits uint32) []byte { e := emitter{}; e.f32(bits); return e.b }

func mustPrepare(tb testing.TB, wasm []byte, o PrepareOptions) *Prepared {
	tb.Helper()
	p, err := Prepare(wasm, o)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// instance is a module on an engine, for tests.
type instance struct {
	tb  testing.TB
	mod api.Module
}

var engines = map[string]func() wazero.RuntimeConfig{
	"compiler":    wazero.NewRuntimeConfigCompiler,
	"interpreter": wazero.NewRuntimeConfigInterpreter,
}

// start instantiates a module whose imports all answer 0.
func start(tb testing.TB, wasm []byte, engine string) *instance {
	tb.Helper()
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, engines[engine]())
	tb.Cleanup(func() { _ = runtime.Close(ctx) })
	m, err := Decode(wasm)
	if err != nil {
		tb.Fatal(err)
	}
	builders := map[string]wazero.HostModuleBuilder{}
	for _, im := range m.Imports {
		if builders[im.Module] == nil {
			builders[im.Module] = runtime.NewHostModuleBuilder(im.Module)
		}
		t := m.Types[im.Type]
		builders[im.Module].NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, s []uint64) {
			if im.Module == RefillModule {
				s[0] = s[1] // there is no more
				return
			}
			clear(s)
		}), t.Params, t.Results).Export(im.Name)
	}
	for _, b := range builders {
		if _, err := b.Instantiate(ctx); err != nil {
			tb.Fatal(err)
		}
	}
	mod, err := runtime.InstantiateWithConfig(ctx, wasm, wazero.NewModuleConfig().WithStartFunctions())
	if err != nil {
		tb.Fatalf("instantiate: %v\n%x", err, wasm)
	}
	return &instance{tb, mod}
}

func (in *instance) try(name string, args ...uint64) ([]uint64, error) {
	f := in.mod.ExportedFunction(name)
	if f == nil {
		return nil, errors.New("no export " + name)
	}
	return f.Call(context.Background(), args...)
}

func (in *instance) call(name string, args ...uint64) uint64 {
	in.tb.Helper()
	result, err := in.try(name, args...)
	if err != nil {
		in.tb.Fatalf("%s%v: %v", name, args, err)
	}
	if len(result) == 0 {
		return 0
	}
	return result[0]
}

func (in *instance) gas() int64 { return in.left(GasExport) }

func (in *instance) left(counter string) int64 { return int64(in.mod.ExportedGlobal(counter).Get()) }

func (in *instance) setGas(v int64) {
	for _, name := range []string{GasExport, BudgetExport} {
		if counter, ok := in.mod.ExportedGlobal(name).(api.MutableGlobal); ok {
			counter.Set(uint64(v))
		}
	}
}

// onEngines runs a test on each engine.
func onEngines(t *testing.T, wasm []byte, test func(t *testing.T, in *instance)) {
	t.Helper()
	for engine := range engines {
		t.Run(engine, func(t *testing.T) { test(t, start(t, wasm, engine)) })
	}
}

package wazero

import (
	"context"
	"errors"
	"fmt"

	rt "github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// code is a compiled module with the host modules that all its instances share.
type code struct {
	engine   *Engine
	compiled rt.CompiledModule
	hosts    map[string]api.Module
}

// instanceKey finds in the context of a call the instance that it belongs to,
// since host functions are the same for all.
type instanceKey struct{}

// hostModules makes one nameless module for each module name that is imported
// from. Modules that give the same name to different functions do not meet.
func (e *Engine) hostModules(ctx context.Context, imports []wasm.Import) (map[string]api.Module, error) {
	builders := map[string]rt.HostModuleBuilder{}
	for i, f := range imports {
		builder, ok := builders[f.Module]
		if !ok {
			builder = e.runtime.NewHostModuleBuilder(f.Module)
			builders[f.Module] = builder
		}
		builder.NewFunctionBuilder().
			WithGoModuleFunction(adapt(i, f), f.Type.Params, f.Type.Results).
			Export(f.Name)
	}
	hosts := map[string]api.Module{}
	for name, builder := range builders {
		compiled, err := builder.Compile(ctx)
		if err != nil {
			return nil, fmt.Errorf("compile host module %s: %w", name, err)
		}
		host, err := e.runtime.InstantiateModule(ctx, compiled, rt.NewModuleConfig().WithName(""))
		if err != nil {
			return nil, fmt.Errorf("instantiate host module %s: %w", name, err)
		}
		hosts[name] = host
	}
	return hosts, nil
}

// adapt clears the upper halves of 32-bit parameters, which wazero leaves as
// they happen to be.
func adapt(index int, f wasm.Import) api.GoModuleFunc {
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
		ctx.Value(instanceKey{}).(*instance).imports[index](stack)
	}
}

// Instantiate makes an instance.
func (c *code) Instantiate(ctx context.Context, imports []wasm.HostFunc, memoryBytesMax uint64) (wasm.Instance, error) {
	space, err := wasm.Reserve(memoryBytesMax)
	if err != nil {
		return nil, err
	}
	in := &instance{imports: imports, space: space, functions: map[string]api.Function{}, globals: map[string]api.Global{}}
	ctx = experimental.WithImportResolver(ctx, func(name string) api.Module { return c.hosts[name] })
	ctx = experimental.WithMemoryAllocator(ctx, experimental.MemoryAllocatorFunc(
		func(_, _ uint64) experimental.LinearMemory { return memory{space} }))
	config := rt.NewModuleConfig().WithName("").WithStartFunctions()
	in.module, err = c.engine.runtime.InstantiateModule(in.within(ctx), c.compiled, config)
	if err != nil {
		return nil, errors.Join(explain(err), in.Close())
	}
	if in.module.Memory() == nil {
		return nil, errors.Join(&vm.UnsupportedError{Feature: "it exports no memory"}, in.Close())
	}
	return in, nil
}

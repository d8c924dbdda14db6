package wazero

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// instance is one live module.
type instance struct {
	module    api.Module
	imports   []wasm.HostFunc
	space     *wasm.Reservation
	functions map[string]api.Function
	globals   map[string]api.Global
	depth     int
}

// callContext adds the instance to a context without a search for it. It never
// ends: package wasm ends a call, by its gas.
type callContext struct {
	context.Context
	in *instance
}

func (c callContext) Value(key any) any {
	if _, ok := key.(instanceKey); ok {
		return c.in
	}
	return c.Context.Value(key)
}

func (c callContext) Done() <-chan struct{} { return nil }

func (c callContext) Err() error { return nil }

func (in *instance) within(ctx context.Context) context.Context { return callContext{ctx, in} }

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
	err := f.CallWithStack(in.within(ctx), stack[:max(n, 1)])
	in.depth--
	if err != nil {
		return 0, explain(err)
	}
	return stack[0], nil
}

// explain says what kind of trap it was.
func explain(err error) error {
	if exit, ok := errors.AsType[*sys.ExitError](err); ok {
		return fmt.Errorf("module closed with exit code %d", exit.ExitCode())
	}
	// wazero adds a stack trace, which depends on the engine.
	reason, _, _ := strings.Cut(err.Error(), "\n")
	return &vm.TrapError{Reason: strings.TrimPrefix(reason, "wasm error: ")}
}

// Memory is a view of the memory.
func (in *instance) Memory() []byte {
	m := in.module.Memory()
	b, _ := m.Read(0, m.Size())
	return b
}

// Touched asks the system which pages of the memory were ever written to or read.
func (in *instance) Touched() []bool { return in.space.Touched() }

// Grow adds pages.
func (in *instance) Grow(pages uint64) bool {
	if pages > in.space.Max()/vm.PageBytes {
		return false
	}
	_, ok := in.module.Memory().Grow(uint32(pages))
	return ok
}

func (in *instance) global(name string) api.Global {
	g, ok := in.globals[name]
	if !ok {
		g = in.module.ExportedGlobal(name)
		in.globals[name] = g
	}
	return g
}

// Global reads an exported global.
func (in *instance) Global(name string) (uint64, bool) {
	g := in.global(name)
	if g == nil {
		return 0, false
	}
	return g.Get(), true
}

// SetGlobal writes an exported mutable global.
func (in *instance) SetGlobal(name string, value uint64) error {
	g, ok := in.global(name).(api.MutableGlobal)
	if !ok {
		return fmt.Errorf("the module has no mutable global %s", name)
	}
	g.Set(value)
	return nil
}

// Close frees the instance and its memory.
func (in *instance) Close() error {
	var err error
	if in.module != nil {
		err = in.module.Close(context.Background())
	}
	in.space.Free()
	return err
}

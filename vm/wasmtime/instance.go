package wasmtime

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	wt "github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// instance is one live module.
type instance struct {
	store     *wt.Store
	instance  *wt.Instance
	memory    *wt.Memory
	functions map[string]*function
	globals   map[string]*global
}

type function struct {
	f      *wt.Func
	params []wt.ValKind
}

type global struct {
	g    *wt.Global
	kind wt.ValKind
}

func kinds(types []byte) []*wt.ValType {
	list := make([]*wt.ValType, len(types))
	for i, t := range types {
		kind := map[byte]wt.ValKind{binary.I32: wt.KindI32, binary.I64: wt.KindI64, binary.F32: wt.KindF32, binary.F64: wt.KindF64}[t]
		list[i] = wt.NewValType(kind)
	}
	return list
}

// adapt makes a host function of a body that works on raw values.
func adapt(t binary.FuncType, body wasm.HostFunc) func(*wt.Caller, []wt.Val) ([]wt.Val, *wt.Trap) {
	size := max(len(t.Params), len(t.Results), 1)
	return func(_ *wt.Caller, args []wt.Val) ([]wt.Val, *wt.Trap) {
		stack := make([]uint64, size)
		for i, a := range args {
			stack[i] = raw(a)
		}
		body(stack)
		results := make([]wt.Val, len(t.Results))
		for i, kind := range t.Results {
			results[i] = value(kind, stack[i])
		}
		return results, nil
	}
}

func raw(v wt.Val) uint64 {
	switch v.Kind() {
	case wt.KindI32:
		return uint64(uint32(v.I32()))
	case wt.KindI64:
		return uint64(v.I64())
	case wt.KindF32:
		return uint64(math.Float32bits(v.F32()))
	}
	return math.Float64bits(v.F64())
}

func value(kind byte, v uint64) wt.Val {
	switch kind {
	case binary.I32:
		return wt.ValI32(int32(v))
	case binary.I64:
		return wt.ValI64(int64(v))
	case binary.F32:
		return wt.ValF32(math.Float32frombits(uint32(v)))
	}
	return wt.ValF64(math.Float64frombits(v))
}

func (in *instance) function(name string) *function {
	f, ok := in.functions[name]
	if !ok {
		if exported := in.instance.GetFunc(in.store, name); exported != nil {
			f = &function{f: exported}
			for _, p := range exported.Type(in.store).Params() {
				f.params = append(f.params, p.Kind())
			}
		}
		in.functions[name] = f
	}
	return f
}

// Call calls an export.
func (in *instance) Call(_ context.Context, name string, args ...uint64) (uint64, error) {
	f := in.function(name)
	if f == nil || len(f.params) != len(args) {
		return 0, fmt.Errorf("the module does not export %s with %d parameters", name, len(args))
	}
	given := make([]any, len(args))
	for i, a := range args {
		given[i] = any(int64(a))
		if f.params[i] == wt.KindI32 {
			given[i] = int32(a)
		}
	}
	result, err := f.f.Call(in.store, given...)
	if err != nil {
		return 0, explain(err)
	}
	switch x := result.(type) {
	case int32:
		return uint64(uint32(x)), nil
	case int64:
		return uint64(x), nil
	}
	return 0, nil
}

// explain says what kind of trap it was.
func explain(err error) error {
	trap, ok := errors.AsType[*wt.Trap](err)
	if !ok || trap.Code() == nil {
		return &vm.TrapError{Reason: words(err)}
	}
	reason, ok := map[wt.TrapCode]string{
		wt.StackOverflow:          wasm.TrapStackOverflow,
		wt.MemoryOutOfBounds:      wasm.TrapMemory,
		wt.TableOutOfBounds:       wasm.TrapTable,
		wt.IndirectCallToNull:     wasm.TrapTable,
		wt.BadSignature:           wasm.TrapSignature,
		wt.IntegerOverflow:        wasm.TrapOverflow,
		wt.IntegerDivisionByZero:  wasm.TrapDivide,
		wt.BadConversionToInteger: wasm.TrapConversion,
		wt.UnreachableCodeReached: wasm.TrapUnreachable,
	}[*trap.Code()]
	if !ok {
		reason = trap.Message()
	}
	return &vm.TrapError{Reason: reason}
}

// words gives an error of wasmtime's in one line, without its stack.
func words(err error) string {
	text, _, _ := strings.Cut(err.Error(), "Stack backtrace")
	return strings.Join(strings.Fields(text), " ")
}

// Memory is a view of the memory.
func (in *instance) Memory() []byte { return in.memory.UnsafeData(in.store) }

// Touched is unknown: what was never touched may still come from a file.
func (in *instance) Touched() []bool { return nil }

// Grow adds pages.
func (in *instance) Grow(pages uint64) bool {
	_, err := in.memory.Grow(in.store, pages)
	return err == nil
}

func (in *instance) global(name string) *global {
	g, ok := in.globals[name]
	if !ok {
		if e := in.instance.GetExport(in.store, name); e != nil && e.Global() != nil {
			g = &global{e.Global(), e.Global().Type(in.store).Content().Kind()}
		}
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
	return raw(g.g.Get(in.store)), true
}

// SetGlobal writes an exported mutable global.
func (in *instance) SetGlobal(name string, v uint64) error {
	g := in.global(name)
	if g == nil {
		return fmt.Errorf("the module has no mutable global %s", name)
	}
	kind := map[wt.ValKind]byte{wt.KindI32: binary.I32, wt.KindI64: binary.I64, wt.KindF32: binary.F32, wt.KindF64: binary.F64}[g.kind]
	if err := g.g.Set(in.store, value(kind, v)); err != nil {
		return fmt.Errorf("set global %s: %w", name, err)
	}
	return nil
}

// Close frees the instance and its memory.
func (in *instance) Close() error {
	in.store.Close()
	return nil
}

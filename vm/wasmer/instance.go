package wasmer

import (
	"context"
	"fmt"
	"math"
	"strings"

	wm "github.com/wasmerio/wasmer-go/wasmer"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// instance is one live module.
type instance struct {
	code      *code
	instance  *wm.Instance
	memory    *wm.Memory
	hosts     []*wm.Function
	functions map[string]*function
	globals   map[string]*global
}

type function struct {
	call   wm.NativeFunction
	params []wm.ValueKind
	keep   *wm.Function
}

type global struct {
	g    *wm.Global
	kind wm.ValueKind
}

var kindOf = map[byte]wm.ValueKind{binary.I32: wm.I32, binary.I64: wm.I64, binary.F32: wm.F32, binary.F64: wm.F64}

func kinds(types []byte) []*wm.ValueType {
	list := make([]wm.ValueKind, len(types))
	for i, t := range types {
		list[i] = kindOf[t]
	}
	return wm.NewValueTypes(list...)
}

// adapt makes a host function of a body that works on raw values. It never
// returns an error: wasmer-go 1.0.4 frees those twice.
func adapt(t binary.FuncType, body wasm.HostFunc) func([]wm.Value) ([]wm.Value, error) {
	size := max(len(t.Params), len(t.Results), 1)
	return func(args []wm.Value) ([]wm.Value, error) {
		stack := make([]uint64, size)
		for i, a := range args {
			stack[i] = raw(a.Unwrap())
		}
		body(stack)
		results := make([]wm.Value, len(t.Results))
		for i, kind := range t.Results {
			results[i] = wm.NewValue(value(kindOf[kind], stack[i]), kindOf[kind])
		}
		return results, nil
	}
}

func raw(v any) uint64 {
	switch x := v.(type) {
	case int32:
		return uint64(uint32(x))
	case int64:
		return uint64(x)
	case float32:
		return uint64(math.Float32bits(x))
	case float64:
		return math.Float64bits(x)
	}
	return 0
}

func value(kind wm.ValueKind, v uint64) any {
	switch kind {
	case wm.I32:
		return int32(v)
	case wm.I64:
		return int64(v)
	case wm.F32:
		return math.Float32frombits(uint32(v))
	}
	return math.Float64frombits(v)
}

func (in *instance) function(name string) *function {
	f, ok := in.functions[name]
	if !ok {
		if exported, err := in.instance.Exports.GetRawFunction(name); err == nil && exported != nil {
			f = &function{call: exported.Native(), keep: exported}
			for _, p := range exported.Type().Params() {
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
		given[i] = value(f.params[i], a)
	}
	result, err := f.call(given...)
	if err != nil {
		return 0, explain(err)
	}
	return raw(result), nil
}

// reasons are wasmer's words for traps. Of words that begin alike the longer
// ones come first.
var reasons = []struct{ text, reason string }{
	{"out of bounds table access", wasm.TrapTable},
	{"uninitialized element", wasm.TrapTable},
	{"indirect call type mismatch", wasm.TrapSignature},
	{"out of bounds memory access", wasm.TrapMemory},
	{"out of bounds", wasm.TrapMemory},
	{"integer overflow", wasm.TrapOverflow},
	{"integer divide by zero", wasm.TrapDivide},
	{"invalid conversion to integer", wasm.TrapConversion},
	{"call stack exhausted", wasm.TrapStackOverflow},
	{"unreachable", wasm.TrapUnreachable},
}

// explain says what kind of trap it was.
func explain(err error) error {
	for _, r := range reasons {
		if strings.Contains(err.Error(), r.text) {
			return &vm.TrapError{Reason: r.reason}
		}
	}
	return &vm.TrapError{Reason: err.Error()}
}

// Memory is a view of the memory.
func (in *instance) Memory() []byte { return in.memory.Data() }

// Touched is unknown: the memory is wasmer's own.
func (in *instance) Touched() []bool { return nil }

// Grow adds pages.
func (in *instance) Grow(pages uint64) bool {
	return pages <= math.MaxUint16 && in.memory.Grow(wm.Pages(pages))
}

func (in *instance) global(name string) *global {
	g, ok := in.globals[name]
	if !ok {
		if exported, err := in.instance.Exports.GetGlobal(name); err == nil && exported != nil {
			g = &global{exported, exported.Type().ValueType().Kind()}
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
	v, err := g.g.Get()
	return raw(v), err == nil
}

// SetGlobal writes an exported mutable global.
func (in *instance) SetGlobal(name string, v uint64) error {
	g := in.global(name)
	if g == nil {
		return fmt.Errorf("the module has no mutable global %s", name)
	}
	if err := g.g.Set(value(g.kind, v), g.kind); err != nil {
		return fmt.Errorf("set global %s: %w", name, err)
	}
	return nil
}

// Close frees the instance and its memory.
func (in *instance) Close() error {
	in.instance.Close()
	return nil
}

package binary

import (
	"context"
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
)

// FuzzPrepare holds that no bytes make the passes panic, and that a module the
// engine takes as published is one it takes when prepared.
func FuzzPrepare(f *testing.F) {
	f.Add(assemble(nil, nil))
	f.Add(assemble([]fn{{params: []byte{I32}, results: []byte{I32}, body: join(ops(opLocalGet, 0), i32c(7), ops(0x6a)), export: "f"}}, nil))
	f.Add(assemble([]fn{{results: []byte{F64}, body: join(f64c(1), f64c(2), ops(0xa0)), export: "f"}}, nil))
	f.Add(assemble([]fn{{body: join(ops(opLoop, blockVoid, opBr, 0, opEnd)), export: "f"}}, nil))
	f.Add(assemble([]fn{{results: []byte{I64}, body: join(i64c(8), ops(0x29, 3, 0)), export: "f"}}, func(m *Module) { m.Memories[0].Flags |= limits64 }))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if len(wasm) > 1<<16 {
			return
		}
		var all []*Prepared
		for _, metering := range []Metering{MeteringNone, MeteringExact, MeteringBudget} {
			if p, err := Prepare(wasm, PrepareOptions{Metering: metering, Lower64: true, MemoryPagesMax: 16}); err == nil {
				all = append(all, p)
			}
		}
		// The engine must not see what the passes refuse: a count of some bytes
		// makes it allocate gigabytes.
		if len(all) == 0 || compile(t, wasm) != nil {
			return
		}
		for i, p := range all {
			if err := compile(t, p.Wasm); err != nil {
				t.Errorf("preparation %d: the engine refuses what the passes made: %v", i, err)
			}
		}
	})
}

func compile(t *testing.T, wasm []byte) error {
	ctx := context.Background()
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer func() {
		if err := runtime.Close(ctx); err != nil {
			t.Error(err)
		}
	}()
	_, err := runtime.CompileModule(ctx, wasm)
	return err
}

func TestPrepareSaysWhatItDoesNotTake(t *testing.T) {
	for _, wasm := range [][]byte{nil, []byte("\x00asm"), []byte("hello"), []byte("\x00asm\x02\x00\x00\x00")} {
		_, err := Prepare(wasm, PrepareOptions{})
		if err == nil {
			t.Errorf("%q was prepared", wasm)
		}
		if _, ok := errors.AsType[*UnsupportedError](err); ok {
			t.Errorf("%q is no module, and the error says %v", wasm, err)
		}
	}
}

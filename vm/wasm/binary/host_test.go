package binary

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero/api"
)

// TestMemcpyIsCopyWithin has the values of TypedArray.prototype.copyWithin in
// node, for a memory whose last 8 bytes it looks at.
func TestMemcpyIsCopyWithin(t *testing.T) {
	const base = 65536 - 8
	for kind, flags := range map[byte]byte{I32: 0, I64: limits64} {
		wasm := assemble([]fn{{params: []byte{kind, kind, kind}, export: "run", body: ops(opLocalGet, 0, opLocalGet, 1, opLocalGet, 2, opCall, 0)}}, func(m *Module) {
			m.Memories[0].Flags |= flags
			m.Imports = []Import{{Module: "env", Name: "_emscripten_memcpy_js", Type: m.addType(FuncType{Params: []byte{kind, kind, kind}})}}
			m.Exports = append(m.Exports, Export{Name: "memory", Kind: KindMemory})
			m.Exports[0].Index = 1
		})
		p := mustPrepare(t, wasm, PrepareOptions{Lower64: true})
		onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
			for _, c := range []struct {
				to, from, count uint64
				want            string
			}{
				{0, 4, 4, "45674567"},
				{2, 0, 4, "01012367"}, // they overlap
				{0, 2, 4, "23454567"},
				{0, 6, 4, "67234567"}, // reads past the end
				{6, 0, 4, "01234501"}, // writes past the end
				{0, 8, 4, "01234567"},
				{9, 0, 4, "01234567"},
				{0, 1 << 31, 4, "01234567"},
				{1 << 31, 0, 4, "01234567"},
				{1, 0, 1<<32 - 1, "00123456"},
				{0, 0, 0, "01234567"},
			} {
				in.mod.Memory().Write(base, []byte("01234567"))
				in.call("run", base+c.to, base+c.from, c.count)
				if got, _ := in.mod.Memory().Read(base, 8); string(got) != c.want {
					t.Errorf("memcpy(%d, %d, %d): %s, want %s", c.to, c.from, c.count, got, c.want)
				}
			}
		})
	}
}

// TestAGuestStopsAfterAHostFunctionThatFailed calls the import directly and
// through the table.
func TestAGuestStopsAfterAHostFunctionThatFailed(t *testing.T) {
	for name, call := range map[string][]byte{
		"called":            ops(opCall, 0),
		"through the table": join(i32c(0), ops(opCallInd, 0, 0)),
	} {
		wasm := assemble([]fn{{results: []byte{I32}, export: "run", body: join(call, ops(0x1a), i32c(7))}}, func(m *Module) {
			m.Imports = []Import{{Module: "env", Name: "something", Type: 0}}
			m.Tables = []table{{refType: funcRef, limits: Limits{Min: 1}}}
			m.elements = []element{{offset: join(i32c(0), ops(opEnd)), funcs: []uint32{0}}}
			m.Exports[0].Index = 1
		})
		t.Run(name, func(t *testing.T) {
			onEngines(t, mustPrepare(t, wasm, PrepareOptions{}).Wasm, func(t *testing.T, in *instance) {
				stop := in.mod.ExportedGlobal(StopExport).(api.MutableGlobal)
				if got := in.call("run"); got != 7 {
					t.Errorf("it gave %d", got)
				}
				stop.Set(1)
				if _, err := in.mod.ExportedFunction("run").Call(context.Background()); err == nil {
					t.Error("it went on")
				}
				stop.Set(0)
				in.call("run")
			})
		})
	}
}

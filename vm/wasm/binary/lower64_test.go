package binary

import (
	"errors"
	"testing"
)

// wide makes a module's memory 64-bit.
func wide(m *Module) { m.Memories[0].Flags |= limits64 }

func TestLowering(t *testing.T) {
	access := func(op byte, offset uint64) []byte { return appendU([]byte{op, 0}, offset) }
	simdAccess := func(n uint32) []byte { return join(appendIndex([]byte{prefixSIMD}, n), ops(0, 0)) }
	unary := func(export string, result byte, body ...[]byte) fn {
		return fn{params: []byte{I64}, results: []byte{result}, export: export, body: join(ops(opLocalGet, 0), join(body...))}
	}
	store := func(export string, kind byte, op byte) fn {
		return fn{params: []byte{I64, kind}, export: export, body: join(ops(opLocalGet, 0, opLocalGet, 1), access(op, 1))}
	}
	three := func(export string, second, third byte, code ...byte) fn {
		return fn{params: []byte{I64, second, third}, export: export, body: join(ops(opLocalGet, 0, opLocalGet, 1, opLocalGet, 2), code)}
	}
	fns := []fn{
		unary("load", I64, access(0x29, 0)),
		unary("load8", I32, access(0x2d, 3)),
		unary("loadf", F64, access(0x2b, 0)),
		unary("loadf32", F32, access(0x2a, 0)),
		store("i32", I32, 0x36), store("i64", I64, 0x37), store("f32", F32, 0x38), store("f64", F64, 0x39),
		store("i32 8", I32, 0x3a), store("i32 16", I32, 0x3b),
		store("i64 8", I64, 0x3c), store("i64 16", I64, 0x3d), store("i64 32", I64, 0x3e),
		three("fill", I32, I64, 0xfc, 11, 0),
		three("copy", I64, I64, 0xfc, 10, 0, 0),
		three("init", I32, I32, 0xfc, 8, 1, 0),
		{results: []byte{I64}, export: "size", body: ops(opMemorySize, 0)},
		unary("grow", I64, ops(opMemoryGrow, 0)),
		// v128.load, v128.store, v128.load64_splat, v128.store64_lane 1
		{params: []byte{I64, I64}, export: "vectors", body: join(
			ops(opLocalGet, 1, opLocalGet, 0), simdAccess(0), simdAccess(11),
			ops(opLocalGet, 1), i64c(16), ops(0x7c, opLocalGet, 0), simdAccess(10), join(simdAccess(91), ops(1)))},
	}
	wasm := assemble(fns, func(m *Module) {
		wide(m)
		m.datas = []data{
			{offset: join(i64c(100), ops(opEnd)), bytes: []byte("ABCDEFGHIJKLMNOP")},
			{flags: 1, bytes: []byte("passive")},
		}
		m.dataCount = 2
	})
	p := mustPrepare(t, wasm, PrepareOptions{Lower64: true, Metering: MeteringBudget})
	if !p.Info.Memory64 || p.Info.PointerBits != 64 || p.Info.MemoryPagesMax != 10 {
		t.Fatalf("%+v", p.Info)
	}
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		equal := func(name string, got, want uint64) {
			t.Helper()
			if got != want {
				t.Errorf("%s: %#x, want %#x", name, got, want)
			}
		}
		traps := func(name string, args ...uint64) {
			t.Helper()
			if _, err := in.try(name, args...); err == nil {
				t.Errorf("%s%#x does not trap", name, args)
			}
		}
		equal("data", in.call("load", 100), 0x4847464544434241)
		equal("load8", in.call("load8", 100), 'D')
		equal("loadf", in.call("loadf", 101), 0x4948474645444342)
		equal("loadf32", in.call("loadf32", 101), 0x45444342)
		const value = 0xf1e2d3c4b5a69788
		for name, mask := range map[string]uint64{
			"i32": 1<<32 - 1, "i64": 1<<64 - 1, "f32": 1<<32 - 1, "f64": 1<<64 - 1, "i32 8": 0xff, "i32 16": 0xffff,
			"i64 8": 0xff, "i64 16": 0xffff, "i64 32": 1<<32 - 1,
		} {
			in.call("i64", 200, 0)
			argument := uint64(value)
			if name == "i32" || name == "f32" || name == "i32 8" || name == "i32 16" {
				argument &= 1<<32 - 1
			}
			in.call(name, 200, argument)
			equal(name, in.call("load", 201), value&mask)
			traps(name, 65536, 0)
			traps(name, 1<<64-9, 0)
		}
		in.call("vectors", 100, 300)
		equal("v128.store", in.call("load", 308), 0x504f4e4d4c4b4a49)
		equal("store lane", in.call("load", 316), 0x4847464544434241)
		in.call("fill", 400, 0x5a, 8)
		equal("fill", in.call("load", 400), 0x5a5a5a5a5a5a5a5a)
		in.call("copy", 401, 100, 7)
		equal("copy", in.call("load", 400), 0x474645444342415a)
		in.call("init", 400, 1, 6)
		equal("init", in.call("load", 400), 0x4746657669737361)
		for _, big := range []uint64{1 << 32, 1<<32 + 8, 1 << 63} {
			traps("fill", big, 0, 8)
			traps("fill", 400, 0, big)
			traps("copy", big, 100, 8)
			traps("copy", 400, big, 8)
			traps("copy", 400, 100, big)
			traps("init", big, 0, 0)
			equal("grow", in.call("grow", big), 1<<64-1)
		}
		equal("size", in.call("size"), 1)
		equal("grow", in.call("grow", 2), 1)
		equal("size", in.call("size"), 3)
		equal("grow", in.call("grow", 8), 1<<64-1)
		equal("grow", in.call("grow", 7), 3)
		equal("load", in.call("load", 10*65536-8), 0)
	})
}

func TestMemoryIsCapped(t *testing.T) {
	grow := []fn{{params: []byte{I32}, results: []byte{I32}, export: "grow", body: ops(opLocalGet, 0, opMemoryGrow, 0)}}
	for name, alter := range map[string]func(*Module){
		"maximum":    nil,
		"no maximum": func(m *Module) { m.Memories[0].Flags = 0 },
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPrepare(t, assemble(grow, alter), PrepareOptions{MemoryPagesMax: 3})
			if p.Info.MemoryPagesMin != 1 || p.Info.MemoryPagesMax != 3 {
				t.Fatalf("%+v", p.Info)
			}
			onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
				for _, test := range [][2]uint64{{3, 1<<32 - 1}, {2, 1}, {1, 1<<32 - 1}, {0, 3}} {
					if got := in.call("grow", test[0]); got != test[1] {
						t.Errorf("grow(%d) = %#x, want %#x", test[0], got, test[1])
					}
				}
			})
		})
	}
	_, err := Prepare(assemble(grow, func(m *Module) { m.Memories[0].Min = 4 }), PrepareOptions{MemoryPagesMax: 3})
	if _, ok := errors.AsType[*UnsupportedError](err); !ok {
		t.Errorf("a memory that begins over the cap gives %v", err)
	}
}

func TestLoweringRefusesWhatIsTooFar(t *testing.T) {
	for name, alter := range map[string]func(*Module){
		"data":   func(m *Module) { m.datas = []data{{offset: join(i64c(1<<32), ops(opEnd)), bytes: []byte("x")}} },
		"memory": func(m *Module) { m.Memories[0].Min, m.Memories[0].Max = 65537, 65537 },
		"offset": func(m *Module) {
			m.Codes[0].body = join(i64c(0), appendU([]byte{0x28, 2}, 1<<32), ops(0x1a, opEnd))
		},
	} {
		_, err := Prepare(assemble([]fn{{}}, func(m *Module) { wide(m); alter(m) }), PrepareOptions{Lower64: true})
		if _, ok := errors.AsType[*UnsupportedError](err); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

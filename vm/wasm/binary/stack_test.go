package binary

import (
	"testing"

	"github.com/tetratelabs/wazero/api"
)

func (in *instance) setStack(bytes int32) {
	in.mod.ExportedGlobal(StackExport).(api.MutableGlobal).Set(uint64(uint32(bytes)))
}

func (in *instance) stack() int32 { return int32(in.mod.ExportedGlobal(StackExport).Get()) }

// TestStackOfRecursionsOfEveryKind finds for each kind of recursion how deep it
// goes, which must be the same on every engine, and more with more stack.
func TestStackOfRecursionsOfEveryKind(t *testing.T) {
	// count is (i32 n) -> i32: 0 for 0, else 1 + the next of n - 1.
	count := func(export string, next []byte) fn {
		return fn{params: []byte{I32}, results: []byte{I32}, export: export, body: join(
			ops(opLocalGet, 0, opI32Eqz, opIf, blockVoid), i32c(0), ops(opReturn, opEnd),
			i32c(1), ops(opLocalGet, 0), i32c(1), ops(opI32Sub), next, ops(opI32Add))}
	}
	table := func(m *Module) {
		m.Tables = []table{{refType: funcRef, limits: Limits{Min: 1}}}
		m.elements = []element{{offset: join(i32c(0), ops(opEnd)), funcs: []uint32{0}}}
	}
	for name, wasm := range map[string][]byte{
		"itself":   assemble([]fn{count("run", ops(opCall, 0))}, nil),
		"mutual":   assemble([]fn{count("run", ops(opCall, 1)), count("", ops(opCall, 2)), count("", ops(opCall, 0))}, nil),
		"table":    assemble([]fn{count("run", join(i32c(0), ops(opCallInd, 0, 0)))}, table),
		"two ways": assemble([]fn{count("run", ops(opCall, 1)), count("", ops(opCall, 0)), count("", ops(opCall, 2))}, nil),
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPrepare(t, wasm, PrepareOptions{})
			var depths []int
			onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
				deepest := func(stack int32) int {
					for n := 1; ; n++ {
						in.setStack(stack)
						got, err := in.try("run", uint64(n))
						if err != nil {
							if in.stack() >= 0 {
								t.Fatalf("%d calls: %v with %d bytes of stack left", n, err, in.stack())
							}
							return n - 1
						}
						if got[0] != uint64(n) || in.stack() != stack {
							t.Fatalf("%d calls gave %d and left %d of %d bytes of stack", n, got[0], in.stack(), stack)
						}
					}
				}
				small, large := deepest(20_000), deepest(60_000)
				if small < 10 || large < 5*small/2 || large > 20_000 {
					t.Errorf("%d calls fit into 20,000 bytes, %d into 60,000", small, large)
				}
				depths = append(depths, small, large)
			})
			if len(depths) == 4 && (depths[0] != depths[2] || depths[1] != depths[3]) {
				t.Errorf("engines nest %d calls", depths)
			}
		})
	}
}

// TestStackIsGivenBackOnEveryWayOut leaves a recursive function with two results
// by its end, by a return inside of blocks, and by branches to its outermost one.
func TestStackIsGivenBackOnEveryWayOut(t *testing.T) {
	f := fn{params: []byte{I32}, results: []byte{I32, I64}, body: join(
		ops(opBlock, blockVoid, opBlock, blockVoid, opBlock, blockVoid, opBlock, blockVoid),
		ops(opLocalGet, 0, opBrTable, 4, 0, 1, 2, 3, 3, opEnd),
		i32c(10), i64c(11), ops(opReturn, opEnd), // 0: a return in three blocks
		i32c(20), i64c(21), ops(opBr, 2, opEnd), // 1: out of the function by a branch
		i32c(30), i64c(31), i32c(1), ops(opBrIf, 1, opUnreachable, opEnd), // 2: by a conditional one
		ops(opLocalGet, 0), i32c(3), ops(opI32Eq, opIf, blockVoid), // 3: by its end
		i32c(0), ops(opCall, 0, 0x1a, 0x1a, opEnd),
		i32c(40), i64c(41))}
	run := fn{params: []byte{I32}, results: []byte{I64}, export: "run", locals: []byte{I64}}
	run.body = ops(opLocalGet, 0, opCall, 0, opLocalSet, 1, 0x1a, opLocalGet, 1)
	p := mustPrepare(t, assemble([]fn{f, run}, nil), PrepareOptions{})
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		for n, want := range []uint64{11, 21, 31, 41} {
			in.setStack(10_000)
			if got := in.call("run", uint64(n)); got != want || in.stack() != 10_000 {
				t.Errorf("way %d gave %d, want %d, and left %d bytes", n, got, want, in.stack())
			}
		}
	})
}

// TestLongChainsOfCallsCount builds a chain too long to go free.
func TestLongChainsOfCallsCount(t *testing.T) {
	const n = 2000
	chain := make([]fn, n)
	for i := range chain {
		chain[i].body = appendIndex(ops(opCall), uint32(i+1))
	}
	chain[0].export, chain[n-1].body = "run", nil
	p := mustPrepare(t, assemble(chain, nil), PrepareOptions{})
	in := start(t, p.Wasm, "compiler")
	in.setStack(n * frameBytes)
	in.call("run")
	in.setStack((n - 1) * frameBytes / 2)
	if _, err := in.try("run"); err == nil || in.stack() >= 0 {
		t.Errorf("%v with %d bytes of stack left", err, in.stack())
	}
}

func TestOperandsMax(t *testing.T) {
	m, err := Decode(assemble([]fn{factorial(0), sum}, nil))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{3, 2} {
		if got := m.operandsMax(m.Codes[i].body); got != want {
			t.Errorf("function %d has %d operands, want %d", i, got, want)
		}
	}
}

package binary

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// factorial is (i64) -> i64 by recursion, sum is (i32) -> i32 by a loop.
func factorial(self uint32) fn {
	return fn{params: []byte{I64}, results: []byte{I64}, export: "factorial", body: join(
		ops(opLocalGet, 0, 0x50, opIf, I64), i64c(1),
		ops(opElse, opLocalGet, 0, opLocalGet, 0), i64c(1), ops(opI64Sub, opCall, byte(self), 0x7e, opEnd))}
}

var sum = fn{params: []byte{I32}, results: []byte{I32}, locals: []byte{I32}, export: "sum", body: join(
	ops(opLoop, blockVoid, opLocalGet, 0, opLocalGet, 1, 0x6a, opLocalSet, 1),
	ops(opLocalGet, 0), i32c(1), ops(0x6b, opLocalTee, 0, opBrIf, 0, opEnd, opLocalGet, 1))}

func TestExactGas(t *testing.T) {
	const segment = 91
	p := mustPrepare(t, assemble([]fn{factorial(0), sum}, nil), PrepareOptions{Metering: MeteringExact})
	if !p.Info.Metered || p.Info.BakedGas {
		t.Fatal("a metered module is not called metered")
	}
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		for _, test := range []struct {
			name     string
			arg      uint64
			want     uint64
			gas      int64
			segments int64
		}{
			// local.get, eqz, if | const, else; the function's own end is free.
			{"factorial", 0, 1, 120 + 45 + 1 + 1 + 90, 2},
			// if's head | get get const sub call mul, end of if, and the same as
			// above inside.
			{"factorial", 1, 1, 120 + 45 + 1 + (120 + 120 + 1 + 45 + 90 + 45) + (120 + 45 + 1 + 1 + 90), 4},
			// loop | body to br_if | (end is free) | get, end.
			{"sum", 1, 1, 1 + (120 + 120 + 45 + 120 + 120 + 1 + 45 + 120 + 90) + 120, 3},
			{"sum", 10, 55, 1 + 10*(120+120+45+120+120+1+45+120+90) + 120, 12},
		} {
			in.setGas(1_000_000)
			if got := in.call(test.name, test.arg); got != test.want {
				t.Errorf("%s(%d) = %d, want %d", test.name, test.arg, got, test.want)
			}
			if used := 1_000_000 - in.gas(); used != test.gas+test.segments*segment {
				t.Errorf("%s(%d) used %d, want %d", test.name, test.arg, used, test.gas+test.segments*segment)
			}
			used := 1_000_000 - in.gas()
			in.setGas(used)
			in.call(test.name, test.arg) // exactly enough
			in.setGas(used - 1)
			if _, err := in.try(test.name, test.arg); err == nil || in.gas() >= 0 {
				t.Errorf("%s(%d) with one gas too little: %v, %d left", test.name, test.arg, err, in.gas())
			}
		}
	})
}

// TestExactGasOfAos compares every charge in two whole modules with those that
// @permaweb/wasm-metering 0.2.2 inserts: their number, their sum, and the
// SHA-256 of all of them, one line a function, separated by commas.
func TestExactGasOfAos(t *testing.T) {
	for _, test := range []struct {
		module  string
		charges int
		sum     int64
		hash    string
	}{
		{"aos2_0_4_32.wasm", 25809, 19482170, "d961f60ac22c0bc38630385d05971de8a97c754d2fb267bf388765543f0a7ce4"},
		{"aos2_0_6.wasm", 25860, 19730086, "e8db6394bbeb4e02de12e75acdd0dedeed2f9d6fa5ffcce537c90b5b284264dc"},
	} {
		t.Run(test.module, func(t *testing.T) {
			m, err := Decode(readModule(t, test.module))
			if err != nil {
				t.Fatal(err)
			}
			m.meterExact()
			gas := gasIndex(t, m)
			hash := sha256.New()
			var charges int
			var sum int64
			for _, c := range m.Codes[:len(m.Codes)-1] { // the last asks for more gas
				list := chargesOf(c.body, gas)
				for _, cost := range list {
					charges++
					sum += cost
				}
				fmt.Fprintln(hash, strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ","), "[]"))
			}
			if charges != test.charges || sum != test.sum || hex.EncodeToString(hash.Sum(nil)) != test.hash {
				t.Errorf("%d charges of %d together, %x", charges, sum, hash.Sum(nil))
			}
		})
	}
}

func gasIndex(t *testing.T, m *Module) uint32 {
	t.Helper()
	for _, e := range m.Exports {
		if e.Name == GasExport {
			return e.Index
		}
	}
	t.Fatal("there is no gas")
	return 0
}

// chargesOf finds what is taken off the gas in a body, in order.
func chargesOf(body []byte, gas uint32) []int64 {
	list := []int64{}
	get := false
	for r := (&reader{b: body}); !r.done(); {
		op, o := r.instruction()
		if op == opI64Const && get {
			list = append(list, o.s)
		}
		get = op == opGlobalGet && o.a == uint64(gas)
	}
	return list
}

// endless are bodies that never come to an end in any reasonable time.
func endless() map[string][]byte {
	spin := fn{export: "run", body: ops(opLoop, blockVoid, opBr, 0, opEnd)}
	tree := make([]fn, 60) // each calls the next twice
	for i := range tree {
		tree[i] = fn{body: ops(opCall, byte(i+1), opCall, byte(i+1))}
	}
	tree[0].export, tree[len(tree)-1].body = "run", nil
	return map[string][]byte{
		"loop":             assemble([]fn{spin}, nil),
		"recursion":        assemble([]fn{{export: "run", body: ops(opLoop, blockVoid, opCall, 1, opBr, 0, opEnd)}, {body: ops(opLocalGet, 0, opIf, blockVoid, opCall, 1, opEnd), locals: []byte{I32}}}, nil),
		"tree":             assemble(tree, nil),
		"mutual recursion": assemble([]fn{{export: "run", body: ops(opCall, 1)}, {body: ops(opCall, 2)}, {body: ops(opCall, 1)}}, nil),
		"recursion through the table": assemble([]fn{{export: "run", body: join(i32c(0), ops(opCallInd, 0, 0))}}, func(m *Module) {
			m.Tables = []table{{refType: funcRef, limits: Limits{Min: 1}}}
			m.elements = []element{{offset: join(i32c(0), ops(opEnd)), funcs: []uint32{0}}}
		}),
		"filling memory": assemble([]fn{{export: "run", body: join(ops(opLoop, blockVoid), i32c(0), i32c(7), i32c(65536), ops(0xfc, 11, 0, opBr, 0, opEnd))}}, nil),
	}
}

func TestEndlessCodeRunsOutOfGas(t *testing.T) {
	for name, wasm := range endless() {
		for mode, metering := range map[string]Metering{"exact": MeteringExact, "budget": MeteringBudget} {
			t.Run(name+"/"+mode, func(t *testing.T) {
				p := mustPrepare(t, wasm, PrepareOptions{Metering: metering})
				var left []int64
				onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
					in.setGas(2_000_000)
					if _, err := in.try("run"); err == nil || in.gas() >= 0 && !strings.Contains(err.Error(), "stack overflow") {
						t.Fatalf("it ended with %v and %d gas left", err, in.gas())
					}
					if in.gas() < 0 {
						left = append(left, in.gas())
					}
				})
				if len(left) == 2 && left[0] != left[1] {
					t.Errorf("engines stopped with %d gas", left)
				}
			})
		}
	}
}

func TestBudgetLeavesSmallFunctionsFree(t *testing.T) {
	leaf := fn{params: []byte{I32}, results: []byte{I32}, body: ops(opLocalGet, 0, opLocalGet, 0, 0x6a)}
	caller := fn{params: []byte{I32}, results: []byte{I32}, export: "caller", body: ops(opLocalGet, 0, opCall, 0, opCall, 0)}
	p := mustPrepare(t, assemble([]fn{leaf, caller, sum}, nil), PrepareOptions{Metering: MeteringBudget})
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		in.setGas(1_000_000)
		if got := in.call("caller", 5); got != 20 || in.gas() != 1_000_000 {
			t.Errorf("%d with %d gas left", got, in.gas())
		}
		if got := in.call("sum", 100); got != 5050 || in.gas() == 1_000_000 {
			t.Errorf("%d with %d gas left", got, in.gas())
		}
		loop := 1_000_000 - in.gas()
		in.setGas(1_000_000)
		in.call("sum", 200)
		if ten := 1_000_000 - in.gas(); ten < 2*loop-loop/10 || ten > 2*loop {
			t.Errorf("100 turns cost %d and 200 cost %d", loop, ten)
		}
	})
}

// withUsegas makes a module that counts by itself.
func withUsegas(kind byte, body []byte) []byte {
	return assemble([]fn{{export: "run", body: body}}, func(m *Module) {
		m.Imports = []Import{{Module: "metering", Name: "usegas", Type: m.addType(FuncType{Params: []byte{kind}})}}
		m.Exports[0].Index = 1
	})
}

func TestBakedGas(t *testing.T) {
	for name, wasm := range map[string][]byte{
		"i32": withUsegas(I32, join(i32c(700), ops(opCall, 0), i32c(77), ops(opCall, 0))),
		"i64": withUsegas(I64, join(i64c(700), ops(opCall, 0), i64c(77), ops(opCall, 0))),
	} {
		t.Run(name, func(t *testing.T) {
			p := mustPrepare(t, wasm, PrepareOptions{Metering: MeteringExact})
			if !p.Info.BakedGas || !p.Info.Metered || len(p.Info.Globals) != 0 {
				t.Fatalf("%+v", p.Info)
			}
			onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
				in.setGas(777)
				in.call("run")
				if in.gas() != 0 {
					t.Errorf("%d gas left, want 0", in.gas())
				}
				in.setGas(776)
				if _, err := in.try("run"); err == nil || in.gas() >= 0 {
					t.Errorf("%v with %d gas left", err, in.gas())
				}
			})
		})
	}
}

func TestBakedGasThatDoesNotCountStillEnds(t *testing.T) {
	p := mustPrepare(t, withUsegas(I32, ops(opLoop, blockVoid, opBr, 0, opEnd)), PrepareOptions{})
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		for range 2 {
			in.setGas(1_000_000)
			if _, err := in.try("run"); err == nil || in.left(BudgetExport) >= 0 {
				t.Errorf("%v with %d of the budget left", err, in.left(BudgetExport))
			}
		}
	})
}

func TestNobodyEarnsGas(t *testing.T) {
	p := mustPrepare(t, withUsegas(I64, join(i64c(-1_000_000), ops(opCall, 0))), PrepareOptions{})
	onEngines(t, p.Wasm, func(t *testing.T, in *instance) {
		in.setGas(10)
		if _, err := in.try("run"); err == nil || in.gas() > 10 {
			t.Errorf("%v with %d gas left", err, in.gas())
		}
	})
}

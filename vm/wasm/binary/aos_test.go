package binary

import (
	"testing"

	"github.com/tetratelabs/wazero"
)

func TestTemporary(t *testing.T) {
	wasm := readModule(t, "aos2_0_6.wasm")
	exact := newGuest(t, steps{metering: MeteringExact}.prepare(t, wasm), wazero.NewRuntimeConfigCompiler())
	budget := newGuest(t, steps{metering: MeteringBudget}.prepare(t, wasm), wazero.NewRuntimeConfigCompiler())
	t.Log(exact.boot())
	budget.boot()
	for _, w := range benchWork {
		exact.setGlobal(GasExport, 1<<62)
		budget.setGlobal(GasExport, 1<<62)
		a, b := exact.eval(w.lua), budget.eval(w.lua)
		t.Log(w.name, a == b, 1<<62-exact.global(GasExport), float64(1<<62-exact.global(GasExport))/float64(1<<62-budget.global(GasExport)), a)
	}
	m, _ := Decode(wasm)
	m.check()
	m.foldAsyncify()
	b := &budget_{}
	_ = b
}

type budget_ struct{}

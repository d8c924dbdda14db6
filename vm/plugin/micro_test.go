package plugin_test

import (
	"errors"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// microGas is more than any command of these modules takes that ends.
const microGas = 30_000_000

// TestMicroModulesAreEqual runs modules of a few instructions on every engine: what
// comes of each, its gas, and every byte of memory after it are the same.
func TestMicroModulesAreEqual(t *testing.T) {
	t.Parallel()
	all := contendersOf(t, 0, "", "")
	for _, m := range vmtest.MicroModules() {
		formats := []string{wasm.FormatEmscripten4, wasm.FormatMetered32}
		if m.Wide {
			formats = []string{wasm.FormatWasm64, wasm.FormatMetered64}
		}
		for _, format := range formats {
			t.Run(m.Name+" "+format, func(t *testing.T) { vmtest.EqualModule(t, all, format, m, microGas) })
		}
	}
}

// TestVectorsAreEqual does that for each instruction on vectors. wasmer 2.0 lacks
// some, and says so.
func TestVectorsAreEqual(t *testing.T) {
	t.Parallel()
	all := contendersOf(t, 0, "", "")
	lacking := 0
	for _, m := range vmtest.VectorModules() {
		t.Run(m.Name, func(t *testing.T) {
			var able []vmtest.Contender
			for _, c := range all {
				_, err := c.Driver.Load(t.Context(), vm.Source{Format: wasm.FormatMetered32, Bytes: m.Wasm})
				if _, refused := errors.AsType[*vm.UnsupportedError](err); refused && c.Driver.Name() == "wasmer" {
					lacking++
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				able = append(able, c)
			}
			vmtest.EqualModule(t, able, wasm.FormatMetered32, m, microGas)
		})
	}
	t.Logf("wasmer lacks %d instructions on vectors", lacking)
	if lacking > 70 {
		t.Error("wasmer lacks more than it did")
	}
}

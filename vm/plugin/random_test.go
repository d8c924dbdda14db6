package plugin_test

import (
	"fmt"
	"testing"

	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

const (
	// randomModulesDefault is how many modules are made; WALLABY_RANDOM_MODULES
	// changes it, and WALLABY_RANDOM_SEED the seed of the first.
	randomModulesDefault = 100
	// randomGas ends those that do not end by themselves.
	randomGas = 3_000_000
)

// TestRandomModulesAreEqual makes modules out of seeds and runs them on every
// engine. One that differs is named with the command that makes it again.
func TestRandomModulesAreEqual(t *testing.T) {
	t.Parallel()
	first := uint64(number(t, "WALLABY_RANDOM_SEED", 1))
	modules := number(t, "WALLABY_RANDOM_MODULES", randomModulesDefault)
	all := contendersOf(t, 0, "", "")
	for seed := first; seed < first+uint64(modules); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Logf("again: WALLABY_RANDOM_SEED=%d WALLABY_RANDOM_MODULES=1 go test ./vm/plugin -count 1 -run TestRandomModulesAreEqual", seed)
				}
			}()
			m := vmtest.RandomModule(seed)
			formats := []string{wasm.FormatEmscripten4, wasm.FormatMetered32}
			if m.Wide {
				formats = []string{wasm.FormatWasm64, wasm.FormatMetered64}
			}
			vmtest.EqualModule(t, all, formats[seed%2], m, randomGas)
		})
	}
}

package wazero_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// newDriver makes a driver that shares compiled code with earlier runs of the
// tests.
func newDriver(tb testing.TB) vm.Driver {
	tb.Helper()
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: filepath.Join(os.TempDir(), "wallaby-test-cache")})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := driver.Close(); err != nil {
			tb.Error(err)
		}
	})
	return driver
}

func TestConformance(t *testing.T) { vmtest.Conformance(t, newDriver) }

func TestConformanceOfTheInterpreter(t *testing.T) {
	vmtest.Conformance(t, func(tb testing.TB) vm.Driver {
		driver, err := wazero.NewDriver(wazero.Options{Interpreter: true})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() {
			if err := driver.Close(); err != nil {
				tb.Error(err)
			}
		})
		return driver
	})
}

func TestResultsEqualTheReferenceLoaders(t *testing.T) {
	for _, module := range []struct{ file, format string }{
		{"aos2_0_1.wasm", wasm.FormatWasm64},
		{"aos2_0_3.wasm", wasm.FormatWasm64},
		{"aos2_0_6.wasm", wasm.FormatWasm64},
		{"aos2_0_4_32.wasm", wasm.FormatEmscripten4},
		{"sqlite.wasm", wasm.FormatWasm64},
	} {
		t.Run(module.file, func(t *testing.T) {
			vmtest.Compare(t, newDriver(t), module.file, module.format, vmtest.AosBattery())
		})
	}
}

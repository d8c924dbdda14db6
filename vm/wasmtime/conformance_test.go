package wasmtime_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wasmtime"
)

func newDriver(tb testing.TB) vm.Driver {
	tb.Helper()
	driver := wasmtime.NewDriver(wasmtime.Options{CacheDir: filepath.Join(os.TempDir(), "wallaby-test-cache-wasmtime")})
	tb.Cleanup(func() {
		if err := driver.Close(); err != nil {
			tb.Error(err)
		}
	})
	return driver
}

func TestConformance(t *testing.T) { vmtest.Conformance(t, newDriver) }

func TestHistories(t *testing.T) {
	vmtest.Histories(t, newDriver(t), "aos2_0_6.wasm", wasm.FormatWasm64, vmtest.AosBattery())
}

func TestResultsEqualTheReferenceLoaders(t *testing.T) {
	vmtest.Compare(t, newDriver(t), "aos2_0_6.wasm", wasm.FormatWasm64, vmtest.AosBattery())
	vmtest.Compare(t, newDriver(t), "aos2_0_4_32.wasm", wasm.FormatMetered32, vmtest.AosBattery())
}

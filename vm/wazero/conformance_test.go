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

func TestAReferenceCheckpointResumes(t *testing.T) {
	for _, module := range []struct{ file, format string }{
		{"aos2_0_6.wasm", wasm.FormatWasm64},
		{"aos2_0_4_32.wasm", wasm.FormatMetered32},
	} {
		t.Run(module.file+" "+module.format, func(t *testing.T) {
			vmtest.ResumeImage(t, newDriver(t), wasm.Image, module.file, module.format, vmtest.AosBattery()[:18], 12)
		})
	}
}

func TestResultsEqualTheReferenceLoaders(t *testing.T) {
	for _, module := range []struct{ file, format string }{
		{"aos.wasm", wasm.FormatWasm64},
		{"process.wasm", wasm.FormatWasm64},
		{"aos2_0_1.wasm", wasm.FormatWasm64},
		{"aos2_0_3.wasm", wasm.FormatWasm64},
		{"aos2_0_6.wasm", wasm.FormatWasm64},
		{"aos2_0_4_32.wasm", wasm.FormatEmscripten4},
		{"sqlite.wasm", wasm.FormatWasm64},
		{"aos2_0_4_32.wasm", wasm.FormatMetered32},
		{"aos2_0_6.wasm", wasm.FormatMetered64},
	} {
		t.Run(module.file+" "+module.format, func(t *testing.T) {
			vmtest.Compare(t, newDriver(t), module.file, module.format, vmtest.AosBattery())
		})
	}
}

// TestALongHistoryEqualsTheReferenceLoaders fills a memory.
func TestALongHistoryEqualsTheReferenceLoaders(t *testing.T) {
	vmtest.Compare(t, newDriver(t), "aos2_0_6.wasm", wasm.FormatWasm64, vmtest.GrowingInbox(300))
}

func TestHistories(t *testing.T) {
	vmtest.Histories(t, newDriver(t), "aos2_0_6.wasm", wasm.FormatWasm64, vmtest.AosBattery())
}

// TestTenHotProcesses holds a process to what it needs: a full copy of the
// memory of each would be 700 MB.
func TestTenHotProcesses(t *testing.T) {
	driver, path := newDriver(t), vmtest.ModulePath(t, "aos2_0_6.wasm")
	var total uint64
	for range 10 {
		p := vmtest.Start(t, driver, path, wasm.FormatWasm64)
		for n, message := range vmtest.AosBattery()[:12] {
			if _, err := p.Handle(t.Context(), vm.Call{Message: message, Env: vmtest.Env(), GasLimit: vmtest.GasLimit}); err != nil {
				t.Fatal(n, err)
			}
		}
		total += p.ResidentBytes()
	}
	const atMost = 200 << 20
	if total > atMost {
		t.Fatalf("ten processes hold %d MB, at most %d are allowed", total>>20, atMost>>20)
	}
	t.Logf("ten processes hold %d MB", total>>20)
}

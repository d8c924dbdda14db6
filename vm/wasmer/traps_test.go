package wasmer_test

import (
	"bytes"
	"debug/elf"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// TestHostFunctionsThatFailDoNotCrash makes host functions fail many times with
// the collector at work: wasmer-go 1.0.4 frees an error that one returns twice,
// and the process aborts.
func TestHostFunctionsThatFailDoNotCrash(t *testing.T) {
	module, err := newDriver(t).Load(t.Context(), vm.Source{Format: wasm.FormatEmscripten4, Bytes: vmtest.Guest()})
	if err != nil {
		t.Fatal(err)
	}
	p, err := module.New(t.Context(), vm.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for n := range 3000 {
		_, err := p.Handle(t.Context(), vm.Call{Message: []byte(`"write"`), Env: []byte(`{}`), GasLimit: 1e9})
		if _, ok := errors.AsType[*vm.TrapError](err); !ok {
			t.Fatalf("message %d: %v", n, err)
		}
		if n%100 == 0 {
			runtime.GC()
		}
	}
}

// TestLuaErrorsLeakNothing holds the process to its memory over 100,000 Lua
// errors, which would cost 3 KB each as traps of wasmer.
func TestLuaErrorsLeakNothing(t *testing.T) {
	p := vmtest.Start(t, newDriver(t), vmtest.ModulePath(t, "aos2_0_6.wasm"), wasm.FormatWasm64)
	handle := func(message []byte) {
		t.Helper()
		if _, err := p.Handle(t.Context(), vm.Call{Message: message, Env: vmtest.Env(), GasLimit: vmtest.GasLimit}); err != nil {
			t.Fatal(err)
		}
	}
	handle(vmtest.Boot())
	errors := func(n int) { handle(vmtest.Eval(n, `for i = 1, 5000 do pcall(error, "x") end`)) }
	for n := range 5 {
		errors(n + 1)
	}
	before := resident(t)
	for n := range 20 {
		errors(n + 10)
	}
	if grown := resident(t) - before; grown > 100<<20 {
		t.Errorf("100,000 Lua errors left %d MB behind", grown>>20)
	}
}

func resident(t *testing.T) int {
	t.Helper()
	runtime.GC()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("SKIPPED: memory cannot be measured here: %v", err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kilobytes := 0
			for _, digit := range fields[1] {
				kilobytes = 10*kilobytes + int(digit-'0')
			}
			return kilobytes << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}

// TestThePluginFindsItsLibraryBesideItself moves the program that make plugins
// built to another directory of another machine: wasmer-go names the module cache
// of the machine it was built on, which no other has.
func TestThePluginFindsItsLibraryBesideItself(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: the program is not in the format that this test can change")
	}
	bin, moved := filepath.Join("..", "..", "bin"), t.TempDir()
	program, err := os.ReadFile(filepath.Join(bin, "wallaby-vm-wasmer"))
	if err != nil {
		t.Skipf("SKIPPED: there is no plugin to move: run make plugins (%v)", err)
	}
	path := filepath.Join(moved, "wallaby-vm-wasmer")
	if err := os.WriteFile(path, elsewhere(t, program), 0o755); err != nil {
		t.Fatal(err)
	}
	describe := func() error {
		driver := plugin.New(plugin.Options{Path: path})
		defer driver.Close()
		_, err := driver.Describe(t.Context())
		return err
	}
	if err := describe(); err == nil || !strings.Contains(err.Error(), "libwasmer") {
		t.Errorf("without its library: %v", err)
	}
	library, err := os.ReadFile(filepath.Join(bin, "libwasmer.so"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(moved, "libwasmer.so"), library, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := describe(); err != nil {
		t.Errorf("with its library beside it: %v", err)
	}
}

// elsewhere gives the program as a machine without that module cache sees it: the
// absolute directories in which it looks for libraries are named otherwise.
func elsewhere(t *testing.T, program []byte) []byte {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	paths, err := file.DynString(elf.DT_RUNPATH)
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.SplitSeq(strings.Join(paths, ":"), ":") {
		if filepath.IsAbs(path) {
			program = bytes.ReplaceAll(program, []byte(path), []byte("/"+strings.Repeat("x", len(path)-1)))
		}
	}
	return program
}

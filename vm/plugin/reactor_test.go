package plugin_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// reactor compiles the module in testdata/reactor.
func reactor(t *testing.T) vm.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reactor.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./testdata/reactor")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	code, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return vm.Source{Format: wasm.FormatEmscripten4, Bytes: code}
}

// TestEnginesAreEqualOnGo runs a module that Go compiled: all it asks of WASI has the same
// answers on every engine, and in a state that has moved to another.
func TestEnginesAreEqualOnGo(t *testing.T) {
	t.Parallel()
	source := reactor(t)
	if format, err := wasm.DetectFormat(source.Bytes); err != nil || format != source.Format {
		t.Fatalf("format %s, %v", format, err)
	}
	var messages [][]byte
	for range 5 {
		for _, command := range []string{"chance", "keep", "order", "time", "panic", "sleep", "soonest", "keep", "wait", "leave", "garbage", "crowd", "file", "order", "print"} {
			messages = append(messages, []byte(`"`+command+`"`))
		}
	}
	all := contenders(t, 14)
	vmtest.Equal(t, all, source, messages)
	vmtest.Relay(t, append(compilersOf(all), all[0]), source, messages)

	p, err := load(t, all[0].Driver, source)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct{ command, want, fails string }{
		{"keep", "1", ""},
		{"panic", "", "unreachable: panic: as asked"},
		{"wait", "", "unreachable: fatal error: all goroutines are asleep - deadlock!"},
		{"keep", "2", ""},
		{"order", "name", ""},
		{"leave", "left", ""},
		{"sleep", "true", ""},
		{"keep", "4", ""}, // with what was left to the message before
		{"soonest", "a second", ""},
		{"time", "1970-01-01T01:00:1", ""},
		{"file", "open /etc/passwd: No such file or directory [] []", ""},
		{"print", `18 \u003cnil\u003e`, ""},
	} {
		output, err := p.Handle(t.Context(), vm.Call{Message: []byte(`"` + one.command + `"`), Env: vmtest.Env(), GasLimit: vmtest.GasLimit})
		if one.fails != "" {
			if err == nil || !strings.Contains(err.Error(), one.fails) {
				t.Errorf("%s: %v", one.command, err)
			}
			continue
		}
		if err != nil || !strings.Contains(string(output.Response), `{"Output":"`+one.want) {
			t.Errorf("%s: %s, %v", one.command, output.Response, err)
		}
	}
}

func load(t *testing.T, driver vm.Driver, source vm.Source) (vm.Process, error) {
	t.Helper()
	module, err := driver.Load(t.Context(), source)
	if err != nil {
		return nil, err
	}
	p, err := module.New(t.Context(), vm.Config{}, nil)
	if err == nil {
		t.Cleanup(func() {
			if err := p.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return p, err
}

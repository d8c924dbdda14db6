package wazero

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

// realModule reads one of the modules that "make modules" fetches.
func realModule(tb testing.TB, name string) []byte {
	tb.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "modules", name))
	if err != nil {
		tb.Skipf("SKIPPED: %s is not there (%v): run make modules, which needs npm", name, err)
	}
	return b
}

func newProcess(tb testing.TB, name, format string) vm.Process {
	tb.Helper()
	driver, err := NewDriver(Options{CacheDir: filepath.Join(os.TempDir(), "wallaby-test-cache")})
	if err != nil {
		tb.Fatal(err)
	}
	module, err := driver.Load(context.Background(), vm.Source{ID: dataitem.ID{1}, Format: format, Bytes: realModule(tb, name)})
	if err != nil {
		tb.Fatal(err)
	}
	process, err := module.New(context.Background(), vm.Config{}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		process.Close()
		driver.Close()
	})
	return process
}

const (
	testProcess = "PROC0000000000000000000000000000000000000001"
	testEnv     = `{"Process":{"Id":"` + testProcess + `","Owner":"OWNER","Tags":[{"name":"Name","value":"test"}]},"Module":{"Id":"MODULE","Owner":"OWNER","Tags":[]}}`
)

func bootMessage() []byte {
	return []byte(`{"Id":"` + testProcess + `","Target":"` + testProcess + `","Owner":"OWNER","From":"OWNER","Block-Height":1000,"Timestamp":1700000000000,"Module":"MODULE","Cron":false,"Data":" ","Tags":[{"name":"Type","value":"Process"},{"name":"Module","value":"MODULE"}]}`)
}

func evalMessage(n int, code string) []byte {
	return fmt.Appendf(nil, `{"Id":"MSG%d","Target":"%s","Owner":"OWNER","From":"OWNER","Block-Height":1000,"Timestamp":1700000000000,"Module":"MODULE","Cron":false,"Data":%q,"Tags":[{"name":"Action","value":"Eval"}]}`, n, testProcess, code)
}

func TestAosEvaluates(t *testing.T) {
	for name, format := range map[string]string{
		"aos2_0_6.wasm": wasm.FormatWasm64, "aos2_0_3.wasm": wasm.FormatWasm64, "aos2_0_1.wasm": wasm.FormatWasm64,
		"aos2_0_4_32.wasm": wasm.FormatEmscripten4, "sqlite.wasm": wasm.FormatWasm64,
	} {
		t.Run(name, func(t *testing.T) {
			p := newProcess(t, name, format)
			handle := func(message []byte) string {
				t.Helper()
				out, err := p.Handle(t.Context(), vm.Call{Message: message, Env: []byte(testEnv), GasLimit: 9e12})
				if err != nil {
					t.Fatal(err)
				}
				return string(out.Response)
			}
			handle(bootMessage())
			handle(evalMessage(1, "x = 20"))
			if got := handle(evalMessage(2, "return x + 22")); !strings.Contains(got, "42") {
				t.Fatalf("x + 22 is not in %s", got)
			}
		})
	}
}

func BenchmarkTrivialEval(b *testing.B) {
	p := newProcess(b, "aos2_0_6.wasm", wasm.FormatWasm64)
	if _, err := p.Handle(b.Context(), vm.Call{Message: bootMessage(), Env: []byte(testEnv)}); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		if _, err := p.Handle(b.Context(), vm.Call{Message: evalMessage(n, "return 1+1"), Env: []byte(testEnv), GasLimit: 9e12}); err != nil {
			b.Fatal(err)
		}
	}
}

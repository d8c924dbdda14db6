package plugin_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
)

// TestTheExample builds the plugin of docs/VM-PLUGINS.md and adds with it.
func TestTheExample(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wallaby-vm-sum")
	if out, err := exec.Command("go", "build", "-o", path, "./example").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	driver := plugin.New(plugin.Options{Path: path, Warn: func(text string) { t.Log(text) }})
	defer driver.Close()
	if driver.Name() != "sum" {
		t.Errorf("it is called %q", driver.Name())
	}
	const format = "example-sum"
	if _, err := driver.Load(t.Context(), vm.Source{Format: format, Bytes: []byte("one")}); err == nil {
		t.Error("a module that is no number was loaded")
	} else if _, ok := errors.AsType[*vm.UnsupportedError](err); !ok {
		t.Errorf("error %v", err)
	}
	module, err := driver.Load(t.Context(), vm.Source{Format: format, Bytes: []byte("100")})
	if err != nil {
		t.Fatal(err)
	}
	p, err := module.New(t.Context(), vm.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	add := func(p vm.Process, number, want string) {
		t.Helper()
		message, err := json.Marshal(map[string]string{"Data": number})
		if err != nil {
			t.Fatal(err)
		}
		output, err := p.Handle(t.Context(), vm.Call{Message: message, Env: []byte("{}")})
		var answer struct{ Output struct{ Data string } }
		if err == nil {
			err = json.Unmarshal(output.Response, &answer)
		}
		if err != nil || answer.Output.Data != want {
			t.Fatalf("adding %s gave %s, %v, want %s", number, output.Response, err, want)
		}
	}
	add(p, "-1000", "-900")
	add(p, "1", "-899")
	if err := p.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	restored, err := module.New(t.Context(), vm.Config{}, vmtest.TakeSnapshot(t, p).Reader())
	if err != nil {
		t.Fatal(err)
	}
	fork, err := p.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	add(p, "2", "-898")
	add(restored, "3", "-897")
	add(fork, "4", "-896")
	for _, one := range []vm.Process{p, restored, fork} {
		if err := one.Close(); err != nil {
			t.Error(err)
		}
	}
}

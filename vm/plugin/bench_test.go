package plugin_test

import (
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/vmtest"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// BenchmarkCall measures a message that does next to nothing, in this process and
// through a plugin: the difference is what a plugin adds.
func BenchmarkCall(b *testing.B) {
	run := func(b *testing.B, driver vm.Driver) {
		module, err := driver.Load(b.Context(), vm.Source{Format: wasm.FormatEmscripten4, Bytes: vmtest.Guest()})
		if err != nil {
			b.Fatal(err)
		}
		p, err := module.New(b.Context(), vm.Config{}, nil)
		if err != nil {
			b.Fatal(err)
		}
		defer p.Close()
		env := vmtest.Env()
		for b.Loop() {
			if _, err := p.Handle(b.Context(), vm.Call{Message: []byte(`"count"`), Env: env, GasLimit: 1e9}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.Run("here", func(b *testing.B) {
		driver, err := wazero.NewDriver(wazero.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer driver.Close()
		run(b, driver)
	})
	b.Run("plugin", func(b *testing.B) { run(b, open(b, plugin.Options{})) })
}

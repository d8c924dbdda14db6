package wasm

import (
	"fmt"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// called are the exports that a host calls, with the number of their parameters and
// of their results. Engines differ in what they do when a call does not fit.
var called = map[string]struct{ params, results int }{
	"handle":                       {2, 1},
	"main":                         {2, 1},
	"__wasm_call_ctors":            {0, 0},
	wasiReactor:                    {0, 0},
	"emscripten_stack_init":        {0, 0},
	"emscripten_stack_get_end":     {0, 1},
	"stackSave":                    {0, 1},
	"emscripten_stack_get_current": {0, 1},
	"stackRestore":                 {1, 0},
	"_emscripten_stack_restore":    {1, 0},
	"stackAlloc":                   {1, 1},
	"_emscripten_stack_alloc":      {1, 1},
	upperHalf:                      {1, 0},
	binary.StartExport:             {0, 0},
}

// checkExports makes sure that a module can be called as an ao module is.
func checkExports(info binary.Info) error {
	if _, ok := info.Exports["handle"]; !ok || !info.Memory {
		return &vm.UnsupportedError{Feature: "it does not export a function handle and its memory, so it is not an ao module"}
	}
	for name, want := range called {
		t, ok := info.Exports[name]
		if !ok {
			continue
		}
		fits := len(t.Params) == want.params && len(t.Results) == want.results
		for _, kind := range append(t.Params[:len(t.Params):len(t.Params)], t.Results...) {
			fits = fits && (kind == binary.I32 || kind == binary.I64)
		}
		if !fits {
			return &vm.UnsupportedError{Feature: fmt.Sprintf("it exports %s with other parameters or results than %d and %d integers", name, want.params, want.results)}
		}
	}
	return nil
}

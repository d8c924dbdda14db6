package lua

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// RuntimeEnv names the runtime's file, if it should not be looked for.
const RuntimeEnv = "WALLABY_LUA_RUNTIME"

const runtimeFile = "runtime.wasm"

// Runtime gives the runtime that modules are packed with: the one in this program if it
// was built with it, else a file, named by WALLABY_LUA_RUNTIME, beside the program, or in
// the source tree.
func Runtime() ([]byte, error) {
	if path := os.Getenv(RuntimeEnv); path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("read the Lua runtime that %s names: %w", RuntimeEnv, err)
		}
		return b, nil
	}
	if embedded != nil {
		return embedded, nil
	}
	for _, path := range runtimePaths() {
		b, err := os.ReadFile(path)
		if err == nil {
			return b, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read the Lua runtime: %w", err)
		}
	}
	return nil, fmt.Errorf("the Lua runtime is not there: run make runtime in Wallaby's source tree, or name one with %s", RuntimeEnv)
}

func runtimePaths() (paths []string) {
	if program, err := os.Executable(); err == nil {
		paths = append(paths, filepath.Join(filepath.Dir(program), "lua-"+runtimeFile))
	}
	if _, self, _, ok := runtime.Caller(0); ok && filepath.IsAbs(self) {
		paths = append(paths, filepath.Join(filepath.Dir(self), runtimeFile))
	}
	return append(paths, filepath.Join("lua", runtimeFile))
}

package project

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// Built is a module that was made.
type Built struct {
	Path  string `json:"path"`
	Files int    `json:"files"`
	Bytes int    `json:"bytes"`
}

// SyntaxError lists the files that are no Lua, each as "file:line: what".
type SyntaxError struct{ Problems []string }

// Error gives them one after the other.
func (e *SyntaxError) Error() string { return strings.Join(e.Problems, "; ") }

// Build makes the module and writes it; see Make.
func (p *Project) Build(ctx context.Context, cacheDir string) (b Built, err error) {
	module, files, err := p.Make(ctx, cacheDir)
	if err != nil {
		return b, err
	}
	b = Built{Path: filepath.Join(p.Dir, p.Output), Files: files, Bytes: len(module)}
	if err := os.WriteFile(b.Path, module, 0o644); err != nil {
		return b, fmt.Errorf("write the module: %w", err)
	}
	return b, nil
}

// Make makes the module of so many files. Of Lua, the compiled runtime, which checks that all
// files are Lua, is kept in cacheDir; "" keeps nothing.
func (p *Project) Make(ctx context.Context, cacheDir string) (module []byte, count int, err error) {
	if with, ok := compilers[p.Lang]; ok {
		return p.compile(ctx, with)
	}
	files, err := p.luaFiles()
	if err != nil {
		return nil, 0, err
	}
	runtime, err := lua.Runtime()
	if err != nil {
		return nil, 0, err
	}
	if err := checkSyntax(ctx, runtime, files, cacheDir); err != nil {
		return nil, 0, err
	}
	module, err = lua.Module(runtime, files)
	return module, len(files), err
}

// luaFiles reads the project's Lua files, by the names by which they are required: a
// directory's files with its name and a dot before them. Tests, and what lies in hidden
// directories, are left out.
func (p *Project) luaFiles() (lua.Files, error) {
	files, _, err := p.readLua()
	if err != nil {
		return nil, err
	}
	if files["process"] == nil && files["main"] == nil {
		return nil, fmt.Errorf("%s has no process.lua, nor main.lua: a process begins with one; wallaby init makes an example", p.Dir)
	}
	return files, nil
}

// TestFiles gives the names of the project's tests, which are in files that end in
// _test.lua and in the directory test, and all of its Lua files, tests among them.
func (p *Project) TestFiles() (names []string, all lua.Files, err error) {
	all, tests, err := p.readLua()
	if err != nil {
		return nil, nil, err
	}
	maps.Copy(all, tests)
	return slices.Sorted(maps.Keys(tests)), all, nil
}

// readLua reads the files of the process, and those that test it.
func (p *Project) readLua() (files, tests lua.Files, err error) {
	files, tests = lua.Files{}, lua.Files{}
	err = filepath.WalkDir(p.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := entry.Name()
		if entry.IsDir() {
			if path != p.Dir && (strings.HasPrefix(base, ".") || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".lua") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(p.Dir, path)
		if err != nil {
			return err
		}
		name := strings.ReplaceAll(strings.TrimSuffix(filepath.ToSlash(relative), ".lua"), "/", ".")
		if files[name] != nil || tests[name] != nil {
			return fmt.Errorf("%s: another file is called %s, too", path, name)
		}
		if strings.HasSuffix(base, "_test.lua") || strings.HasPrefix(name, "test.") {
			tests[name] = text
		} else {
			files[name] = text
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the project's files: %w", err)
	}
	return files, tests, p.readExtra(files)
}

// checker loads every file that it is given, and answers with what is wrong.
var checker = lua.Files{".boot": []byte(`
local native = require("native")
return function(message)
	local problems = {}
	for name, text in pairs(native.json_decode(message)) do
		local _, problem = load(native.base64_decode(text), "@" .. name:gsub("%.", "/") .. ".lua", "t")
		problems[#problems + 1] = problem
	end
	table.sort(problems)
	return native.json_encode({ok = true, response = {Output = problems}})
end`)}

const checkGas = 1 << 50

// checkSyntax has the runtime itself load the files. It is always the same module, so
// that its compiled code can be kept.
func checkSyntax(ctx context.Context, runtime []byte, files lua.Files, cacheDir string) (err error) {
	module, err := lua.Pack(runtime, checker)
	if err != nil {
		return err
	}
	driver, err := wazero.NewDriver(wazero.Options{CacheDir: cacheDir})
	if err != nil {
		return fmt.Errorf("open the virtual machine: %w", err)
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	loaded, err := driver.Load(ctx, vm.Source{Format: lua.Format, Bytes: module})
	if err != nil {
		return fmt.Errorf("load the Lua runtime: %w", err)
	}
	process, err := loaded.New(ctx, vm.Config{}, nil)
	if err != nil {
		return fmt.Errorf("start the Lua runtime: %w", err)
	}
	defer func() { err = errors.Join(err, process.Close()) }()
	message, err := json.Marshal(files) // bytes become base64
	if err != nil {
		return err
	}
	output, err := process.Handle(ctx, vm.Call{Message: message, Env: []byte("{}"), GasLimit: checkGas})
	if err != nil {
		return fmt.Errorf("check the syntax: %w", err)
	}
	var answer struct{ Output []string }
	if err := json.Unmarshal(output.Response, &answer); err != nil {
		return fmt.Errorf("check the syntax: %w", err)
	}
	if len(answer.Output) > 0 {
		return &SyntaxError{answer.Output}
	}
	return nil
}

package project

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// CompileError is what a compiler complained of, as it printed it.
type CompileError struct{ Compiler, Printed string }

// Error gives it whole.
func (e *CompileError) Error() string { return e.Compiler + ": " + e.Printed }

// cPackages are what Debian calls what C is compiled with.
const cPackages = "clang lld wasi-libc libclang-rt-dev-wasm32"

// makeC compiles all C and assembler files of the project, those in directories too.
func (p *Project) makeC(ctx context.Context) (module []byte, count int, err error) {
	compiler, err := exec.LookPath("clang")
	if err != nil {
		return nil, 0, fmt.Errorf("clang is not there, which makes modules of C: apt-get install %s", cPackages)
	}
	sources, err := p.filesLike(".c", ".s")
	if err != nil {
		return nil, 0, err
	}
	if !slices.ContainsFunc(sources, func(name string) bool { return strings.HasSuffix(name, ".c") }) {
		return nil, 0, fmt.Errorf("%s has no C files: wallaby init --lang c makes an example", p.Dir)
	}
	work, err := os.MkdirTemp("", "wallaby-build-")
	if err != nil {
		return nil, 0, fmt.Errorf("make a directory to compile in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	out := filepath.Join(work, "process.wasm")
	args := append([]string{
		"--target=wasm32-wasi", "-O2", "-g0", "-nostartfiles", "-mno-bulk-memory", "-I.", "-Wno-unused-function", "-o", out,
		"-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--export-table", "-Wl,-z,stack-size=1048576", "-Wl,--export-if-defined=__wasm_call_ctors",
	}, p.Flags...)
	cmd := exec.CommandContext(ctx, compiler, append(args, sources...)...)
	cmd.Dir = p.Dir
	if printed, err := cmd.CombinedOutput(); err != nil {
		if bytes.Contains(printed, []byte("'stdio.h' file not found")) || bytes.Contains(printed, []byte("wasm-ld")) && bytes.Contains(printed, []byte("No such file")) {
			return nil, 0, fmt.Errorf("clang is there, but not what it compiles wasm with: apt-get install %s", cPackages)
		}
		return nil, 0, &CompileError{"clang", strings.TrimSpace(string(printed))}
	}
	if module, err = os.ReadFile(out); err != nil {
		return nil, 0, fmt.Errorf("read the module: %w", err)
	}
	return module, len(sources), nil
}

// filesLike lists the project's files with one of the endings, seen from its directory. What lies in
// hidden directories and in node_modules is left out.
func (p *Project) filesLike(endings ...string) (names []string, err error) {
	err = filepath.WalkDir(p.Dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != p.Dir && (strings.HasPrefix(entry.Name(), ".") || entry.Name() == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if slices.Contains(endings, filepath.Ext(path)) {
			name, err := filepath.Rel(p.Dir, path)
			if err != nil {
				return err
			}
			names = append(names, name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list the project's files: %w", err)
	}
	return names, nil
}

package project

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// cPackages are what Debian calls what C is compiled with.
const cPackages = "clang lld wasi-libc libclang-rt-dev-wasm32"

// makeC compiles all C and assembler files of the project, those in directories too.
func makeC(ctx context.Context, p *Project, work string) (module string, count int, err error) {
	clang, err := exec.LookPath("clang")
	if err != nil {
		return "", 0, fmt.Errorf("clang is not there, which makes modules of C: apt-get install %s", cPackages)
	}
	sources, err := p.sources(".c", ".s")
	if err != nil {
		return "", 0, err
	}
	count = len(sources)
	if p.devCLI {
		if err := writeDevHandle(work); err != nil {
			return "", 0, err
		}
		sources = append(sources, filepath.Join(work, "handle.c"), filepath.Join(work, "stack.s"))
	}
	module = filepath.Join(work, "process.wasm")
	args := append([]string{
		"--target=wasm32-wasi", "-O2", "-g0", "-nostartfiles", "-mno-bulk-memory", "-I.", "-Wno-unused-function", "-o", module,
		"-Wl,--no-entry", "-Wl,--strip-all", "-Wl,--export-table", "-Wl,-z,stack-size=1048576", "-Wl,--export-if-defined=__wasm_call_ctors",
	}, p.Flags...)
	err = p.runCompiler(ctx, nil, clang, append(args, sources...)...)
	if wrong, ok := errors.AsType[*CompileError](err); ok {
		if strings.Contains(wrong.Printed, "'stdio.h' file not found") || strings.Contains(wrong.Printed, "wasm-ld") && strings.Contains(wrong.Printed, "No such file") {
			return "", 0, fmt.Errorf("clang is there, but not what it compiles wasm with: apt-get install %s", cPackages)
		}
	}
	return module, count, err
}

// devHandle is what calls the function that a process in C of the dev-cli has.
const devHandle = `#include "ao.h"
const char *process_handle(const char *message, const char *environment);
AO_EXPORT(handle) const char *ao_handle(const char *message, const char *environment) {
	return process_handle(message, environment);
}
`

// writeDevHandle writes the sources that the dev-cli's own image has for all projects.
func writeDevHandle(work string) error {
	files := map[string][]byte{"handle.c": []byte(devHandle)}
	for _, name := range []string{"ao.h", "stack.s"} {
		text, err := starters.ReadFile("starter/c/" + name)
		if err != nil {
			return fmt.Errorf("read the starter: %w", err)
		}
		files[name] = text
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(work, name), text, 0o600); err != nil {
			return fmt.Errorf("write what the compiler needs: %w", err)
		}
	}
	return nil
}

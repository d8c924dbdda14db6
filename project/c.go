package project

import (
	"context"
	"errors"
	"fmt"
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
	return module, len(sources), err
}

package project

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
)

// goCompiler makes Go into modules that compute units call (WASI reactors).
type goCompiler struct {
	command     string
	environment []string
	args        []string
	missing     string
}

// goCompilers are those that a project may name.
var goCompilers = []goCompiler{
	{
		command:     "go",
		environment: []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off"},
		args:        []string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="},
		missing:     "go is not there, which makes modules of Go: install version 1.24 or newer from https://go.dev/dl",
	},
	{
		command: "tinygo",
		// A goroutine would be left waiting when a message is answered, and its scheduler
		// rewrites all of the code to that end.
		args:    []string{"build", "-target=wasip1", "-buildmode=c-shared", "-scheduler=none", "-no-debug"},
		missing: "tinygo is not there, which the project's compiler is to be: install version 0.35 or newer from https://tinygo.org/getting-started/install, or leave out compiler to have Go's own",
	},
}

// goCompiler gives the one that the project names: Go's own if it names none.
func (p *Project) goCompiler() (goCompiler, error) {
	var known []string
	for _, one := range goCompilers {
		if p.Compiler == one.command || p.Compiler == "" {
			return one, nil
		}
		known = append(known, one.command)
	}
	return goCompiler{}, errors.New("modules of Go are made by " + strings.Join(known, " or "))
}

// makeGo compiles the Go package in the project's directory.
func makeGo(ctx context.Context, p *Project, work string) (module string, count int, err error) {
	with, err := p.goCompiler()
	if err != nil {
		return "", 0, err
	}
	path, err := exec.LookPath(with.command)
	if err != nil {
		return "", 0, errors.New(with.missing)
	}
	sources, err := p.sources(".go")
	if err != nil {
		return "", 0, err
	}
	module = filepath.Join(work, "process.wasm")
	args := append(append([]string{}, with.args...), "-o", module)
	args = append(append(args, p.Flags...), ".")
	return module, len(sources), p.runCompiler(ctx, with.environment, path, args...)
}

package project

import (
	"context"
	"errors"
	"os/exec"
	"path/filepath"
)

// makeGo compiles the Go package in the project's directory into a module that compute
// units call (a WASI reactor).
func makeGo(ctx context.Context, p *Project, work string) (module string, count int, err error) {
	compiler, err := exec.LookPath("go")
	if err != nil {
		return "", 0, errors.New("go is not there, which makes modules of Go: install version 1.24 or newer from https://go.dev/dl")
	}
	sources, err := p.sources(".go")
	if err != nil {
		return "", 0, err
	}
	module = filepath.Join(work, "process.wasm")
	args := []string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", module}
	args = append(append(args, p.Flags...), ".")
	return module, len(sources), p.runCompiler(ctx, []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOWORK=off"}, compiler, args...)
}

package project

import (
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

// compiler compiles a project with a toolchain of the user's into work, an empty directory,
// and names the module and how many sources it has.
type compiler func(ctx context.Context, p *Project, work string) (module string, sources int, err error)

// compilers are those of every language but Lua, which needs none.
var compilers = map[string]compiler{"c": makeC, "go": makeGo, "rust": makeRust}

// compile makes the module with the compiler of the project's language.
func (p *Project) compile(ctx context.Context, with compiler) (module []byte, count int, err error) {
	work, err := os.MkdirTemp("", "wallaby-build-")
	if err != nil {
		return nil, 0, fmt.Errorf("make a directory to compile in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	path, count, err := with(ctx, p, work)
	if err != nil {
		return nil, 0, err
	}
	if module, err = os.ReadFile(path); err != nil {
		return nil, 0, fmt.Errorf("read the module: %w", err)
	}
	return module, count, nil
}

// sources lists the project's files with one of the endings, of which there must be one
// with the first.
func (p *Project) sources(endings ...string) ([]string, error) {
	list, err := p.filesLike(endings...)
	if err != nil {
		return nil, err
	}
	for _, name := range list {
		if strings.HasSuffix(name, endings[0]) {
			return list, nil
		}
	}
	return nil, fmt.Errorf("%s has no %s files: wallaby init --lang %s makes an example", p.Dir, endings[0], p.Lang)
}

// runCompiler runs one in the project's directory, with more variables in its environment.
func (p *Project) runCompiler(ctx context.Context, environment []string, path string, args ...string) error {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), environment...)
	printed, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if len(printed) == 0 {
		printed = []byte(err.Error())
	}
	return &CompileError{filepath.Base(path), strings.TrimSpace(string(printed))}
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

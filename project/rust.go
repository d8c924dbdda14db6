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

const rustTarget = "wasm32-unknown-unknown"

// makeRust compiles the Rust library in the project's directory. What was compiled before
// is kept in its directory target, as cargo does.
func makeRust(ctx context.Context, p *Project, _ string) (module string, count int, err error) {
	cargo, rustc, err := findRust(ctx)
	if err != nil {
		return "", 0, err
	}
	sources, err := p.sources(".rs")
	if err != nil {
		return "", 0, err
	}
	args := append([]string{"rustc", "--quiet", "--lib", "--release", "--target", rustTarget, "--target-dir", "target"}, p.Flags...)
	args = append(args, "--", "-C", "link-arg=--export-table", "-C", "link-arg=--export-if-defined=__wasm_call_ctors")
	if err := p.runCompiler(ctx, []string{"RUSTC=" + rustc}, cargo, args...); err != nil {
		return "", 0, err
	}
	made, err := filepath.Glob(filepath.Join(literal(p.Dir), "target", rustTarget, "release", "*.wasm"))
	switch {
	case err != nil:
		return "", 0, fmt.Errorf("look for the module: %w", err)
	case len(made) == 0:
		return "", 0, fmt.Errorf(`cargo made no module: %s needs crate-type = ["cdylib"] in [lib]`, filepath.Join(p.Dir, "Cargo.toml"))
	case len(made) > 1:
		return "", 0, fmt.Errorf("cargo made several modules, %s: remove %s and build again", strings.Join(made, " and "), filepath.Join(p.Dir, "target"))
	}
	return made[0], len(sources), nil
}

// findRust looks along PATH for a cargo whose compiler has what modules are made with: many
// machines have several, and not all of them do.
func findRust(ctx context.Context) (cargo, rustc string, err error) {
	const how = "rustup target add " + rustTarget + ", or on Debian apt-get install rustc cargo libstd-rust-dev-wasm32"
	var found string
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		cargo, rustc = filepath.Join(dir, "cargo"), filepath.Join(dir, "rustc")
		if _, err := exec.LookPath(cargo); err != nil {
			continue
		}
		printed, err := exec.CommandContext(ctx, rustc, "--print", "target-libdir", "--target", rustTarget).Output()
		if ctx.Err() != nil {
			return "", "", ctx.Err()
		}
		if err == nil {
			if libraries, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(printed)), "libstd-*.rlib")); len(libraries) > 0 {
				return cargo, rustc, nil
			}
		}
		found = cargo
	}
	if found == "" {
		return "", "", errors.New("cargo is not there, which makes modules of Rust: install it from https://rustup.rs, then " + how)
	}
	return "", "", fmt.Errorf("%s is there, but not what it compiles wasm with: %s", found, how)
}

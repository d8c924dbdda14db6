package project_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/project"
)

func write(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func needRuntime(t *testing.T) {
	t.Helper()
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
}

// TestAProjectIsMadeAndBuilt takes the starter, and looks at what came into its module.
func TestAProjectIsMadeAndBuilt(t *testing.T) {
	needRuntime(t)
	dir := filepath.Join(t.TempDir(), "my-token")
	if err := project.Init(dir, "lua"); err != nil {
		t.Fatal(err)
	}
	write(t, dir, map[string]string{
		"lib/shop.lua": "return {}", "shop_test.lua": "no", "test/more.lua": "no", ".git/x.lua": "no", "node_modules/y.lua": "no", "notes.txt": "no",
	})
	p, err := project.Open(dir)
	if err != nil || p.Name != "my-token" || p.Lang != "lua" {
		t.Fatalf("%+v, %v", p, err)
	}
	built, err := p.Build(t.Context(), t.TempDir())
	if err != nil || built.Files != 2 || built.Path != filepath.Join(dir, "process.wasm") {
		t.Fatalf("%+v, %v", built, err)
	}
	module, err := os.ReadFile(built.Path)
	if err != nil || len(module) != built.Bytes {
		t.Fatalf("%d bytes, %v", len(module), err)
	}
	files, err := lua.Unpack(module)
	if err != nil {
		t.Fatal(err)
	}
	var own []string
	for name := range files {
		if lua.Library()[name] == nil {
			own = append(own, name)
		}
	}
	slices.Sort(own)
	if strings.Join(own, " ") != "lib.shop process" || !strings.Contains(string(files["process"]), "my-token: a counter") {
		t.Errorf("the module has %v", own)
	}
	if err := project.Init(dir, "lua"); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("made over another: %v", err)
	}
}

// TestEveryFileThatIsNoLuaIsNamed builds a project with two mistakes.
func TestEveryFileThatIsNoLuaIsNamed(t *testing.T) {
	needRuntime(t)
	dir := write(t, t.TempDir(), map[string]string{"process.lua": "local x = = 1", "lib/a.lua": "return 1\nend", "fine.lua": "return 1"})
	p, err := project.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = p.Build(t.Context(), t.TempDir())
	problems, ok := errors.AsType[*project.SyntaxError](err)
	if !ok || len(problems.Problems) != 2 || !strings.Contains(err.Error(), "process.lua:1: unexpected symbol near '='") || !strings.Contains(err.Error(), "lib/a.lua:2: ") {
		t.Errorf("%v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "process.wasm")); err == nil {
		t.Error("a module was written")
	}
}

func TestWhatIsNoProjectIsRefused(t *testing.T) {
	needRuntime(t)
	for text, want := range map[string]string{
		"lang: cobol":          "modules of c, lua",
		"flags: [-O3]":         "flags are for a compiler",
		"memory-limit: lots":   "500-mb",
		"compute-limit: -1":    "number of gas",
		"output: ../x.wasm":    "within the project",
		"colour: red":          "colour",
		"name: [":              "wallaby.yaml",
		"name: x\nlang: lua\n": "",
		"":                     "",
	} {
		dir := write(t, t.TempDir(), map[string]string{project.FileName: text, "process.lua": "return 1"})
		_, err := project.Open(dir)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	empty := t.TempDir()
	p, err := project.Open(empty)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Build(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "process.lua") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := project.Open(filepath.Join(empty, "none")); err == nil {
		t.Error("a directory that is not there")
	}
	for _, dir := range []string{"-x", "a b", strings.Repeat("n", 65)} {
		if err := project.Init(filepath.Join(empty, dir), "lua"); err == nil || !strings.Contains(err.Error(), "cannot be called") {
			t.Errorf("%q: %v", dir, err)
		}
	}
	if err := project.Init(filepath.Join(empty, "x"), "cobol"); err == nil || !strings.Contains(err.Error(), "take c, lua") {
		t.Errorf("a starter in cobol: %v", err)
	}
}

func TestLimitsBecomeTags(t *testing.T) {
	dir := write(t, t.TempDir(), map[string]string{project.FileName: "memory-limit: 64-mb\ncompute-limit: 1000\n"})
	p, err := project.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(p.Tags()); got != "[{Memory-Limit 64-mb} {Compute-Limit 1000}]" {
		t.Error(got)
	}
}

// TestAProcessInC builds the starter, and what is wrong with it is told.
func TestAProcessInC(t *testing.T) {
	if _, err := exec.LookPath("clang"); err != nil {
		t.Skip("SKIPPED: clang is not there: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32")
	}
	dir := filepath.Join(t.TempDir(), "in-c")
	if err := project.Init(dir, "c"); err != nil {
		t.Fatal(err)
	}
	p, err := project.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	built, err := p.Build(t.Context(), "")
	if err != nil || built.Files != 2 || built.Bytes > 100_000 {
		t.Fatalf("%+v, %v", built, err)
	}
	write(t, dir, map[string]string{"lib/more.c": "int more(void) { return nothing; }"})
	_, err = p.Build(t.Context(), "")
	if wrong, ok := errors.AsType[*project.CompileError](err); !ok || !strings.Contains(wrong.Printed, "lib/more.c:1:") {
		t.Errorf("a mistake: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := p.Build(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "clang is not there, which makes modules of C: apt-get install clang lld") {
		t.Errorf("without a compiler: %v", err)
	}
}

// TestAProjectOfTheDevCLIIsRead takes its limit, and sees what it is written in.
func TestAProjectOfTheDevCLIIsRead(t *testing.T) {
	for _, one := range []struct{ config, file, want string }{
		{"", "process.lua", "lua 512-mb []"},
		{"preset: xs\nkeep_js: true\ntarget: 32\nextra_compile_args: [-O3]", "process.lua", "lua 128-mb []"},
		{"preset: xl\nstack_size: 65536\nmaximum_memory: 1048576\nextra_compile_args: [-O3]", "process.c", "c 1048576-b [-O3]"},
		{"preset: huge", "process.lua", "take xs, sm"},
		{"colour: red", "process.lua", "colour"},
	} {
		dir := write(t, t.TempDir(), map[string]string{project.DevConfigName: one.config, one.file: ""})
		p, err := project.Open(dir)
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprint(p.Lang, " ", p.MemoryLimit, " ", p.Flags)
		}
		if !strings.Contains(got, one.want) {
			t.Errorf("%q: %s, want %s", one.config, got, one.want)
		}
	}
	dir := write(t, t.TempDir(), map[string]string{project.DevConfigName: "preset: xs", project.FileName: "memory-limit: 64-mb", "process.lua": ""})
	if p, err := project.Open(dir); err != nil || p.MemoryLimit != "64-mb" {
		t.Errorf("both files: %+v, %v", p, err)
	}
}

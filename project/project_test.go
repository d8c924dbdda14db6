package project_test

import (
	"bytes"
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
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
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

// answerOf gives what a module answers to a first message.
func answerOf(t *testing.T, module []byte) string {
	t.Helper()
	driver, err := wazero.NewDriver(wazero.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = driver.Close() })
	format, err := wasm.DetectFormat(module)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := driver.Load(t.Context(), vm.Source{Format: format, Bytes: module})
	if err != nil {
		t.Fatal(err)
	}
	process, err := loaded.New(t.Context(), vm.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Close()
	output, err := process.Handle(t.Context(), vm.Call{
		Message:  []byte(`{"Id":"i","From":"f","Owner":"f","Target":"t","Tags":[],"Data":"","Timestamp":1,"Block-Height":"1"}`),
		Env:      []byte(`{"Process":{"Id":"t","Owner":"f","Tags":[]},"Module":{"Id":"m","Tags":[]}}`),
		GasLimit: 1_000_000_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(output.Response)
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
		"lang: cobol":           "modules of c, go, lua, rust",
		"flags: [-O3]":          "flags are for a compiler",
		"memory-limit: lots":    "500-mb",
		"compute-limit: -1":     "number of gas",
		"output: ../x.wasm":     "within the project",
		"colour: red":           "colour",
		"compiler: tinygo":      "compiler is for go",
		"lang: go\ncompiler: x": "compiler is \"x\": modules of Go are made by go or tinygo",
		"name: [":               "wallaby.yaml",
		"name: x\nlang: lua\n":  "",
		"":                      "",
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
	if err := project.Init(filepath.Join(empty, "x"), "cobol"); err == nil || !strings.Contains(err.Error(), "take c, go, lua, rust") {
		t.Errorf("a starter in cobol: %v", err)
	}
}

// TestMoreFilesComeAlong has a process require Lua from elsewhere, and data of every kind.
func TestMoreFilesComeAlong(t *testing.T) {
	needRuntime(t)
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	home := write(t, t.TempDir(), map[string]string{
		"[own]/wallaby.yaml":     "files: [data/*, ../shared/*.lua]\n",
		"[own]/data/plain.txt":   "\nfirst ]] and ]=] last]",
		"[own]/data/bytes.bin":   string(all),
		"[own]/data/deep/no.txt": "directories are left out",
		"shared/money.lua":       "return { unit = 'wlb' }",
		"[own]/process.lua": `local process = {}
			function process.handle()
				local sum = 0
				for _, byte in ipairs({ require("data/bytes.bin"):byte(1, -1) }) do sum = sum * 31 % 1000003 + byte end
				return { Output = require("shared.money").unit .. require("data/plain.txt") .. sum }
			end
			return process`,
	})
	p, err := project.Open(filepath.Join(home, "[own]"))
	if err != nil {
		t.Fatal(err)
	}
	module, files, err := p.Make(t.Context(), "")
	if err != nil || files != 4 {
		t.Fatalf("%d files, %v", files, err)
	}
	sum := 0
	for _, b := range all {
		sum = sum*31%1000003 + int(b)
	}
	if got, want := answerOf(t, module), fmt.Sprintf(`wlb\nfirst ]] and ]=] last]%d`, sum); !strings.Contains(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	for text, want := range map[string]string{
		"files: [none.txt]":                  "there is no file none.txt",
		"files: [data/deep]":                 "there is no file data/deep",
		"files: [\"[\"]":                     "syntax error",
		"files: [process.lua, ../x/own.lua]": "there is no file ../x/own.lua",
	} {
		write(t, home, map[string]string{"[own]/wallaby.yaml": text})
		p, err := project.Open(filepath.Join(home, "[own]"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Make(t.Context(), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	write(t, home, map[string]string{"[own]/wallaby.yaml": "lang: c\nfiles: [x]"})
	if _, err := project.Open(filepath.Join(home, "[own]")); err == nil || !strings.Contains(err.Error(), "files are for lua") {
		t.Errorf("files of C: %v", err)
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
	p := starter(t, "c")
	built, err := p.Build(t.Context(), "")
	if err != nil || built.Files != 2 || built.Bytes > 100_000 {
		t.Fatalf("%+v, %v", built, err)
	}
	write(t, p.Dir, map[string]string{"lib/more.c": "int more(void) { return nothing; }"})
	_, err = p.Build(t.Context(), "")
	if wrong, ok := errors.AsType[*project.CompileError](err); !ok || !strings.Contains(wrong.Printed, "lib/more.c:1:") {
		t.Errorf("a mistake: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := p.Build(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "clang is not there, which makes modules of C: apt-get install clang lld") {
		t.Errorf("without a compiler: %v", err)
	}
}

// TestAProcessInGo builds the starter, twice the same, and what is wrong with it is told.
func TestAProcessInGo(t *testing.T) {
	p := starter(t, "go")
	module, files, err := p.Make(t.Context(), "")
	if err != nil || files != 2 || len(module) > 5_000_000 {
		t.Fatalf("%d files, %d bytes, %v", files, len(module), err)
	}
	if again, _, err := p.Make(t.Context(), ""); err != nil || !bytes.Equal(again, module) {
		t.Errorf("it was built again, to other bytes: %v", err)
	}
	write(t, p.Dir, map[string]string{"more.go": "package main\n\nvar x = nothing\n"})
	_, _, err = p.Make(t.Context(), "")
	if wrong, ok := errors.AsType[*project.CompileError](err); !ok || !strings.Contains(wrong.Printed, "more.go:3:9: undefined: nothing") {
		t.Errorf("a mistake: %v", err)
	}
	t.Setenv("PATH", t.TempDir())
	if _, _, err := p.Make(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "go is not there, which makes modules of Go: install") {
		t.Errorf("without a compiler: %v", err)
	}
}

// TestTinyGoIsCalled has a stand-in for tinygo, which notes how it is called.
func TestTinyGoIsCalled(t *testing.T) {
	dir, tools := starter(t, "go").Dir, t.TempDir()
	write(t, dir, map[string]string{project.FileName: "lang: go\ncompiler: tinygo\nflags: [-opt=2]\n"})
	p, err := project.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", tools)
	if _, _, err := p.Make(t.Context(), ""); err == nil || !strings.Contains(err.Error(), "tinygo is not there") || !strings.Contains(err.Error(), "https://tinygo.org") {
		t.Errorf("without it: %v", err)
	}
	const standIn = "#!/bin/sh\necho \"$1 $2 $3 $4 $5 $6 $8 $9\" >\"$7\"\n"
	if err := os.WriteFile(filepath.Join(tools, "tinygo"), []byte(standIn), 0o700); err != nil {
		t.Fatal(err)
	}
	module, files, err := p.Make(t.Context(), "")
	if want := "build -target=wasip1 -buildmode=c-shared -scheduler=none -no-debug -o -opt=2 .\n"; err != nil || files != 2 || string(module) != want {
		t.Errorf("%d files, %q, %v", files, module, err)
	}
	if err := os.WriteFile(filepath.Join(tools, "tinygo"), []byte("#!/bin/sh\necho process.go:3: no\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, _, err = p.Make(t.Context(), "")
	if wrong, ok := errors.AsType[*project.CompileError](err); !ok || wrong.Error() != "tinygo: process.go:3: no" {
		t.Errorf("a mistake: %v", err)
	}
}

// TestAProcessInRust builds the starter; a cargo without what makes wasm is passed over,
// and told of if there is no other.
func TestAProcessInRust(t *testing.T) {
	p, path, without := starter(t, "rust"), os.Getenv("PATH"), t.TempDir()
	for _, name := range []string{"cargo", "rustc"} {
		if err := os.WriteFile(filepath.Join(without, name), []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for of, want := range map[string]string{
		t.TempDir(): "cargo is not there, which makes modules of Rust: install it from https://rustup.rs, then rustup target add wasm32-unknown-unknown, or",
		without:     "cargo is there, but not what it compiles wasm with: rustup target add",
	} {
		t.Setenv("PATH", of)
		if _, _, err := p.Make(t.Context(), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	t.Setenv("PATH", without+string(filepath.ListSeparator)+path)
	module, files, err := p.Make(t.Context(), "")
	if err != nil && strings.Contains(err.Error(), "but not what it compiles wasm with") {
		t.Skip("SKIPPED: no cargo here has a target for wasm: apt-get install rustc cargo libstd-rust-dev-wasm32")
	}
	if err != nil || files != 3 || len(module) > 200_000 {
		t.Fatalf("%d files, %d bytes, %v", files, len(module), err)
	}
	write(t, p.Dir, map[string]string{"src/more.rs": "", "Cargo.toml": "[package]\nname = \"x\"\nversion = \"1.0.0\"\nedition = \"2021\"\n[lib]\nname = \"other\"\n"})
	if err := os.RemoveAll(filepath.Join(p.Dir, "target")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := p.Make(t.Context(), ""); err == nil || !strings.Contains(err.Error(), `needs crate-type = ["cdylib"]`) {
		t.Errorf("no module: %v", err)
	}
	write(t, p.Dir, map[string]string{"src/lib.rs": "fn x() -> u8 { nothing }\n"})
	_, _, err = p.Make(t.Context(), "")
	if wrong, ok := errors.AsType[*project.CompileError](err); !ok || !strings.Contains(wrong.Printed, "src/lib.rs:1:16") {
		t.Errorf("a mistake: %v", err)
	}
}

// starter makes a project of the starter in a language.
func starter(t *testing.T, lang string) *project.Project {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "in-"+lang)
	if err := project.Init(dir, lang); err != nil {
		t.Fatal(err)
	}
	p, err := project.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAProjectOfTheDevCLIIsRead takes its limit, and sees what it is written in.
func TestAProjectOfTheDevCLIIsRead(t *testing.T) {
	for _, one := range []struct{ config, file, want string }{
		{"", "process.lua", "lua 512-mb []"},
		{"preset: xs\nkeep_js: true\ntarget: 32\nextra_compile_args: [-O3]", "process.lua", "lua 128-mb []"},
		{"preset: xl\nstack_size: 65536\nmaximum_memory: 1048576\nextra_compile_args: [-O3]", "process.c", "c 1048576-b [-O3]"},
		{"preset: xs\nextra_compile_args: [-O3]", "src/lib.rs", "rust 128-mb []"},
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
	if _, err := exec.LookPath("clang"); err == nil {
		dir := write(t, t.TempDir(), map[string]string{
			project.DevConfigName: "target: 32",
			"process.c":           `const char *process_handle(const char *m, const char *e) { return m && e ? "{\"ok\":true,\"response\":{\"Output\":\"by C\"}}" : 0; }`,
		})
		p, err := project.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		module, _, err := p.Make(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		if got := answerOf(t, module); !strings.Contains(got, "by C") {
			t.Error(got)
		}
	}
	dir := write(t, t.TempDir(), map[string]string{project.DevConfigName: "preset: xs", project.FileName: "memory-limit: 64-mb", "process.lua": ""})
	if p, err := project.Open(dir); err != nil || p.MemoryLimit != "64-mb" {
		t.Errorf("both files: %+v, %v", p, err)
	}
}

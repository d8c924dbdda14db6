package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/node"
)

func TestVMListNamesWhatIsThereAndWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	for name, script := range map[string]string{"wallaby-vm-broken": "#!/bin/sh\nexit 1\n", "wallaby-vm-wazero": "#!/bin/sh\nexit 1\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	lines := map[string]string{}
	for line := range strings.Lines(mustRun(t, "vm", "list", "--plugin-dir", dir)) {
		name, rest, _ := strings.Cut(line, " ")
		lines[name] += rest
	}
	for name, want := range map[string]string{
		"wazero": "left out: the name is taken", "wazero-interpreter": "vectors", "broken": filepath.Join(dir, "wallaby-vm-broken") + ": it does not behave as a plugin",
		"wasmer": "run make plugins", "wasmtime": "run make plugins",
	} {
		if !strings.Contains(lines[name], want) {
			t.Errorf("%s: %q does not say %q", name, lines[name], want)
		}
	}
}

// TestProcessesRunOnTheMachinesOfTheirChoice has a node run one process on each
// machine, and each of them once more on all.
func TestProcessesRunOnTheMachinesOfTheirChoice(t *testing.T) {
	module := filepath.Join("..", "..", "testdata", "modules", "aos2_0_6.wasm")
	bin := filepath.Join("..", "..", "bin")
	for _, path := range []string{module, filepath.Join(bin, "wallaby-vm-wasmer"), filepath.Join(bin, "wallaby-vm-wasmtime")} {
		if _, err := os.Stat(path); err != nil {
			t.Skipf("SKIPPED: %s is not there: run make modules plugins, which need npm and a C compiler", path)
		}
	}
	dir := t.TempDir()
	n, err := node.Open(t.Context(), node.Options{
		DataDir: filepath.Join(dir, "data"), AnyPort: true, Modules: []node.ModuleFile{{Path: module}}, PluginDirs: []string{bin},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	t.Setenv("WALLABY_URL", n.Info().URLs.Gateway)
	t.Setenv("WALLABY_WALLET", filepath.Join(dir, "wallet.json"))
	for _, machine := range []string{"wazero", "wazero-interpreter", "wasmer", "wasmtime"} {
		process := mustRun(t, "spawn", "aos2_0_6", "--vm", machine)
		if got := mustRun(t, "send", process, "--action", "Eval", "--data", "Count = 41; return 1", "--wait"); got != "1" {
			t.Errorf("%s: %s", machine, got)
		}
		if failed := runCommand(t, "", "send", process, "--action", "Eval", "--data", "Count = 0; error('no luck')", "--wait"); !strings.Contains(failed.stderr, "no luck") {
			t.Errorf("%s: %+v", machine, failed)
		}
		got := mustRun(t, "replay", process, "--vm", "wazero,wasmer,wasmtime")
		if !strings.Contains(got, "equal") || strings.Count(got, "\n") != 5 {
			t.Errorf("the replay of %s's process:\n%s", machine, got)
		}
	}
	testMachineIsSet(t, filepath.Join(dir, "data"))
	process := mustRun(t, "spawn", "aos2_0_6", "--vm", "nobody's")
	if failed := runCommand(t, "", "result", process); failed.code == exitOK || !strings.Contains(failed.stderr, "wallaby vm list") {
		t.Errorf("a machine that is not there: %+v", failed)
	}
	if failed := runCommand(t, "", "replay", process, "--vm", "nobody's"); failed.code == exitOK || !strings.Contains(failed.stderr, "wallaby vm list") {
		t.Errorf("a replay on a machine that is not there: %+v", failed)
	}
}

// testMachineIsSet has wasmtime take a process over after three messages.
func testMachineIsSet(t *testing.T, data string) {
	t.Helper()
	process := mustRun(t, "spawn", "aos2_0_6")
	eval := func(want string) {
		t.Helper()
		if got := mustRun(t, "send", process, "--action", "Eval", "--data", "Count = (Count or 0) + 1; return Count", "--wait"); got != want {
			t.Errorf("%s instead of %s", got, want)
		}
	}
	eval("1")
	set := mustRun(t, "vm", "set", process, "wasmtime", "--shadow", "3", "--data-dir", data)
	if !strings.Contains(set, "runs on wazero\nwasmtime runs beside it and has agreed on 0 of 3 messages") {
		t.Errorf("set: %s", set)
	}
	for _, want := range []string{"2", "3", "4"} {
		eval(want)
	}
	if got := mustRun(t, "vm", "show", process); got != process+" runs on wasmtime" {
		t.Errorf("show: %s", got)
	}
	eval("5")
	if got := mustRun(t, "replay", process, "--vm", "wazero"); !strings.Contains(got, "equal") {
		t.Errorf("replay: %s", got)
	}
	for want, args := range map[string][]string{
		"wallaby vm list":   {"vm", "set", process, "nobody's", "--data-dir", data},
		"--data-dir":        {"vm", "set", process, "wazero", "--data-dir", t.TempDir()},
		"shadow":            {"vm", "set", process, "wazero", "--shadow", "-1", "--data-dir", data},
		"at most 1000000":   {"vm", "set", process, "wazero", "--shadow", "1000001", "--data-dir", data},
		"is not known here": {"vm", "show", strings.Repeat("A", 43)},
		"has another admin": {"vm", "set", process, "wazero", "--data-dir", otherToken(t)},
	} {
		if failed := runCommand(t, "", args...); failed.code == exitOK || !strings.Contains(failed.stderr, want) {
			t.Errorf("%v: %+v", args, failed)
		}
	}
}

// TestVMShowTellsOfAFailure asks a node whose process has lost its machine twice.
func TestVMShowTellsOfAFailure(t *testing.T) {
	process := strings.Repeat("A", 43)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"process":"`+process+`","vm":"wasmtime","failure":{"nonce":7,"reason":"its process ended","times":3}}`)
	}))
	defer server.Close()
	want := process + " runs on wasmtime\nno result at nonce 7: the virtual machine was lost twice (its process ended), 3 times so far; it is tried again"
	if got := mustRun(t, "vm", "show", process, "--url", server.URL); got != want {
		t.Errorf("show: %s", got)
	}
}

// otherToken makes a directory with another node's token.
func otherToken(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, node.AdminTokenFile), []byte(strings.Repeat("a", 64)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestRulesChooseMachines has a node run what asks for nothing on the interpreter.
func TestRulesChooseMachines(t *testing.T) {
	for rule, want := range map[string]node.MachineRule{"wasmer": {VM: "wasmer"}, "f=wasmtime": {Format: "f", VM: "wasmtime"}} {
		if got, err := node.ParseMachineRule(rule); err != nil || got != want {
			t.Errorf("%q: %+v, %v", rule, got, err)
		}
	}
	for _, rule := range []string{"", "=wasmer", "f="} {
		if _, err := node.ParseMachineRule(rule); err == nil {
			t.Errorf("%q is a rule", rule)
		}
	}
	options := node.Options{DataDir: t.TempDir(), AnyPort: true, Machines: []node.MachineRule{{VM: "nobody's"}}}
	if _, err := node.Open(t.Context(), options); err == nil || !strings.Contains(err.Error(), "wallaby vm list") {
		t.Errorf("a rule for a machine that is not there: %v", err)
	}
	openAosNode(t, func(o *node.Options) {
		o.Machines = []node.MachineRule{{VM: "wazero"}, {Format: "wasm64-unknown-emscripten-draft_2024_02_15", VM: "wazero-interpreter"}}
	})
	process := mustRun(t, "spawn", "aos2_0_6")
	if got := mustRun(t, "vm", "show", process); got != process+" runs on wazero-interpreter" {
		t.Errorf("show: %s", got)
	}
}

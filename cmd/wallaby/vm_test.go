package main

import (
	"context"
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
		"wazero": "left out: the name is taken", "wazero-interpreter": "built in", "broken": filepath.Join(dir, "wallaby-vm-broken") + ": it does not behave as a plugin",
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
	process := mustRun(t, "spawn", "aos2_0_6", "--vm", "nobody's")
	if failed := runCommand(t, "", "result", process); failed.code == exitOK || !strings.Contains(failed.stderr, "wallaby vm list") {
		t.Errorf("a machine that is not there: %+v", failed)
	}
	if failed := runCommand(t, "", "replay", process, "--vm", "nobody's"); failed.code == exitOK || !strings.Contains(failed.stderr, "wallaby vm list") {
		t.Errorf("a replay on a machine that is not there: %+v", failed)
	}
}

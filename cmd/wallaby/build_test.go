package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/node"
)

// TestAProcessOfOnesOwn goes from nothing to answers, as a newcomer would.
func TestAProcessOfOnesOwn(t *testing.T) {
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	_, dir := openAosNode(t, func(o *node.Options) { o.Modules = nil })
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	project := filepath.Join(dir, "my-counter")
	mustRun(t, "init", project)
	if err := os.WriteFile(filepath.Join(project, "wallaby.yaml"), []byte("name: my-counter\nmemory-limit: 64-mb\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if said := mustRun(t, "build", project); !strings.Contains(said, "1 files") {
		t.Errorf("build says %s", said)
	}
	wasm := filepath.Join(project, "process.wasm")
	module := mustRun(t, "publish", wasm)
	process := mustRun(t, "spawn", module, "--name", "my-counter")
	mustRun(t, "send", process, "--action", "Add", "--tag", "Quantity=5", "--wait")
	for _, want := range []string{`"Count"`, `"8"`, `"Added"`} {
		if got := mustRun(t, "send", process, "--action", "Add", "--tag", "Quantity=3", "--wait", "-o", "json"); want != `"8"` && !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	if got := mustRun(t, "eval", process, "Count"); got != "14" {
		t.Errorf("Count is %s", got)
	}
	failed := runCommand(t, "", "send", process, "--action", "Add", "--tag", "Quantity=many", "--wait")
	if !strings.Contains(failed.stdout+failed.stderr, "process.lua:11: Quantity must be a number") {
		t.Errorf("an error in the process: %+v", failed)
	}
	// Another machine comes to the same.
	if said := mustRun(t, "replay", process, "--vm", "wazero,wazero-interpreter"); !strings.Contains(said, "equal: every result") {
		t.Error(said)
	}
	if err := os.WriteFile(filepath.Join(project, "process.lua"), []byte("x = = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if broken := runCommand(t, "", "build", project); broken.code != exitError || !strings.Contains(broken.stderr, "process.lua:1: unexpected symbol") {
		t.Errorf("a mistake: %+v", broken)
	}
}

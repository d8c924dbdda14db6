package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/lua"
)

// ownProject makes a project of the starter, with a cache of its own.
func ownProject(t *testing.T, args ...string) (dir string) {
	t.Helper()
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	home := t.TempDir()
	if caches, err := os.UserCacheDir(); err == nil && os.Getenv("GOCACHE") == "" {
		t.Setenv("GOCACHE", filepath.Join(caches, "go-build")) // Go's library takes long to compile
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	dir = filepath.Join(home, "own")
	mustRun(t, append([]string{"init", dir}, args...)...)
	return dir
}

// TestRunShowsWhatMessagesComeTo gives a process messages without a node.
func TestRunShowsWhatMessagesComeTo(t *testing.T) {
	dir := ownProject(t, "--example", "token")
	said := mustRun(t, "run", dir, "--name", "token",
		"--message", `{"Action":"Mint","Recipient":"@alice","Quantity":1000}`,
		"--message", `{"From":"alice","Tags":{"Action":"Transfer"},"Recipient":"@bob","Quantity":5}`,
		"--eval", "Balances['x'] or 'none'", "--eval", "error('no')")
	for _, want := range []string{
		"1  owner → token  (begins)\n", "2  owner → token  Action=Mint Quantity=1000 Recipient=alice\n",
		"   sends    to alice  Action=Debit-Notice Quantity=5 Recipient=bob  You sent 5", "   sends    to bob  Action=Credit-Notice",
		"   output   none\n", "   error    Eval:1: no\n",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	lines := strings.Split(mustRun(t, "run", dir, "-o", "json", "--message", `{"Action":"Info"}`), "\n")
	var last stepJSON
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 2 || !strings.Contains(string(last.Result), `"Total-Supply"`) || last.Message == nil {
		t.Errorf("%v in %v", err, lines)
	}
	for _, wrong := range [][]string{{"--message", "x"}, {"--advance", "soon"}, {"--message", `{"To":"x"}`}, {"--tag", "Cron-Interval=0-seconds"}, {"--vm", "none"}} {
		if got := runCommand(t, "", append([]string{"run", dir}, wrong...)...); got.code == exitOK || got.stderr == "" && !strings.Contains(got.stdout, "failed") {
			t.Errorf("%v: %+v", wrong, got)
		}
	}
}

// TestRunReadsLines goes on after a line that is wrong, and lets time pass.
func TestRunReadsLines(t *testing.T) {
	dir := ownProject(t, "--example", "heartbeat")
	got := runCommand(t, "Beats = 40\n{\"bad\n\n+5m30s\nBeats\n", "run", dir, "--tag", "Cron-Interval=2-minutes", "--tag", "Cron-Tag-Action=Beat")
	if got.code != exitOK || !strings.Contains(got.stderr, "it is no JSON object") || strings.Count(got.stdout, "cron 0-2-minutes → process") != 2 || !strings.HasSuffix(strings.TrimSpace(got.stdout), "output   42") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, "\n\n", "run", dir, "--step", "--eval", "1"); got.code != exitOK || strings.Count(got.stderr, "Enter goes on") != 2 {
		t.Errorf("step by step: %+v", got)
	}
}

// TestAProcessThatIsCompiledIsTested builds the starters that need a compiler and runs their
// tests, which are in Lua.
func TestAProcessThatIsCompiledIsTested(t *testing.T) {
	for _, lang := range []string{"c", "go", "rust"} {
		t.Run(lang, func(t *testing.T) { compiledIsTested(t, ownProject(t, "--lang", lang)) })
	}
	t.Run("tinygo", func(t *testing.T) {
		dir := ownProject(t, "--lang", "go")
		path := filepath.Join(dir, "wallaby.yaml")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(text, "\ncompiler: tinygo\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		compiledIsTested(t, dir)
	})
}

func compiledIsTested(t *testing.T, dir string) {
	missing := []string{"which makes modules of", "not what it compiles wasm with", "tinygo is not there"}
	got := runCommand(t, "", "build", dir)
	if slices.ContainsFunc(missing, func(what string) bool { return strings.Contains(got.stderr, what) }) {
		t.Skip("SKIPPED: " + got.stderr)
	}
	if said := mustRun(t, "test", dir); !strings.HasSuffix(said, "2 passed, 0 failed") {
		t.Error(said)
	}
	if said := mustRun(t, "run", dir, "--message", `{"Action":"Add","Quantity":"4","Note":"a \"quoted\" \\ text, \u00e9 \ud83d\ude00"}`); !strings.Contains(said, "Action=Added Count=4") {
		t.Error(said)
	}
}

// TestTestsAreRun runs the starter's tests, and one that fails.
func TestTestsAreRun(t *testing.T) {
	dir := ownProject(t)
	if said := mustRun(t, "test", dir); !strings.HasSuffix(said, "2 passed, 0 failed") {
		t.Error(said)
	}
	if err := os.WriteFile(filepath.Join(dir, "more_test.lua"), []byte("test('odd', function()\n\tprint('so far')\n\tequal(1, 2)\nend)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := runCommand(t, "", "test", dir, "--run", "odd")
	if got.code != exitError || !strings.Contains(got.stdout, "FAIL  odd (") || !strings.Contains(got.stdout, "      so far\n      more_test.lua:3: got 1, want 2\n") || !strings.Contains(got.stdout, "0 passed, 1 failed") {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, "", "test", dir, "-o", "json"); got.code != exitError || !strings.Contains(got.stdout, `"failure": "more_test.lua:3: got 1, want 2"`) {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, "", "test", dir, "--run", "nothing"); got.code != exitError || !strings.Contains(got.stderr, `no test is called "nothing"`) {
		t.Errorf("%+v", got)
	}
	if got := runCommand(t, "", "init", filepath.Join(dir, "x"), "--example", "none"); got.code != exitUsage || !strings.Contains(got.stderr, "take account, chat") {
		t.Errorf("%+v", got)
	}
}

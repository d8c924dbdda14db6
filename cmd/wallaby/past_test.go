package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"

	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/node"
)

func TestPlacesAreRead(t *testing.T) {
	id := strings.Repeat("A", 43)
	for text, want := range map[string]*connect.Place{
		id: nil, id + "@0": {}, id + "@12": {Nonce: 12}, id + "@12.3": {Nonce: 12, Tick: 3},
	} {
		if _, at, err := parsePlace(text); err != nil || !cmp.Equal(at, want) {
			t.Errorf("%s is %+v, %v", text, at, err)
		}
	}
	for _, args := range [][]string{
		{"state", id + "@"}, {"state", id + "@x"}, {"state", id + "@1."}, {"state", id + "@-1"}, {"state", "x@1"},
		{"eval", id}, {"fork", id}, {"fork", id + "@1.2"}, {"fork", id + "@1", "--drop", "x"}, {"fork", id + "@1", "--replace", "1"},
	} {
		if got := runCommand(t, "", args...); got.code != exitUsage {
			t.Errorf("%v: exit %d, %s", args, got.code, got.stderr)
		}
	}
	if got := runCommand(t, "", "state", "-"+id[1:]+"@x"); !strings.Contains(got.stderr, "PROCESS@NONCE") {
		t.Errorf("an id that begins with a dash: %s", got.stderr)
	}
}

func TestRootEveryComesFromTheFlagThenTheFile(t *testing.T) {
	for line, want := range map[string]uint64{"": 7, "--root-every 5": 5, "--root-every 0": 0} {
		var f nodeFlags
		flags := pflag.NewFlagSet("node", pflag.ContinueOnError)
		f.register(flags)
		if err := flags.Parse(strings.Fields(line)); err != nil {
			t.Fatal(err)
		}
		options, err := f.options(&app{stderr: io.Discard})
		if err != nil {
			t.Fatal(err)
		}
		if got := withFile(options, node.Options{RootEvery: 7}, flags).RootEvery; got != want {
			t.Errorf("%q: %d, want %d", line, got, want)
		}
	}
}

// TestAnOperatorLooksBack counts in an aos process and then asks what was, and what
// would have been.
func TestAnOperatorLooksBack(t *testing.T) {
	_, dir := openAosNode(t, func(o *node.Options) { o.RootEvery = 2 })
	process := mustRun(t, "spawn", "aos2_0_6")
	for _, lua := range []string{"Count = 0", "Count = Count + 10", "Count = Count * 2", "Count = Count + 1"} {
		mustRun(t, "send", process, "--action", "Eval", "--data", lua, "--wait")
	}
	for place, want := range map[string]string{"": "21", "@4": "21", "@3": "20", "@2": "10", "@1": "0", "@0": ""} {
		if got := mustRun(t, "eval", process+place, "Count"); got != want {
			t.Errorf("%s: %s, not %s", place, got, want)
		}
	}
	roots := map[string]string{}
	for _, place := range []string{"", "@4", "@3", "@2"} {
		for line := range strings.Lines(mustRun(t, "state", process+place)) {
			if root, ok := strings.CutPrefix(line, "state root"); ok {
				roots[place] = strings.TrimSpace(root)
			}
		}
	}
	if roots[""] == "" || roots[""] != roots["@4"] || roots["@3"] == roots["@2"] || roots["@3"] == roots["@4"] {
		t.Errorf("state roots are %v", roots)
	}
	image := filepath.Join(dir, "memory")
	mustRun(t, "state", process+"@2", "--save", image)
	if info, err := os.Stat(image); err != nil || info.Size()%65536 != 0 || info.Size() == 0 {
		t.Errorf("the saved memory: %v, %v", info, err)
	}
	if got := mustRun(t, "fork", process+"@4", "--compare"); !strings.Contains(got, "equal") || !strings.Contains(got, roots["@4"]) {
		t.Errorf("a fork without a change, whose root should be %s:\n%s", roots["@4"], got)
	}
	other := filepath.Join(dir, "other.lua")
	if err := os.WriteFile(other, []byte("Count = Count - 100"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]string{"11": "--drop=3", "-89": "--replace=3=" + other} {
		got := mustRun(t, "fork", process+"@4", change)
		fork := strings.Fields(got)[1]
		if count := mustRun(t, "eval", fork, "Count"); count != want {
			t.Errorf("%s: %s, not %s", change, count, want)
		}
		if count := mustRun(t, "eval", fork+"@2", "Count"); count != "10" {
			t.Errorf("%s, before the change: %s", change, count)
		}
		if list := mustRun(t, "fork"); !strings.Contains(list, fork) {
			t.Errorf("it is not listed: %s", list)
		}
	}
	if got := mustRun(t, "fork", process+"@4", "--drop", "1", "--compare"); !strings.Contains(got, "nonce 2, message ") || !strings.Contains(got, "arithmetic on a nil value") {
		t.Errorf("without the first message:\n%s", got)
	}
}

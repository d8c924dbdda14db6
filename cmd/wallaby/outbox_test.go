package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/wallaby-ao/wallaby/messenger"
	"github.com/wallaby-ao/wallaby/node"
)

// TestAMistakeAboutTheOutboxIsNamed needs no node.
func TestAMistakeAboutTheOutboxIsNamed(t *testing.T) {
	effect := strings.Repeat("A", 43) + "/1/0"
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"no effect":            {[]string{"redrive"}, "PROCESS/NONCE/INDEX"},
		"a process":            {[]string{"drop", strings.Repeat("A", 43)}, "PROCESS/NONCE/INDEX"},
		"one and all":          {[]string{"redrive", effect, "--all"}, "name one effect, or choose some"},
		"one and some":         {[]string{"drop", effect, "--root", effect}, "name one effect, or choose some"},
		"an effect to resume":  {[]string{"resume", effect}, "root"},
		"nothing to resume":    {[]string{"resume"}, "--all"},
		"one and all resumed":  {[]string{"resume", strings.Repeat("A", 43), "--all"}, "--all"},
		"to show no effect":    {[]string{"show", "x"}, "PROCESS/NONCE/INDEX"},
		"to show all of them":  {[]string{"show"}, "wallaby outbox show EFFECT"},
		"an index that is not": {[]string{"show", strings.Repeat("A", 43) + "/1/x"}, "the index"},
	} {
		got := runCommand(t, "", append([]string{"outbox"}, c.args...)...)
		if got.code != exitUsage || !strings.Contains(got.stderr, c.says) {
			t.Errorf("%s: exit %d, %q does not say %q", name, got.code, got.stderr, c.says)
		}
	}
	failed := runCommand(t, "", "outbox", "redrive", "-"+effect[1:], "--data-dir", t.TempDir())
	if failed.code != exitError || !strings.Contains(failed.stderr, "--data-dir") {
		t.Errorf("an effect that begins with a dash, and no node: %+v", failed)
	}
}

// TestBoundsComeFromFlagsThenTheFile, and are the usual ones without either.
func TestBoundsComeFromFlagsThenTheFile(t *testing.T) {
	for line, want := range map[string][2]int{
		"":                                 {7, -1},
		"--hops-max 5":                     {5, -1},
		"--hops-max 0 --pair-rate-max 100": {-1, 100},
	} {
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
		both := withFile(options, node.Options{HopsMax: 7, PairRateMax: -1}, flags)
		if got := [2]int{both.HopsMax, both.PairRateMax}; got != want {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
		if alone := withFile(options, node.Options{}, flags); line == "" && (alone.HopsMax != messenger.DefaultHopsMax || alone.PairRateMax != messenger.DefaultPairRateMax) {
			t.Errorf("without either: %d, %d", alone.HopsMax, alone.PairRateMax)
		}
	}
}

// printed runs a command again until it prints what is wanted.
func printed(t *testing.T, want string, args ...string) string {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got := mustRun(t, args...)
		if strings.Contains(got, want) {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("wallaby %s never says %q: %s", strings.Join(args, " "), want, got)
		}
	}
}

// TestWhatIsStuckIsFoundAndHelped has a process lose a letter and two others throw a
// ball for ever, and an operator look after both.
func TestWhatIsStuckIsFoundAndHelped(t *testing.T) {
	openAosNode(t, func(o *node.Options) { o.HopsMax = 10 })
	const player = `Handlers.add("ball", { Action = "Ball" }, function(msg) ao.send({ Target = msg.From, Action = "Ball" }) end)`
	one, two := mustRun(t, "spawn", "aos2_0_6", "--name", "one"), mustRun(t, "spawn", "aos2_0_6", "--name", "two")
	for _, process := range []string{one, two} {
		mustRun(t, "send", process, "--action", "Eval", "--data", player, "--wait")
	}

	// A letter to nobody.
	lost := mustRun(t, "send", one, "--action", "Eval", "--data", `ao.send({ Target = "nobody", Action = "Lose" })`)
	key := one + "/2/0"
	for _, want := range []string{key, "message", "nobody", "no target"} {
		if got := printed(t, key, "outbox", "list", "--state", "dead"); !strings.Contains(got, want) {
			t.Errorf("the list of the dead does not say %q: %s", want, got)
		}
	}
	if got := mustRun(t, "trace", lost); !strings.Contains(got, "└─ dead 0") || !strings.Contains(got, "wallaby outbox show "+key) {
		t.Errorf("its trace: %s", got)
	}
	if got := mustRun(t, "outbox", "redrive", key); got != "1 effect redriven" {
		t.Errorf("redrive: %s", got)
	}
	printed(t, key, "outbox", "list", "--state", "dead", "--process", one)
	if got := mustRun(t, "outbox", "drop", "--all", "--process", one); got != "1 effect dropped" {
		t.Errorf("drop: %s", got)
	}
	for _, want := range []string{"state", "dropped", "nobody", `"Lose"`, lost} {
		if got := mustRun(t, "outbox", "show", key); !strings.Contains(got, want) {
			t.Errorf("show does not say %s: %s", want, got)
		}
	}
	if failed := runCommand(t, "", "outbox", "redrive", key); failed.code != exitError || !strings.Contains(failed.stderr, "is dropped") {
		t.Errorf("redrive what is dropped: %+v", failed)
	}
	if failed := runCommand(t, "", "outbox", "show", one+"/2/9"); failed.code != exitNotFound {
		t.Errorf("show what is not there: %+v", failed)
	}
	if failed := runCommand(t, "", "outbox", "redrive", key, "--data-dir", otherToken(t)); failed.code != exitError || !strings.Contains(failed.stderr, "another admin token") {
		t.Errorf("with another node's token: %+v", failed)
	}

	// A ball that is never held.
	ball := mustRun(t, "send", one, "--action", "Eval", "--data", fmt.Sprintf(`ao.send({ Target = "%s", Action = "Ball" })`, two))
	if got := printed(t, ball, "outbox", "parked"); !strings.Contains(got, "10 deliveries, the most that message") {
		t.Errorf("parked: %s", got)
	}
	if got := mustRun(t, "status"); !strings.Contains(got, "0 to deliver, 1 parked, 0 dead") {
		t.Errorf("status: %s", got)
	}
	parked := mustRun(t, "outbox", "list", "--state", "parked", "--root", ball, "-o", "json")
	var page node.OutboxPage
	if err := json.Unmarshal([]byte(parked), &page); err != nil || len(page.Effects) != 1 {
		t.Fatalf("%v: %s", err, parked)
	}
	straight := mustRun(t, "trace", page.Effects[0].Effect, "--root", "--depth", "20")
	if n := strings.Count(straight, "\n↓ replied 0 "); n != 9 || strings.Count(straight, "\n└─ parked 0 ") != 1 || !strings.HasPrefix(straight, ball) {
		t.Errorf("%d replies in its trace: %s", n, straight)
	}
	if got := mustRun(t, "outbox", "resume", ball); got != "1 effect resumed" {
		t.Errorf("resume: %s", got)
	}
	printed(t, "10 deliveries", "outbox", "parked")
	if got := mustRun(t, "outbox", "drop", "--state", "parked", "--root", ball, "-o", "json"); !strings.Contains(got, `"changed": 1`) {
		t.Errorf("drop: %s", got)
	}
	if got := mustRun(t, "outbox", "parked", "-o", "json"); got != "[]" {
		t.Errorf("parked after the drop: %s", got)
	}
	if failed := runCommand(t, "", "trace", strings.Repeat("A", 43)); failed.code != exitNotFound {
		t.Errorf("a trace of nothing: %+v", failed)
	}
}

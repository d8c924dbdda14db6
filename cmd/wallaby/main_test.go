package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/bench"
	"github.com/wallaby-ao/wallaby/node"
)

// result is what a command gave.
type result struct {
	code           int
	stdout, stderr string
}

func runCommand(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), args, strings.NewReader(stdin), &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// mustRun runs a command that must succeed and gives what it printed.
func mustRun(t *testing.T, args ...string) string {
	t.Helper()
	got := runCommand(t, "", args...)
	if got.code != exitOK {
		t.Fatalf("wallaby %s: exit %d, %s", strings.Join(args, " "), got.code, got.stderr)
	}
	return strings.TrimSpace(got.stdout)
}

func TestMistakesAreNamedInOneLine(t *testing.T) {
	dir := t.TempDir()
	wallet := filepath.Join(dir, "wallet.json")
	nowhere := []string{"--url", "http://127.0.0.1:1", "--wallet", wallet}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown flag":        {[]string{"status", "--nope"}, exitUsage, "unknown flag"},
		"unknown output":      {[]string{"version", "-o", "xml"}, exitUsage, "-o must be"},
		"missing argument":    {[]string{"send"}, exitUsage, "wallaby send PROCESS"},
		"bad process":         {append(nowhere, "log", "xyz"), exitUsage, "not an id"},
		"bad tag":             {append(nowhere, "send", strings.Repeat("A", 43), "--tag", "x"), exitUsage, "NAME=VALUE"},
		"no node":             {append(nowhere, "status"), exitError, "start one with wallaby dev"},
		"no wallet":           {append(nowhere, "wallet", "address"), exitError, "wallaby wallet new"},
		"no such module":      {append(nowhere, "publish", filepath.Join(dir, "absent.wasm")), exitError, "no such file"},
		"unknown key type":    {append(nowhere, "wallet", "new", "--type", "dsa"), exitUsage, "--type must be"},
		"bad module":          {[]string{"dev", "--ephemeral", "--module", "="}, exitError, "--module"},
		"ports out of range":  {[]string{"dev", "--ephemeral", "--port-base", "70000"}, exitError, "leaves no room"},
		"no nodes":            {[]string{"cluster", "init", "--out", filepath.Join(dir, "c0")}, exitUsage, "--nodes n1=10.0.0.1:7000"},
		"bad node":            {[]string{"cluster", "init", "--out", filepath.Join(dir, "c1"), "--nodes", "n1"}, exitUsage, "ID=HOST:PORT"},
		"two nodes":           {[]string{"cluster", "init", "--out", filepath.Join(dir, "c2"), "--nodes", "a=h:1,b=h:2"}, exitError, "use 3 or 5"},
		"no node file":        {[]string{"node"}, exitUsage, "--config"},
		"absent node file":    {[]string{"node", "--config", filepath.Join(dir, "n1.yaml")}, exitError, "wallaby cluster init"},
		"no operator":         {[]string{"cluster", "repair", "n2"}, exitUsage, "admin token"},
		"no join token":       {[]string{"cluster", "join", "xyz", "--from", "h:1", "--out", filepath.Join(dir, "j")}, exitUsage, "not a whole join token"},
		"join from nowhere":   {[]string{"cluster", "join", "xyz", "--out", filepath.Join(dir, "j")}, exitUsage, "--from HOST:7999"},
		"join to nowhere":     {[]string{"cluster", "join", "xyz", "--from", "h:1"}, exitUsage, "--out DIR"},
		"token without ca":    {[]string{"cluster", "token", "n1", "--ca", dir}, exitError, "ca.key"},
		"token for no time":   {[]string{"cluster", "token", "n1", "--ca", dir, "--days", "0"}, exitUsage, "--days"},
		"hand-out of naught":  {[]string{"cluster", "hand-out", "--ca", dir, "--listen", "127.0.0.1:0"}, exitError, "ca.key"},
		"plot as PNG":         {[]string{"bench", "sequencing", "--plot", filepath.Join(dir, "x.png")}, exitUsage, "plots are written as SVG"},
		"plot to nowhere":     {[]string{"bench", "sequencing", "--plot", filepath.Join(dir, "no", "x.svg")}, exitUsage, "there is no directory"},
		"no such mode":        {[]string{"bench", "sequencing", "--modes", "raft:4"}, exitUsage, "choose from solo, raft:3, raft:5"},
		"ring of one":         {[]string{"bench", "push", "--processes", "1"}, exitUsage, "a ring has two processes or more"},
		"no tokens":           {[]string{"bench", "push", "--tokens", "0"}, exitUsage, "--tokens are numbers from 1 on"},
		"report is a file":    {[]string{"bench", "vm", "--out", "main_test.go"}, exitUsage, "name another, or move the file away"},
		"modules alike":       {[]string{"bench", "vm", "--module", "a/x.wasm", "--module", "b/x.wasm"}, exitUsage, "two modules are called x"},
		"absent module":       {[]string{"bench", "vm", "--module", filepath.Join(dir, "x.wasm")}, exitNotFound, "run make modules"},
		"bad scheduler URL":   {[]string{"dev", "--ephemeral", "--scheduler-url", "su.example"}, exitError, "is no http URL"},
		"bad addresses":       {[]string{"dev", "--allow-addresses", "everything"}, exitUsage, "neither loopback nor private"},
		"bad gateway":         {[]string{"dev", "--ephemeral", "--gateway", "arweave.net"}, exitError, "is no http URL such as https://arweave.net"},
		"wallet alone":        {[]string{"dev", "--ephemeral", "--settle-wallet", "w.json"}, exitError, "settle-to"},
		"restore from naught": {[]string{"restore", "--from", "tape", "--gateway", "http://127.0.0.1:1"}, exitUsage, "--from arweave"},
		"restore sans keys":   {[]string{"restore", "--from", "arweave", "--gateway", "http://127.0.0.1:1", "--data-dir", filepath.Join(dir, "r")}, exitError, "put back the wallets"},
		"bad owner":           {[]string{"dev", "--ephemeral", "--trust-checkpoints", "me"}, exitError, "no owner's address"},
		"bad log level":       {[]string{"dev", "--log-level", "loud"}, exitUsage, "--log-level"},
		"import from nowhere": {[]string{"import", strings.Repeat("A", 43)}, exitUsage, "--from"},
		"import of no kind":   {[]string{"import", strings.Repeat("A", 43), "--from", "http://127.0.0.1:1", "--kind", "tape", "--out", filepath.Join(dir, "h")}, exitError, "hyperbeam"},
		"verify of no file":   {[]string{"verify", filepath.Join(dir, "h.aolog")}, exitError, "no such file"},
		"verify of another":   {[]string{"verify", "main_test.go"}, exitError, "no history file"},
		"replay of no file":   {[]string{"replay", filepath.Join(dir, "h.aolog")}, exitError, "no such file"},
		"results of a node":   {append(nowhere, "replay", strings.Repeat("A", 43), "--results", "x"), exitUsage, "history files"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runCommand(t, "", c.args...)
			if got.code != c.code || !strings.Contains(got.stderr, c.says) {
				t.Errorf("exit %d, want %d; %q does not say %q", got.code, c.code, got.stderr, c.says)
			}
			if lines := strings.Count(strings.TrimSpace(got.stderr), "\n"); lines != 0 {
				t.Errorf("%d lines instead of one: %q", lines+1, got.stderr)
			}
		})
	}
}

// TestClusterInitMakesWhatANodeNeeds makes a cluster's files, starts nothing, and
// refuses to make another over it.
func TestClusterInitMakesWhatANodeNeeds(t *testing.T) {
	out := filepath.Join(t.TempDir(), "certs")
	args := []string{"cluster", "init", "--name", "test", "--out", out, "--nodes", "a=127.0.0.1:7001,b=127.0.0.1:7002,c=127.0.0.1:7003"}
	said, tokens := mustRun(t, args...), 0
	for _, id := range []string{"a", "b", "c"} {
		file := node.NodeFile(out, id)
		if !strings.Contains(said, "wallaby node --config "+file) {
			t.Errorf("init does not say how to start %s: %s", id, said)
		}
		options, err := node.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if options.Cluster.Self != id || len(options.Cluster.Members) != 3 || options.PortBase != 4000 {
			t.Errorf("%s: %+v", file, options)
		}
		if _, err := os.Stat(filepath.Join(out, id, "ca.key")); err == nil {
			t.Errorf("node %s got the authority's key", id)
		}
		for _, private := range []string{"node.key", "wallets/scheduler.json"} {
			info, err := os.Stat(filepath.Join(out, id, private))
			if err != nil || info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s of node %s: %v, %v", private, id, info, err)
			}
		}
	}
	for _, word := range strings.Fields(said) {
		if _, err := node.ParseJoinToken(word); err == nil {
			tokens++
		}
	}
	if tokens != 3 {
		t.Errorf("init shows %d join tokens: %s", tokens, said)
	}
	if again := runCommand(t, "", args...); again.code != exitError || !strings.Contains(again.stderr, "holds a cluster already") {
		t.Errorf("init over a cluster: exit %d, %s", again.code, again.stderr)
	}
}

func TestBenchSequencingAdvisesAndDraws(t *testing.T) {
	dir := t.TempDir()
	plot := filepath.Join(dir, "plot.svg")
	said := mustRun(t, "bench", "sequencing", "--modes", "solo", "--clients", "2", "--seconds", "0.1", "--dir", dir, "--plot", plot, "-o", "json")
	var report bench.Report
	if err := json.Unmarshal([]byte(said), &report); err != nil || len(report.Rows) != 3 || len(report.Advice) == 0 {
		t.Errorf("the report is %s, %v", said, err)
	}
	if b, err := os.ReadFile(plot); err != nil || !bytes.Contains(b, []byte(">solo</text>")) {
		t.Errorf("the plot is %s, %v", b, err)
	}
}

// TestAMachineJoins takes the steps of an operator and of a new machine.
func TestAMachineJoins(t *testing.T) {
	dir := t.TempDir()
	ca := filepath.Join(dir, "certs")
	mustRun(t, "cluster", "init", "--out", ca, "--nodes", "a=127.0.0.1:7001,b=127.0.0.1:7002,c=127.0.0.1:7003")
	var made join
	if err := json.Unmarshal([]byte(mustRun(t, "cluster", "token", "b", "--ca", ca, "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	reader, writer := io.Pipe()
	done := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		defer writer.Close()
		done <- run(t.Context(), []string{"cluster", "hand-out", "--ca", ca, "--listen", "127.0.0.1:0", "--once", "1"}, nil, writer, &stderr)
	}()
	lines := bufio.NewScanner(reader)
	if !lines.Scan() {
		t.Fatalf("hand-out says nothing: %s", &stderr)
	}
	from := strings.TrimSuffix(strings.Fields(lines.Text())[7], ";")
	go func() { _, _ = io.Copy(io.Discard, reader) }()
	out := filepath.Join(dir, "b")
	got := runCommand(t, made.Token+"\n", "cluster", "join", "-", "--from", from, "--out", out)
	if got.code != exitOK || !strings.Contains(got.stdout, "wallaby node --config "+filepath.Join(out, "b.yaml")) {
		t.Errorf("join: exit %d, %s%s", got.code, got.stdout, got.stderr)
	}
	if code := <-done; code != exitOK {
		t.Errorf("hand-out: exit %d, %s", code, &stderr)
	}
	if options, err := node.ReadFile(filepath.Join(out, "b.yaml")); err != nil || options.Cluster.Self != "b" {
		t.Errorf("the node's file: %+v, %v", options.Cluster, err)
	}
}

func TestEveryCommandExplainsItself(t *testing.T) {
	root := (&app{}).command()
	for _, command := range root.Commands() {
		if command.Short == "" || strings.HasSuffix(command.Short, ".") {
			t.Errorf("wallaby %s: %q is no short description", command.Name(), command.Short)
		}
		if !strings.Contains(mustRun(t, "help"), command.Name()) {
			t.Errorf("help does not name %s", command.Name())
		}
	}
	if out := mustRun(t, "completion", "bash"); !strings.Contains(out, "wallaby") {
		t.Error("there is no completion for bash")
	}
	var v version
	if err := json.Unmarshal([]byte(mustRun(t, "version", "-o", "json")), &v); err != nil || v.Go == "" {
		t.Errorf("version: %+v, %v", v, err)
	}
}

func TestEnvironmentSetsFlags(t *testing.T) {
	t.Setenv("WALLABY_OUTPUT", "xml")
	if got := runCommand(t, "", "version"); got.code != exitUsage {
		t.Errorf("WALLABY_OUTPUT was not read: exit %d", got.code)
	}
	if got := runCommand(t, "", "version", "-o", "json"); got.code != exitOK {
		t.Errorf("the flag does not beat the environment: %s", got.stderr)
	}
}

func TestWalletsAreNeverOverwritten(t *testing.T) {
	wallet := filepath.Join(t.TempDir(), "keys", "wallet.json")
	made := mustRun(t, "wallet", "new", wallet, "-o", "json")
	if shown := mustRun(t, "wallet", "address", wallet, "-o", "json"); shown != made {
		t.Errorf("made %s, shown %s", made, shown)
	}
	if got := runCommand(t, "", "wallet", "new", wallet); got.code != exitError || !strings.Contains(got.stderr, "exists already") {
		t.Errorf("exit %d, %s", got.code, got.stderr)
	}
	info, err := os.Stat(wallet)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if mustRun(t, "wallet", "address", wallet, "-o", "json") != made {
		t.Error("the wallet changed")
	}
}

func TestCommandsAgainstANode(t *testing.T) {
	n, dir := openAosNode(t, nil)
	module := aosModule(t)

	process := mustRun(t, "spawn", "aos2_0_6", "--name", "cli")
	mustRun(t, "result", process)
	if got := mustRun(t, "send", process, "--action", "Eval", "--data", "x = 20; return x + 1", "--wait"); got != "21" {
		t.Errorf("eval gave %q", got)
	}
	script := filepath.Join(dir, "script.lua")
	if err := os.WriteFile(script, []byte("return x * 2"), 0o644); err != nil {
		t.Fatal(err)
	}
	message := mustRun(t, "send", process, "--action", "Eval", "--data", "@"+script)
	if got := mustRun(t, "result", process, message); got != "40" {
		t.Errorf("eval of a file gave %q", got)
	}
	failed := runCommand(t, "error('no luck')", "send", process, "--action", "Eval", "--data", "-", "--wait")
	if failed.code != exitError || !strings.Contains(failed.stderr, "no luck") {
		t.Errorf("an error of the process: exit %d, %s", failed.code, failed.stderr)
	}
	for command, want := range map[string]string{
		"processes": process, "log " + process: message, "results " + process: "40", "status": n.SchedulerAddress(),
		"process sequencing " + process: "who holds the key of " + n.SchedulerAddress(), "cluster status": n.Info().URLs.Gateway,
	} {
		if got := mustRun(t, strings.Fields(command)...); !strings.Contains(got, want) {
			t.Errorf("wallaby %s does not show %s:\n%s", command, want, got)
		}
	}
	address := strings.Fields(mustRun(t, "wallet", "address"))
	owner := address[len(address)-4]
	if got := mustRun(t, "dryrun", process, "--owner", owner, "--action", "Eval", "--data", "x = 99; return x"); got != "99" {
		t.Errorf("dry run gave %q (as %s)", got, owner)
	}
	if got := mustRun(t, "send", process, "--action", "Eval", "--data", "return x", "--wait"); got != "20" {
		t.Errorf("the dry run left a trace: x is %q", got)
	}
	testCheckpoints(t, n, process)
	testCrons(t, n, process)
	unknown := runCommand(t, "", "result", process, strings.Repeat("A", 43))
	if unknown.code != exitNotFound {
		t.Errorf("an unknown message: exit %d, %s", unknown.code, unknown.stderr)
	}
	published := mustRun(t, "publish", module, "--tag", "Name=again")
	if len(published) != 43 || mustRun(t, "publish", module, "--tag", "Name=again") != published {
		t.Errorf("publishing twice gave %q and something else", published)
	}
}

// testCrons has a process monitored, and looks at how it stands.
func testCrons(t *testing.T, n *node.Node, without string) {
	t.Helper()
	clock := mustRun(t, "spawn", "aos2_0_6", "--tag", "Cron-Interval=1-hour")
	if got := mustRun(t, "cron", "list"); !strings.Contains(got, clock) || !strings.Contains(got, "1-hour") || strings.Contains(got, without) {
		t.Errorf("the list is:\n%s", got)
	}
	mustRun(t, "monitor", clock, "--skip")
	if got := runCommand(t, "", "monitor", clock); got.code != exitError || !strings.Contains(got.stderr, "already being monitored") {
		t.Errorf("monitored twice: exit %d, %s", got.code, got.stderr)
	}
	var list []node.CronsInfo
	if err := json.Unmarshal([]byte(mustRun(t, "cron", "list", clock, "-o", "json")), &list); err != nil || len(list) != 1 || !list[0].Watched || list[0].NextMS == 0 {
		t.Errorf("%+v, %v", list, err)
	}
	dir := n.Info().DataDir
	if got := runCommand(t, "", "cron", "skip", clock, "--data-dir", dir); got.code != exitError || !strings.Contains(got.stderr, "no ticks of process") {
		t.Errorf("nothing to skip: exit %d, %s", got.code, got.stderr)
	}
	if got := runCommand(t, "", "cron", "skip", without, "--data-dir", dir); got.code != exitNotFound || !strings.Contains(got.stderr, "has no crons") {
		t.Errorf("no crons: exit %d, %s", got.code, got.stderr)
	}
	mustRun(t, "unmonitor", clock)
}

package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/testport"
	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/node"
)

// openLuaNode starts a node without a module of its own.
func openLuaNode(t *testing.T) (n *node.Node, dir string) {
	t.Helper()
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	n, dir = openAosNode(t, func(o *node.Options) { o.Modules = nil })
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	return n, dir
}

// typist types into a console that runs in a terminal of its own.
type typist struct {
	*testing.T
	terminal *os.File
	command  *exec.Cmd
	changed  chan struct{}

	mu    sync.Mutex
	shown strings.Builder // since the last line was typed, without colours
}

// typistWait bounds how long a text is waited for.
const typistWait = 30 * time.Second

var terminalCodes = regexp.MustCompile(`\x1b(\[[0-9;?]* ?[A-Za-z]|[=>])`)

func openTypist(t *testing.T, args ...string) *typist {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), asCommand+"=1", "TERM=xterm-256color", "WALLABY_URL="+os.Getenv("WALLABY_URL"))
	terminal, err := pty.StartWithSize(command, &pty.Winsize{Rows: 50, Cols: 160})
	if err != nil {
		t.Fatal(err)
	}
	p := &typist{T: t, terminal: terminal, command: command, changed: make(chan struct{}, 1)}
	var wait sync.WaitGroup
	wait.Go(p.read)
	t.Cleanup(func() {
		_ = command.Process.Kill() // it may have ended
		_ = terminal.Close()
		wait.Wait()
	})
	return p
}

func (p *typist) read() {
	b := make([]byte, 4096)
	for {
		n, err := p.terminal.Read(b)
		p.mu.Lock()
		p.shown.Write(b[:n])
		p.mu.Unlock()
		select {
		case p.changed <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

func (p *typist) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return terminalCodes.ReplaceAllString(p.shown.String(), "")
}

// sees waits for a text that was not there when the last line was typed.
func (p *typist) sees(want string) {
	p.Helper()
	p.until(want, func(screen string) bool { return strings.Contains(screen, want) })
}

func (p *typist) until(want string, is func(screen string) bool) {
	p.Helper()
	deadline := time.After(typistWait)
	for !is(p.screen()) {
		select {
		case <-p.changed:
		case <-deadline:
			p.Fatalf("no %q in\n%s", want, p.screen())
		}
	}
	p.settle()
}

// settle waits until nothing is drawn for a moment: what is typed while the editor sets
// the terminal up is not seen by it.
func (p *typist) settle() {
	for {
		select {
		case <-p.changed:
		case <-time.After(60 * time.Millisecond):
			return
		}
	}
}

// types writes to the terminal; what it has shown before is forgotten.
func (p *typist) types(text string) {
	p.Helper()
	p.mu.Lock()
	p.shown.Reset()
	p.mu.Unlock()
	if _, err := p.terminal.WriteString(text); err != nil {
		p.Fatal(err)
	}
}

// says types a line and waits for what comes of it, and for the prompt behind that.
func (p *typist) says(line string, wants ...string) {
	p.Helper()
	p.types(line + "\r")
	for _, want := range append(wants, "> ") {
		p.until(want, func(screen string) bool {
			// While it is typed the line is drawn again and again; what comes of it
			// begins in the next.
			_, after, _ := strings.Cut(screen, "\n")
			return strings.Contains(after, want)
		})
	}
}

// TestConsoleInATerminal converses as a person would.
func TestConsoleInATerminal(t *testing.T) {
	_, dir := openLuaNode(t)
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	p := openTypist(t, "console", "talk")
	p.sees("talk@wallaby[Inbox:1]> ")
	p.says("1 + 1", "2")
	p.says("Counted = 40", "")
	p.says("Counted + 2", "42")
	p.types("for i = 1, 2 do\r")
	p.types("print('round ' .. i)\r")
	p.says("end", "round 1", "round 2")
	p.types("Coun\t")
	p.sees("Counted")
	p.says("", "40")

	// Somebody else's message comes while a line is being typed.
	p.types("'half a ")
	stranger := filepath.Join(dir, "stranger.json")
	id := strings.Fields(mustRun(t, "console", "--list"))[0]
	mustRun(t, "send", id, "--action", "Hello", "--wallet", stranger)
	p.sees("New Message From ")
	p.sees("Action = Hello")
	p.sees("[Inbox:2]> ")
	p.types("line'\r")
	p.sees("half a line")
	p.says(".inbox", "   2  ")

	write("lib/deep.lua", "return { name = 'deep' }")
	write("lib/near.lua", "return { deep = require('lib.deep'), name = 'near ]]' }")
	path := write("main.lua", "local near = require('lib.near')\nVersion1 = near.name .. ' ' .. near.deep.name\nreturn Version1")
	p.says(".load "+path, "Loading "+path+", "+filepath.Join(dir, "lib/deep.lua")+", "+filepath.Join(dir, "lib/near.lua"), "near ]] deep")
	p.says(".watch "+path, "near ]] deep")
	p.types("")
	write("lib/deep.lua", "return { name = 'deeper' }")
	p.sees("near ]] deeper")
	p.says(".unwatch")

	p.says("error('oh no')", "Eval:1: oh no", "Nothing has changed")
	p.says(".why", "Eval:1: oh no", "  evaluated")
	p.says(".trace", "  scheduled")
	p.says(".dryrun Counted + 5", "45")
	p.says(".dryrun", "From now on")
	p.says("Counted = 7; return Counted", "7")
	p.says(".dryrun", "")
	p.says("Counted", "40")
	p.says(".state @1 Counted", "")
	p.says(".state @2", "You look at the state behind nonce 2", "[@2] talk@")
	p.says("Counted", "40")
	p.says(".state", "talk@")
	p.types(".editor\r")
	p.sees("  1 ")
	p.types("local a = 5\r")
	p.sees("  2 ")
	p.types("return a * 3\r")
	p.sees("  3 ")
	p.says(".done", "15")
	p.says(".load-blueprint", "Blueprints: account, chat")
	p.says(".load-blueprint token", "")
	p.says("Ticker", "WLB")
	p.says(".handlers", "   1  _eval", "   3  info")
	p.says(".nope", "there is no command .nope")
	p.says(".help", "  .load FILE")
	p.types("\x04") // Ctrl-D
	if err := p.command.Wait(); err != nil {
		t.Errorf("it ends with %v", err)
	}
	// What was typed is there the next time.
	again := openTypist(t, "console", "talk")
	again.sees("> ")
	again.types("\x1b[A")
	again.sees(".help")
}

// TestConsoleOutlivesItsNode says so when the node goes, and goes on when it is back.
func TestConsoleOutlivesItsNode(t *testing.T) {
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	base := testport.Free(t, 10)
	n, dir := openAosNode(t, func(o *node.Options) { o.Modules, o.AnyPort, o.PortBase = nil, false, base })
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	mustRun(t, "console", "talk", "--run", "Kept = 5")
	p := openTypist(t, "console", "talk")
	p.sees("> ")
	url := n.Info().URLs.Gateway
	if err := n.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	p.sees("The node does not answer; this waits for it")
	p.says("Kept", "cannot reach a node at "+url, "Nothing is lost")
	again, err := node.Open(t.Context(), node.Options{DataDir: filepath.Join(dir, "data"), PortBase: base})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := again.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	p.says("Kept", "5")
}

// TestConsoleWithoutATerminal does what it is told by flags and pipes.
func TestConsoleWithoutATerminal(t *testing.T) {
	_, dir := openLuaNode(t)
	if got := mustRun(t, "console", "heart", "--cron", "1-second", "--tag-name", "Color", "--tag-value", "red", "--data", "hello", "--run",
		"return ao.env.Process.Tags.Color .. ' ' .. ao.env.Process.Tags['Cron-Interval']"); got != "red 1-second" {
		t.Error(got)
	}
	got := runCommand(t, "Beats = 0\nHandlers.add('cron', 'Cron', function()\n\tBeats = Beats + 1\n\tprint('beat')\nend)\n.unmonitor\nerror('no')\nreturn 'still here'\n", "console", "heart")
	// What crons cause is told on the way, so the last of it may come behind the answer.
	answers := regexp.MustCompile(`(?m)^(beat|New Message From .*)\n`).ReplaceAllString(got.stdout, "")
	if got.code != exitOK || !strings.Contains(got.stdout, "Its crons run no more.") || !strings.Contains(got.stdout, "Eval:1: no\n") || !strings.HasSuffix(answers, "still here\n") {
		t.Errorf("%+v", got)
	}
	if list := mustRun(t, "console", "--list"); !strings.HasSuffix(list, "  heart") {
		t.Error(list)
	}
	id := strings.Fields(mustRun(t, "console", "--list"))[0]
	for _, wrong := range []struct {
		args []string
		want string
	}{
		{[]string{"heart", "--cron", "1-minute"}, "is there already"},
		{[]string{"other", "--tag-name", "A"}, "each name takes a value"},
		{[]string{"other", "--cron", "0-seconds"}, "less than 1 second"},
		{[]string{"other", "--module", "none"}, "neither a module id"},
		{[]string{"heart", "--load", filepath.Join(dir, "none.lua")}, "no such file"},
		{[]string{"heart", "--run", "error('x')"}, "answered with an error"},
		{[]string{ao.ID{9}.String()}, "knows no process"},
	} {
		if got := runCommand(t, "", append([]string{"console"}, wrong.args...)...); got.code == exitOK || !strings.Contains(got.stderr, wrong.want) {
			t.Errorf("%v: %+v", wrong.args, got)
		}
	}
	// Somebody else's process is only looked at.
	other := runCommand(t, "Beats = 100; return Beats\n.dryrun\n", "console", id, "--wallet", filepath.Join(dir, "other.json"))
	if other.code != exitOK || !strings.Contains(other.stdout, "and not to your wallet") || !strings.Contains(other.stdout, "\n100\n") || !strings.Contains(other.stdout, "only with that wallet") {
		t.Errorf("%+v", other)
	}
	if got := mustRun(t, "console", "heart", "--run", "Beats < 100"); got != "true" {
		t.Error(got)
	}
	module := mustRun(t, "console", "heart", "--run", "ao.env.Module.Id")
	mustRun(t, "spawn", module, "--name", "heart")
	if got := runCommand(t, "", "console", "heart"); got.code != exitUsage || !strings.Contains(got.stderr, "2 processes of yours are called") {
		t.Errorf("%+v", got)
	}
}

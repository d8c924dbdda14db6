package main

import (
	"bufio"
	"context"
	_ "embed"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/internal/testport"
	"github.com/wallaby-ao/wallaby/internal/transcript"
	"github.com/wallaby-ao/wallaby/lua"
)

// asCommand has the test's binary be wallaby, so that what a page shows is run on
// the code that is tested.
const asCommand = "WALLABY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

//go:embed testdata/session.sh
var sessionShell string

// TestReadme runs every command of the README, and compares what it prints with what
// is shown. A block that is not run says why, above it.
func TestReadme(t *testing.T) {
	runPage(t, "README.md")
}

// TestPages does the same for pages that show what is done step by step.
func TestPages(t *testing.T) {
	for _, page := range []string{"AUDIT.md", "LOCAL.md", "EXAMPLES.md", "CONNECT.md"} {
		t.Run(page, func(t *testing.T) { runPage(t, filepath.Join("docs", page)) })
	}
}

// TestCommandsOfPagesExist holds every command and flag in the documentation to what
// there is, also where nothing is run.
func TestCommandsOfPagesExist(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join("..", "..", "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range append(pages, filepath.Join("..", "..", "README.md")) {
		for _, block := range readPage(t, page) {
			for _, step := range block.Steps {
				for _, command := range wallabyCommands(step.Command) {
					if err := commandExists(command); err != nil {
						t.Errorf("%s:%d: wallaby %s: %v", filepath.Base(page), step.Line, strings.Join(command, " "), err)
					}
				}
			}
		}
	}
}

func readPage(t *testing.T, page string) []transcript.Block {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := transcript.Read(string(text))
	if err != nil {
		t.Fatalf("%s: %v", page, err)
	}
	return blocks
}

var (
	invocation = regexp.MustCompile(`(?:^|[\s(/])wallaby ([a-z-][^#|;&)]*)`)
	argument   = regexp.MustCompile(`'[^']*'|"[^"]*"|\S+`)
)

// wallabyCommands are the arguments of every call of wallaby in a line of shell.
func wallabyCommands(line string) [][]string {
	var all [][]string
	for _, match := range invocation.FindAllStringSubmatch(line, -1) {
		args := argument.FindAllString(match[1], -1)
		for i, arg := range args {
			args[i] = strings.Trim(arg, `'"`)
		}
		all = append(all, args)
	}
	return all
}

func commandExists(args []string) error {
	root := (&app{}).command()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd == root {
		return fmt.Errorf("no such command")
	}
	return cmd.ParseFlags(rest)
}

// runPage runs a page's blocks, session by session.
func runPage(t *testing.T, page string) {
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("SKIPPED: there is no bash to run commands as they are shown")
	}
	aosModule(t)
	var session []transcript.Block
	finish := func() {
		if len(session) > 0 {
			blocks := session
			t.Run(fmt.Sprintf("line %d", blocks[0].Line), func(t *testing.T) {
				t.Parallel()
				runSession(t, blocks)
			})
		}
		session = nil
	}
	for _, block := range readPage(t, filepath.Join("..", "..", page)) {
		if block.Session {
			finish()
		}
		if block.NotRun == "" {
			session = append(session, block)
		}
	}
	finish()
}

// runSession runs blocks one after the other in one shell and one directory.
func runSession(t *testing.T, blocks []transcript.Block) {
	s := newShell(t)
	for _, block := range blocks {
		if block.Needs == "plugins" && !s.hasPlugins() {
			t.Skipf("SKIPPED: the block at line %d needs bin/wallaby-vm-wasmtime: run make plugins", block.Line)
		}
		if _, err := lua.Runtime(); block.Needs == "runtime" && err != nil {
			t.Skipf("SKIPPED: the block at line %d: %v", block.Line, err)
		}
		for _, step := range append(block.Before, block.Steps...) {
			output, status := s.run(step)
			if status != exitOK && (step.Want == nil || status != exitVerification) {
				t.Fatalf("line %d: %s\nended with %d and printed\n%s%s", step.Line, step.Command, status, output, s.complaint())
			}
			if step.Want == nil {
				continue
			}
			lines := strings.Split(output, "\n")
			if err := transcript.Compare(step.Want, lines); err != nil {
				t.Errorf("line %d: %s\n%v\nall of it:\n%s", step.Line, step.Command, err, output)
			}
			s.learn(step.Want, lines)
		}
	}
}

// shell is a session's directory and ports.
type shell struct {
	t      *testing.T
	dir    string
	source string
	ports  map[string]int    // the port of a page → the one it has here
	ids    map[string]string // an id of the page → the one it stands for
	stdin  io.Writer
	stdout *bufio.Reader
}

// documented are the ports at which a page's nodes begin.
var documented = []int{4000, 5000, 27000}

func newShell(t *testing.T) *shell {
	source, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	s := &shell{t: t, dir: t.TempDir(), source: source, ports: map[string]int{}, ids: map[string]string{}}
	bin := filepath.Join(s.dir, "bin")
	testBinary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	shim := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asCommand, testBinary)
	for _, err := range []error{
		os.Mkdir(bin, 0o700),
		os.WriteFile(filepath.Join(bin, "wallaby"), []byte(shim), 0o700),
		os.Mkdir(filepath.Join(s.dir, "testdata"), 0o700),
		os.Symlink(filepath.Join(source, "testdata", "modules"), filepath.Join(s.dir, "testdata", "modules")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, base := range documented {
		here := testport.Free(t, 30)
		for offset := range 30 {
			s.ports[strconv.Itoa(base+offset)] = here + offset
		}
	}
	first := strconv.Itoa(s.ports["4000"])
	s.start(append(os.Environ(),
		"PATH="+bin+":"+os.Getenv("PATH"),
		"FIRST_PORT="+first,
		"SOURCE="+source,
		"WALLABY_URL=http://127.0.0.1:"+first,
		"WALLABY_PLUGIN_DIR="+filepath.Join(source, "bin"),
		"WALLABY_WALLET="+filepath.Join(s.dir, "wallet.json"),
		"NO_COLOR=1",
	))
	return s
}

// sessionLimit is for a session in which something hangs.
const sessionLimit = 2 * time.Minute

// start starts the shell; it ends with the test, and with it what it has running.
func (s *shell) start(environ []string) {
	ctx, cancel := context.WithTimeout(context.Background(), sessionLimit)
	cmd := exec.CommandContext(ctx, "bash")
	cmd.Dir, cmd.Env = s.dir, environ
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	stdin, err := cmd.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		defer cancel()
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			s.t.Logf("the shell: %v", err)
		}
		// What a command left running is in the shell's group.
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	})
	s.stdin, s.stdout = stdin, bufio.NewReader(stdout)
	if _, err := io.WriteString(stdin, sessionShell); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shell) hasPlugins() bool {
	_, err := os.Stat(filepath.Join(s.source, "bin", "wallaby-vm-wasmtime"))
	return err == nil
}

var pagePort = regexp.MustCompile(`(127\.0\.0\.1:|--port-base )(\d+)`)

// here puts what this session has in place of a page's ports and ids; "TrGZ…" is the
// id that begins so.
func (s *shell) here(command string) string {
	command = pagePort.ReplaceAllStringFunc(command, func(found string) string {
		parts := pagePort.FindStringSubmatch(found)
		if port, ok := s.ports[parts[2]]; ok {
			return parts[1] + strconv.Itoa(port)
		}
		return found
	})
	for shown, id := range s.ids {
		command = strings.ReplaceAll(command, shown, id)
		command = strings.ReplaceAll(command, shown[:4]+"…", id)
	}
	return command
}

var anyID = regexp.MustCompile(`[A-Za-z0-9_-]{43}`)

// learn keeps which id of the page stands for which of this session.
func (s *shell) learn(want, got []string) {
	for i := range min(len(want), len(got)) {
		shown, ids := anyID.FindAllString(want[i], -1), anyID.FindAllString(got[i], -1)
		for k := range min(len(shown), len(ids)) {
			s.ids[shown[k]] = ids[k]
		}
	}
}

// run runs a step, and gives what it printed and how it ended.
func (s *shell) run(step transcript.Step) (string, int) {
	fmt.Fprintf(s.stdin, "{ %s\n} 2>stderr\nprintf '\\036%%d\\036' $?\n", s.here(step.Command))
	output, err := s.stdout.ReadString('\x1e')
	if err != nil {
		s.t.Fatalf("line %d: %s\nhas not ended; so far it printed\n%s%s", step.Line, step.Command, output, s.complaint())
	}
	ended, err := s.stdout.ReadString('\x1e')
	if err != nil {
		s.t.Fatal(err)
	}
	status, err := strconv.Atoi(strings.TrimSuffix(ended, "\x1e"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSuffix(output, "\x1e"), status
}

// complaint is what the last step wrote for people in trouble.
func (s *shell) complaint() string {
	text, _ := os.ReadFile(filepath.Join(s.dir, "stderr"))
	return string(text)
}

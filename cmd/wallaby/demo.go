package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/examples"
	"github.com/wallaby-ao/wallaby/lua"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "See in a minute what this is: a token, a crash, a proof",
		Long: `demo starts a node that is thrown away, builds a token, has two processes pay each
other, kills the node and starts it again, checks the token's history and runs it once
more on another machine. It tells what it does, and which commands do it. Nothing is
left behind.`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := lua.Runtime(); err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "wallaby-demo-")
			if err != nil {
				return fmt.Errorf("make a directory for the demo: %w", err)
			}
			d := &demo{app: a, dir: dir, begun: time.Now(), ids: map[string]string{}}
			defer func() {
				d.kill()
				os.RemoveAll(dir)
			}()
			return d.run(cmd.Context())
		},
	}
}

// demo is a node in a process of its own, and the commands that are shown on it.
type demo struct {
	*app
	dir   string
	url   string
	begun time.Time
	node  *exec.Cmd
	ids   map[string]string // of modules and processes, by their names in capitals
}

func (d *demo) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.build, d.begin, d.pay, d.crash, d.check} {
		if err := step(ctx); err != nil {
			return fmt.Errorf("the demo: %w", err)
		}
	}
	fmt.Fprintf(d.stdout, "\nAll of that took %.1f s. Now: wallaby dev, and wallaby init my-token.\n", time.Since(d.begun).Seconds())
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.stdout, "\n"+format+"\n", args...) }

// do shows a command, runs it and shows what it prints, which it gives.
func (d *demo) do(ctx context.Context, args ...string) (string, error) {
	var shown []string
	for _, arg := range args {
		if strings.ContainsAny(arg, " '") {
			arg = `"` + arg + `"`
		}
		shown = append(shown, arg)
	}
	fmt.Fprintln(d.stdout, "  $ wallaby", d.named(strings.Join(shown, " ")))
	printed, err := d.quietly(ctx, args...)
	for line := range strings.SplitSeq(printed, "\n") {
		if runes := []rune(line); len(runes) > shownRunes {
			line = string(runes[:shownRunes]) + "…"
		}
		if line != "" && args[0] != "send" { // what a message sends is told where it arrives
			fmt.Fprintln(d.stdout, "    "+strings.ReplaceAll(line, d.dir+"/", ""))
		}
	}
	return printed, err
}

// shownRunes is how much is shown of a line.
const shownRunes = 150

// named puts names in place of ids, as variables of a shell would.
func (d *demo) named(text string) string {
	for name, id := range d.ids {
		text = strings.ReplaceAll(text, id, "$"+name)
	}
	return strings.ReplaceAll(text, d.dir+"/", "")
}

// quietly runs a command of this program on the demo's node.
func (d *demo) quietly(ctx context.Context, args ...string) (string, error) {
	var out, errs strings.Builder
	all := append([]string{args[0], "--url", d.url, "--wallet", filepath.Join(d.dir, "wallet.json")}, args[1:]...)
	if code := run(ctx, all, strings.NewReader(""), &out, &errs); code != exitOK {
		return "", errors.New(strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// build starts the node and makes modules of the examples.
func (d *demo) build(ctx context.Context) error {
	d.say("1. A whole ao computer: scheduler, messenger, compute unit and gateway, in one process.")
	if err := d.start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(d.stdout, "  %s\n", d.url)
	d.say("2. A token and an account, written in Lua. No compiler makes modules of them.")
	if err := os.CopyFS(d.dir, examples.Files); err != nil {
		return fmt.Errorf("copy the examples: %w", err)
	}
	for _, name := range []string{"token", "account"} {
		if _, err := d.do(ctx, "build", filepath.Join(d.dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// begin publishes the modules and spawns the processes.
func (d *demo) begin(ctx context.Context) error {
	d.say("3. Three processes: the token, and two accounts.")
	modules := map[string]string{}
	for _, name := range []string{"token", "account"} {
		id, err := d.do(ctx, "publish", filepath.Join(d.dir, name, "process.wasm"))
		if err != nil {
			return err
		}
		modules[name], d.ids[strings.ToUpper(name)+"_MODULE"] = id, id
	}
	for _, one := range [][2]string{{"token", "token"}, {"alice", "account"}, {"bob", "account"}} {
		id, err := d.do(ctx, "spawn", modules[one[1]], "--name", one[0])
		if err != nil {
			return err
		}
		d.ids[strings.ToUpper(one[0])] = id
	}
	return nil
}

func (d *demo) id(name string) string { return d.ids[strings.ToUpper(name)] }

// pay has the accounts pay each other. Each payment is a message of an account's owner to
// it, one from it to the token, and two notices.
func (d *demo) pay(ctx context.Context) error {
	d.say("4. Alice is given a million, and they pay each other. The token tells both.")
	token, alice, bob := d.id("token"), d.id("alice"), d.id("bob")
	if _, err := d.do(ctx, "send", token, "--action", "Mint", "--tag", "Quantity=1000000", "--tag", "Recipient="+alice, "--wait"); err != nil {
		return err
	}
	for _, p := range [][3]string{{alice, bob, "250"}, {alice, bob, "100"}, {bob, alice, "30"}} {
		if _, err := d.do(ctx, "send", p[0], "--action", "Pay", "--tag", "Token="+token, "--tag", "Recipient="+p[1], "--tag", "Quantity="+p[2], "--wait"); err != nil {
			return err
		}
	}
	if err := d.until(ctx, token, "Balances['"+bob+"'] or '0'", "320"); err != nil {
		return err
	}
	_, err := d.do(ctx, "eval", d.id("bob"), "#Received .. ' payments received'")
	return err
}

// until waits until an expression has a value.
func (d *demo) until(ctx context.Context, process, expression, want string) error {
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		got, err := d.quietly(ctx, "eval", process, expression)
		if err == nil && got == want {
			_, err = d.do(ctx, "eval", process, expression)
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is %q and not %q: %w", expression, got, want, errors.Join(err, errors.New("waited half a minute")))
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// crash kills the node and starts it again.
func (d *demo) crash(ctx context.Context) error {
	d.say("5. The node is killed, as a power cut would, and started again. Nothing is lost.")
	fmt.Fprintln(d.stdout, "  $ kill -9", d.node.Process.Pid)
	d.kill()
	if err := d.start(ctx); err != nil {
		return err
	}
	return d.until(ctx, d.id("token"), "Balances['"+d.id("bob")+"'] or '0'", "320")
}

// check verifies the token's history and replays it on a second machine.
func (d *demo) check(ctx context.Context) error {
	d.say("6. Is it right? The token's history, every signature checked, and run again elsewhere.")
	file := filepath.Join(d.dir, "token.aolog")
	if _, err := d.do(ctx, "import", d.id("token"), "--from", d.url, "--module", "--out", file); err != nil {
		return err
	}
	if _, err := d.do(ctx, "verify", file); err != nil {
		return err
	}
	machine, err := d.second(ctx)
	if err != nil {
		return err
	}
	_, err = d.do(ctx, "replay", d.id("token"), "--vm", "wazero,"+machine)
	return err
}

// second names the machine to replay on: another engine if there is a plugin of one.
func (d *demo) second(ctx context.Context) (string, error) {
	text, err := d.quietly(ctx, "vm", "list", "-o", "json")
	var machines []machineInfo
	if err == nil {
		err = json.Unmarshal([]byte(text), &machines)
	}
	if err != nil {
		return "", err
	}
	for _, m := range machines {
		if m.Name == "wasmtime" && m.Problem == "" {
			return m.Name, nil
		}
	}
	return "wazero-interpreter", nil
}

// start starts the node, on the ports that it had before if it had any.
func (d *demo) start(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	port, err := d.port()
	if err != nil {
		return err
	}
	node := exec.CommandContext(ctx, self, "dev", "--data-dir", filepath.Join(d.dir, "data"), "--port-base", strconv.Itoa(port), "--log-level", "error")
	node.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := node.StdoutPipe()
	if err != nil {
		return err
	}
	var complaint strings.Builder
	node.Stderr = &complaint
	if err := node.Start(); err != nil {
		return fmt.Errorf("start a node: %w", err)
	}
	d.node, d.url = node, fmt.Sprintf("http://127.0.0.1:%d", port)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "const ao = connect") {
			go io.Copy(io.Discard, out) //nolint:errcheck // it ends with the node
			return nil
		}
	}
	return fmt.Errorf("the node ended: %s", strings.TrimSpace(complaint.String()))
}

// port finds ports that nobody listens on.
func (d *demo) port() (int, error) {
	if d.url != "" {
		return strconv.Atoi(d.url[strings.LastIndex(d.url, ":")+1:])
	}
	for port := 24000; port < 60000; port += 100 {
		free := true
		for offset := range 10 {
			listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+offset))
			if err != nil {
				free = false
				break
			}
			listener.Close()
		}
		if free {
			return port, nil
		}
	}
	return 0, errors.New("there are no ten free ports in a row")
}

// kill ends the node at once, as nothing else would.
func (d *demo) kill() {
	if d.node == nil {
		return
	}
	_ = d.node.Process.Kill() // it may have ended
	_ = d.node.Wait()         // it was killed
	d.node = nil
}

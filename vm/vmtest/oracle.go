package vmtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// Oracle is ao's reference loader with one module, in a node process.
type Oracle struct {
	in  io.WriteCloser
	out *bufio.Reader
}

// Reply is what the reference loader did with one message.
type Reply struct {
	// Text is the guest's whole answer, as it wrote it.
	Text string `json:"text"`
	// Thrown is the loader's error, or "".
	Thrown string `json:"thrown"`
	// Gas is what the loader counted.
	Gas uint64 `json:"gas"`
	// Microseconds is the time that the loader took.
	Microseconds float64 `json:"us"`
}

// OracleOptions say how the reference loader runs.
type OracleOptions struct {
	Module, Format string
	GasLimit       uint64
	// KeepMemory leaves the memory in the instance from message to message,
	// which is the loader's fastest way and cannot undo a failed message.
	KeepMemory bool
}

// here is the directory of this package.
func here() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Dir(file)
}

// ModulePath gives the path of a module that "make modules" fetches, and skips
// the test when it is not there.
func ModulePath(tb testing.TB, name string) string {
	tb.Helper()
	path := filepath.Join(here(), "..", "..", "testdata", "modules", name)
	if _, err := os.Stat(path); err != nil {
		tb.Skipf("SKIPPED: %s is missing: run make modules, which needs npm", path)
	}
	return path
}

// StartOracle starts the reference loader, and skips the test when node or the
// loader is not there.
func StartOracle(tb testing.TB, o OracleOptions) *Oracle {
	tb.Helper()
	dir := filepath.Join(here(), "oracle")
	node, err := exec.LookPath("node")
	if err != nil {
		tb.Skip("SKIPPED: node is not installed, so nothing can be compared with ao's reference loader")
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "@permaweb", "ao-loader")); err != nil {
		tb.Skip("SKIPPED: @permaweb/ao-loader is not installed: run npm ci in vm/vmtest/oracle")
	}
	command := exec.Command(node, "--no-warnings", "--experimental-wasm-memory64", "oracle.mjs")
	command.Dir, command.Stderr = dir, os.Stderr
	in, err := command.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := command.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := command.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		_ = in.Close()
		stuck := time.AfterFunc(10*time.Second, func() { _ = command.Process.Kill() })
		defer stuck.Stop()
		_ = command.Wait()
	})
	oracle := &Oracle{in: in, out: bufio.NewReader(out)}
	setup := map[string]any{"module": o.Module, "format": o.Format, "gasLimit": o.GasLimit, "unsafe": o.KeepMemory}
	if _, err := oracle.ask(setup); err != nil {
		tb.Fatalf("start the reference loader with %s: %v", o.Module, err)
	}
	return oracle
}

// Handle gives the loader a message.
func (o *Oracle) Handle(message, env []byte) (Reply, error) {
	return o.ask(map[string]any{"message": string(message), "env": string(env)})
}

// Save writes the memory that the loader has after its last message to a file. It
// needs a loader that does not keep it in the instance.
func (o *Oracle) Save(path string) error {
	_, err := o.ask(map[string]any{"save": path})
	return err
}

func (o *Oracle) ask(question any) (Reply, error) {
	line, err := json.Marshal(question)
	if err != nil {
		return Reply{}, err
	}
	if _, err := o.in.Write(append(line, '\n')); err != nil {
		return Reply{}, fmt.Errorf("write to the reference loader: %w", err)
	}
	answer, err := o.out.ReadBytes('\n')
	if err != nil {
		return Reply{}, fmt.Errorf("read from the reference loader: %w", err)
	}
	var reply Reply
	if err := json.Unmarshal(answer, &reply); err != nil {
		return Reply{}, fmt.Errorf("read from the reference loader: %w", err)
	}
	return reply, nil
}

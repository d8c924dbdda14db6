package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/internal/measure"
)

// LogPeers is the binary that measures other replicated logs.
type LogPeers struct {
	binary string
	names  []string
}

// ErrPeersMissing is returned when the binary of the peers is not there.
var ErrPeersMissing = errors.New("the peers were not measured: make peers builds bin/wallaby-peers")

// OpenLogPeers asks the binary at path which peers it has.
func OpenLogPeers(ctx context.Context, path string) (*LogPeers, error) {
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%w (there is none at %s)", ErrPeersMissing, path)
	}
	p := &LogPeers{binary: path}
	if err := runJSON(ctx, &p.names, path, "list"); err != nil {
		return nil, err
	}
	return p, nil
}

// Names lists the peers there are.
func (p *LogPeers) Names() []string { return p.names }

// Run measures one peer in a process of its own.
func (p *LogPeers) Run(ctx context.Context, name string, load LogLoad) (result measure.Result, err error) {
	err = runJSON(ctx, &result, p.binary,
		"-dir", load.Dir, "-clients", strconv.Itoa(load.Clients), "-bytes", strconv.Itoa(itemBytes),
		"-seconds", number(load.Seconds), "-warm-up", number(load.WarmUp), "-spare", strconv.Itoa(LogSpare), name)
	if err == nil && result.Count == 0 {
		err = fmt.Errorf("%s counted nothing", name)
	}
	return result, err
}

// LogSpare is how many processors Go's scheduler gets for each core in every
// process of this benchmark, ours and a peer's; see procs.Spare.
const LogSpare = 4

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// runJSON runs a command and decodes what it prints. What the command says on
// its standard error is part of the error.
func runJSON(ctx context.Context, to any, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = cancelPatience
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("run %s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	if err := json.Unmarshal(out, to); err != nil {
		return fmt.Errorf("read what %s %s printed: %w: %.100q", name, strings.Join(args, " "), err, out)
	}
	return nil
}

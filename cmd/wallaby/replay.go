package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) replayCommand() *cobra.Command {
	var machines []string
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay PROCESS|FILE.aolog",
		Short: "Run a process's whole log again, on several virtual machines at once",
		Long: `replay has the node run a process from its beginning on each machine side by side.
Every result is compared with those of the others and with what the node has
stored, and now and then the whole states. It ends at the first that differs, with
exit code 3. Nothing is stored. Ask the node on its own machine.

Of a history file, replay runs everything itself and needs no node. --against
compares each result with what a compute unit says, or a file of results; gas is
not compared, since metering is not a part of the protocol. --results writes every
result as it comes; a replay that was stopped goes on when it is told the same file
again. Signatures are not checked: run wallaby verify.`,
		Example: `  wallaby replay PID --vm wazero
  wallaby replay PID --vm wazero,wasmer,wasmtime
  wallaby replay history.aolog --against http://127.0.0.1:4000
  wallaby replay history.aolog --vm wasmtime --results results.jsonl`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if isFile(args[0]) {
				f.machines = machines
				return a.replayHistory(cmd.Context(), args[0], f)
			}
			if f.fileOnly() {
				return usageError{fmt.Errorf("--against, --results and --module are for history files, and there is no file %s", args[0])}
			}
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			state, err := a.replay(cmd.Context(), process, machines)
			if err != nil {
				return err
			}
			if err := a.printReplay(state); err != nil {
				return err
			}
			if state.Divergence != nil {
				return verificationError{fmt.Errorf("the replay differs at nonce %d", state.Divergence.Nonce)}
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&machines, "vm", []string{"wazero"}, "`NAMES` of virtual machines, of wallaby vm list")
	f.add(cmd.Flags())
	return cmd
}

// replay follows the node's lines to the last.
func (a *app) replay(ctx context.Context, process ao.ID, machines []string) (engine.Replay, error) {
	var state engine.Replay
	target := strings.TrimRight(a.url, "/") + node.PathReplay + "?" + url.Values{"process": {process.String()}, "vm": machines}.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return state, usageError{err}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return state, fmt.Errorf("ask %s for a replay: %w: is the node running?", a.url, err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var line node.ReplayLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || response.StatusCode != http.StatusOK {
			return state, fmt.Errorf("%s", refusalText(lines.Bytes(), line.Error))
		}
		if line.Error != "" {
			return state, errors.New(line.Error)
		}
		state = line.Replay
		fmt.Fprintf(a.stderr, "\rwallaby: %d messages", state.Messages)
	}
	fmt.Fprintln(a.stderr)
	if err := lines.Err(); err != nil {
		return state, fmt.Errorf("read the replay: %w", err)
	}
	if !state.Done {
		return state, errors.New("the node went away in the middle of the replay")
	}
	return state, nil
}

func refusalText(body []byte, decoded string) string {
	if decoded != "" {
		return decoded
	}
	return strings.TrimSpace(string(body))
}

func (a *app) printReplay(state engine.Replay) error {
	if a.output == outputJSON {
		return a.printJSON(state)
	}
	var rows [][]string
	for _, m := range state.Machines {
		rate := "-"
		if m.Seconds > 0 {
			rate = strconv.FormatFloat(float64(state.Messages)/m.Seconds, 'f', 0, 64)
		}
		rows = append(rows, []string{m.VM, strconv.FormatUint(state.Messages, 10), rate, m.Results.String(), orUnknown(m.Root)})
	}
	if err := a.printTable([]string{"VM", "MESSAGES", "PER SECOND", "RESULTS", "STATE ROOT"}, rows); err != nil {
		return err
	}
	d := state.Divergence
	if d == nil {
		fmt.Fprintln(a.stdout, "\nequal: every result, and the state at the end")
		return nil
	}
	fmt.Fprintf(a.stdout, "\nnonce %d, message %s\n%s: %s\n%s: %s\n", d.Nonce, d.Message, d.VM, d.Result, d.Against, d.Wanted)
	return nil
}

package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) vmSetCommand() *cobra.Command {
	var shadow uint64
	var dir string
	cmd := &cobra.Command{
		Use:   "set PROCESS VM",
		Short: "Have this node run a process on another virtual machine",
		Long: `set has a node run a process on another virtual machine from its next message on.
Other nodes go on as they do: results are the same on all machines.

With --shadow N both run the next N messages, and the other takes over only if
every result and every state is the same. If one is not, the process stays where
it is, and wallaby vm show says what differed. A node that starts again begins to
count anew.

Only the node's operator may do this: --data-dir is the node's, with its admin
token.`,
		Example: "  wallaby vm set PID wasmtime --shadow 100\n  wallaby vm set PID wazero --data-dir n1/data --url http://127.0.0.1:4000",
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			query := url.Values{"process": {process.String()}, "vm": {args[1]}, "shadow": {strconv.FormatUint(shadow, 10)}}
			var state engine.MachineChoice
			if err := a.ask(cmd.Context(), dir, node.PathSetMachine, query, &state); err != nil {
				return err
			}
			return a.printMachine(state)
		},
	}
	cmd.Flags().Uint64Var(&shadow, "shadow", 0, "compare both on `N` messages first")
	cmd.Flags().StringVar(&dir, "data-dir", ".wallaby", "the node's `DIR`")
	return cmd
}

func (a *app) vmShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show PROCESS",
		Short:   "Show the virtual machine that a process runs on, and how a comparison goes",
		Example: "  wallaby vm show PID",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			var state engine.MachineChoice
			target := strings.TrimRight(a.url, "/") + node.PathMachine + "?process=" + process.String()
			if err := connect.New(a.url).Do(cmd.Context(), http.MethodGet, target, "", nil, &state); err != nil {
				return err
			}
			return a.printMachine(state)
		},
	}
}

func (a *app) printMachine(state engine.MachineChoice) error {
	if a.output == outputJSON {
		return a.printJSON(state)
	}
	fmt.Fprintf(a.stdout, "%s runs on %s\n", state.Process, state.VM)
	if state.Candidate != "" {
		fmt.Fprintf(a.stdout, "%s runs beside it and has agreed on %d of %d messages\n", state.Candidate, state.Agreed, state.Shadow)
	}
	if state.Refused != "" {
		fmt.Fprintf(a.stdout, "not taken: %s\n", state.Refused)
	}
	if f := state.Failure; f != nil {
		fmt.Fprintf(a.stdout, "no result at nonce %d: the virtual machine was lost twice (%s), %d times so far; it is tried again\n", f.Nonce, f.Reason, f.Times)
	}
	return nil
}

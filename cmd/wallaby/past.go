package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
)

// parsePlace reads PROCESS, PROCESS@NONCE or PROCESS@NONCE.TICK; a nil place is the
// newest.
func parsePlace(text string) (process ao.ID, at *connect.Place, err error) {
	id, place, past := strings.Cut(text, "@")
	if process, err = parseProcess(id); err != nil || !past {
		return process, nil, err
	}
	at = &connect.Place{}
	nonce, tick, ticks := strings.Cut(place, ".")
	if at.Nonce, err = strconv.ParseUint(nonce, 10, 64); err == nil && ticks {
		at.Tick, err = strconv.ParseUint(tick, 10, 64)
	}
	if err != nil {
		return process, nil, usageError{fmt.Errorf("place %q: write PROCESS@NONCE, or PROCESS@NONCE.TICK for a tick of crons behind it", text)}
	}
	return process, at, nil
}

func (a *app) stateCommand() *cobra.Command {
	var save string
	cmd := &cobra.Command{
		Use:   "state PROCESS[@NONCE]",
		Short: "Show the root of a process's state behind any message, and save its memory",
		Long: `state shows the root of a process's state: behind its newest message, behind an
earlier one, or with PROCESS@NONCE.TICK behind a tick of crons there. A state of the
past is made from the nearest snapshot below it; the process goes on meanwhile.`,
		Example: "  wallaby state PID@100\n  wallaby state PID@100 --save memory.bin",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			root, err := a.client().Root(cmd.Context(), process, at)
			if err != nil {
				return err
			}
			if save != "" {
				if err := a.saveState(cmd.Context(), process, &connect.Place{Nonce: root.Nonce, Tick: root.Tick}, save); err != nil {
					return err
				}
			}
			if a.output == outputJSON {
				return a.printJSON(root)
			}
			snapshot := "no"
			if root.Snapshot {
				snapshot = "yes"
			}
			return a.printFields([][2]string{
				{"process", root.Process.String()}, {"nonce", strconv.FormatUint(root.Nonce, 10)}, {"tick", strconv.FormatUint(root.Tick, 10)},
				{"state root", root.Root.String()}, {"fingerprint", root.Fingerprint.String()}, {"snapshot", snapshot},
			})
		},
	}
	cmd.Flags().StringVar(&save, "save", "", "write the raw memory to this `FILE`")
	return cmd
}

func (a *app) saveState(ctx context.Context, process ao.ID, at *connect.Place, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("save the state: %w", err)
	}
	size, err := a.client().State(ctx, process, at, file)
	if closeErr := file.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("save the state: %w", closeErr)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "%d bytes of memory are in %s\n", size, path)
	return nil
}

func (a *app) evalCommand() *cobra.Command {
	var owner string
	cmd := &cobra.Command{
		Use:   "eval PROCESS[@NONCE] EXPRESSION",
		Short: "Ask an aos process for the value of a Lua expression, behind any message",
		Long: `eval has an aos process evaluate Lua in a copy of its state, as its owner would by
sending it an Eval: behind its newest message, or behind an earlier one. Nothing is
signed or sent, and nothing changes.`,
		Example: "  wallaby eval PID 'Balances'\n  wallaby eval PID@100 '#Inbox'",
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, at, err := parsePlace(args[0])
			if err != nil {
				return err
			}
			as := owner
			if as == "" {
				if as, err = a.ownerOf(cmd.Context(), process); err != nil {
					return err
				}
			}
			draft, err := a.messageDraft(process, nil, "Eval", args[1])
			if err != nil {
				return err
			}
			result, err := a.client().DryRunAt(cmd.Context(), process, at, dryRunRequest(process, as, draft))
			if err != nil {
				return err
			}
			return a.printResult(result)
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "`ADDRESS` to ask as (default the process's owner); nothing is signed")
	return cmd
}

// ownerOf gives the address that a process takes for its owner's.
func (a *app) ownerOf(ctx context.Context, process ao.ID) (string, error) {
	owner, err := a.client().Owner(ctx, process)
	if ao.CodeOf(err) == ao.CodeNotFound {
		forks, forksErr := a.forks(ctx)
		for _, f := range forks {
			if f.ID == process {
				return a.ownerOf(ctx, f.Process)
			}
		}
		err = errors.Join(err, forksErr)
	}
	return owner, err
}

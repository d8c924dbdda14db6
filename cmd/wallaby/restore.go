package main

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) restoreCommand() *cobra.Command {
	var (
		from      string
		processes []string
		options   node.RestoreOptions
		logs      nodeFlags
	)
	cmd := &cobra.Command{
		Use:   "restore --from arweave --gateway URL",
		Short: "Bring a node's processes back from the weave, onto an empty disk",
		Long: `restore finds every assignment of a scheduler at a gateway, gets what was assigned,
checks all signatures, nonces and hash chains, and makes a node's log of it again. Start
the node on the directory afterwards: it replays the processes, comes to the same
results and states, and goes on with the next nonces. Interrupted, run it again.

The directory must hold the wallets that the node had, in wallets/scheduler.json and
wallets/authority.json, and nothing else: whoever lacks the scheduler's key cannot go on
with its processes.

What was acknowledged and not uploaded yet is lost, and its nonces are given again: wallaby
status shows how much that would be. Not on the weave are pinned modules, which are named,
whose crons are monitored and which ticks were skipped, and processes that have changed
their group; a node that is restored is alone.`,
		Example: "  wallaby restore --from arweave --gateway https://arweave.net --data-dir .wallaby",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if from != fromArweave {
				return usageError{fmt.Errorf("say where from: --from arweave, not %q", from)}
			}
			if options.Gateway == "" {
				return usageError{errors.New("name the gateway with --gateway URL")}
			}
			for _, text := range processes {
				process, err := parseProcess(text)
				if err != nil {
					return err
				}
				options.Processes = append(options.Processes, process)
			}
			if options.Logger, err = newLogger(a.stderr, logs.logFormat, logs.logLevel); err != nil {
				return usageError{err}
			}
			bar := a.newBar("restore")
			defer bar.close()
			places, before := uint64(0), map[ao.ID]uint64{}
			options.Progress = func(one node.RestoredProcess) {
				places, before[one.Process] = places+one.Nonce+1-before[one.Process], one.Nonce+1
				bar.show(places, 0)
			}
			restored, err := node.Restore(cmd.Context(), options)
			bar.close()
			if err != nil {
				return err
			}
			return a.printRestored(restored, options.DataDir)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&from, "from", "", "where from: `arweave`")
	flags.StringVar(&options.Gateway, "gateway", "", "the gateway's `URL`")
	flags.StringVar(&options.Scheduler, "scheduler", "", "refuse unless the key in the directory is that of this `ADDRESS`")
	flags.StringSliceVar(&processes, "process", nil, "bring back only this `PROCESS` (repeatable)")
	flags.StringVar(&options.DataDir, "data-dir", ".wallaby", "make a node's `DIR` of this one, which holds its wallets")
	logs.registerLog(flags)
	return cmd
}

func (a *app) printRestored(restored node.Restored, dir string) error {
	if a.output == outputJSON {
		return a.printJSON(restored)
	}
	var rows [][]string
	for _, one := range restored.Processes {
		rows = append(rows, []string{one.Process.String(), strconv.FormatUint(one.Nonce, 10)})
	}
	if err := a.printTable([]string{"PROCESS", "NEWEST NONCE"}, rows); err != nil {
		return err
	}
	told := map[string]bool{}
	for _, one := range restored.Processes {
		for _, missing := range one.Missing {
			if !told[missing] {
				told[missing] = true
				fmt.Fprintf(a.stdout, "missing: %s\n", missing)
			}
		}
	}
	fmt.Fprintf(a.stdout, "%s holds the log of scheduler %s: start the node on it\n", dir, restored.Scheduler)
	return nil
}

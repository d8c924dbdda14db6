package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/bench"
)

// replayParts are what bench replay measures.
var replayParts = []string{"verify", "replay", "checkpoint"}

func (a *app) benchReplayCommand() *cobra.Command {
	var (
		flags          benchFlags
		messages, cold int
		verify         []int
		only           string
	)
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Verifying and replaying a history, and cold starts from a checkpoint",
		Long: `replay measures what an audit and a cold start cost: checking every signature of a
history, beside checking signatures and nothing else; replaying an aos process,
beside the reference loader and the virtual machine alone; and, of a process with
many short messages, how long a node with nothing but its log takes to the newest
result, from the whole log and from a checkpoint.`,
		Example: `  wallaby bench replay
  wallaby bench replay --only verify --verify 10000,100000`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if only != "" && !slices.Contains(replayParts, only) {
				return usageError{fmt.Errorf("--only is one of %s", strings.Join(replayParts, ", "))}
			}
			if messages < 1 || cold < 1 || slices.ContainsFunc(verify, func(n int) bool { return n < 1 }) {
				return usageError{fmt.Errorf("--messages, --cold and --verify must be at least 1")}
			}
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			var rows []bench.Row
			for _, part := range replayParts {
				if only != "" && part != only {
					continue
				}
				more, err := a.benchReplayPart(cmd.Context(), part, bench.NodeOptions{Dir: dir, Module: flags.module, Replay: messages, Progress: a.progress}, verify, cold)
				if err != nil {
					return err
				}
				rows = append(rows, more...)
			}
			return a.printReport(rows)
		},
	}
	flags.register(cmd, true)
	_ = cmd.Flags().MarkHidden("seconds")
	cmd.Flags().IntVar(&messages, "messages", 10_000, "messages of the aos process that is replayed")
	cmd.Flags().IntSliceVar(&verify, "verify", []int{10_000}, "messages of the histories that are verified (repeatable)")
	cmd.Flags().IntVar(&cold, "cold", 1_000_000, "short messages of the process that is started from a checkpoint")
	cmd.Flags().StringVar(&only, "only", "", "measure one `PART`: "+strings.Join(replayParts, ", "))
	return cmd
}

func (a *app) benchReplayPart(ctx context.Context, part string, o bench.NodeOptions, verify []int, cold int) (rows []bench.Row, err error) {
	switch part {
	case "verify":
		for _, messages := range verify {
			more, err := bench.Verify(ctx, messages, a.progress)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
		return rows, nil
	case "replay":
		return bench.Replay(ctx, o)
	}
	return bench.ColdStart(ctx, bench.ColdStartOptions{Dir: o.Dir, Messages: cold, Progress: o.Progress})
}

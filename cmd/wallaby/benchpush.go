package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/bench"
	"github.com/wallaby-ao/wallaby/internal/procs"
)

func (a *app) benchPushCommand() *cobra.Command {
	var (
		flags   benchFlags
		options bench.PushOptions
	)
	cmd := &cobra.Command{
		Use:   "push",
		Short: "Messages from process to process: hops a second through a ring, and how long a hop takes",
		Long: `push has tokens go round a ring of aos processes, on one node and on three. A
hop is an evaluation, a signed message and its place in the next process's log,
on disk. Beside it stands how fast one node evaluates a single process whose
messages are all in its log, and, with --idle, the same ring in a node that also
holds so many processes that nobody uses. The three nodes run here, on one disk
and these cores.`,
		Example: "  wallaby bench push --idle 10000 --seconds 5",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Processes < 2 || options.Idle < 0 || options.Messages < 1 || len(options.Tokens) == 0 {
				return usageError{errors.New("a ring has two processes or more and some tokens; messages are counted from 1, idle processes from 0")}
			}
			for _, tokens := range options.Tokens {
				if tokens < 1 {
					return usageError{errors.New("--tokens are numbers from 1 on")}
				}
			}
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			// Several nodes flush in this one process.
			procs.Spare(4)
			options.Dir, options.Module, options.Seconds, options.Progress = dir, flags.module, flags.seconds, a.progress
			rows, err := bench.Push(cmd.Context(), options)
			if err != nil {
				return err
			}
			return a.printReport(rows)
		},
	}
	flags.register(cmd, true)
	cmd.Flags().IntVar(&options.Processes, "processes", 100, "processes in the ring")
	cmd.Flags().IntSliceVar(&options.Tokens, "tokens", []int{1, 100}, "tokens that go round at once, for each load")
	cmd.Flags().IntVar(&options.Idle, "idle", 100_000, "processes beside the ring that nobody uses; 0 leaves that load out")
	cmd.Flags().IntVar(&options.Messages, "messages", 3000, "messages of the single process")
	return cmd
}

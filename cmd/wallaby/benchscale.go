package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/bench"
	"github.com/wallaby-ao/wallaby/internal/procs"
)

func (a *app) benchScaleCommand() *cobra.Command {
	var (
		flags   benchFlags
		options bench.ScaleOptions
	)
	cmd := &cobra.Command{
		Use:   "scale",
		Short: "A large log: many processes, bytes on the disk, opening it again",
		Long: `scale measures appends to many processes beside a few, the bytes that appends put
on the disk, and how long a node takes to open a log of many messages: after
kill -9, after a close in good order, and without its index. It needs about 2 GB
of scratch space.`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if options.Only != "" && !slices.Contains(bench.ScaleParts, options.Only) {
				return usageError{fmt.Errorf("--only is one of %s", strings.Join(bench.ScaleParts, ", "))}
			}
			if options.Messages < 1 || options.Processes < 1 || options.Clients < 1 {
				return usageError{fmt.Errorf("--messages, --processes and --clients must be at least 1")}
			}
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			if options.Binary, err = os.Executable(); err != nil {
				return fmt.Errorf("find this binary: %w", err)
			}
			options.Dir, options.Seconds, options.Progress = dir, flags.seconds, a.progress
			rows, err := bench.Scale(cmd.Context(), options)
			if err != nil {
				return err
			}
			return a.printReport(rows)
		},
	}
	flags.register(cmd, false)
	cmd.Flags().IntVar(&options.Clients, "clients", 256, "how many append at once")
	cmd.Flags().IntVar(&options.Processes, "processes", 100_000, "processes of the large log")
	cmd.Flags().IntVar(&options.Messages, "messages", 1_000_000, "messages of the log that is opened again")
	cmd.Flags().StringVar(&options.Only, "only", "", "measure one `PART`: "+strings.Join(bench.ScaleParts, ", "))
	return cmd
}

// benchFillCommand is what bench scale starts and kills.
func (a *app) benchFillCommand() *cobra.Command {
	var (
		dir      string
		messages int
	)
	cmd := &cobra.Command{
		Use:    "fill",
		Short:  "Fill a log and wait to be killed",
		Hidden: true,
		Args:   exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			procs.Spare(2) // as for a node
			procs.RoomyHeap(procs.HeapBytes)
			return bench.Fill(cmd.Context(), dir, messages, a.stdout)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "where the log is")
	cmd.Flags().IntVar(&messages, "messages", 1000, "how many messages")
	_ = cmd.MarkFlagRequired("dir")
	return cmd
}

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/bench"
	"github.com/wallaby-ao/wallaby/internal/procs"
)

// benchFlags are common to all benchmarks.
type benchFlags struct {
	dir     string
	module  string
	seconds float64
}

func (a *app) benchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure this machine with wallaby, and its peers beside it",
		Long: `bench measures in the same run, on the same disk, what wallaby does and what a
peer does. A ratio above 1 means that wallaby is better. Use a quiet machine.`,
	}
	cmd.AddCommand(
		a.benchNodeCommand(), a.benchReplayCommand(), a.benchLuaCommand(), a.benchVMCommand(), a.benchAppendsCommand(), a.benchSequencingCommand(), a.benchLogCommand(),
		a.benchMemoryCommand(), a.benchPushCommand(), a.benchScaleCommand(), a.benchLogLoadCommand(), a.benchFillCommand(),
	)
	return cmd
}

func (f *benchFlags) register(cmd *cobra.Command, module bool) {
	cmd.Flags().StringVar(&f.dir, "dir", "", "scratch `DIR` on the disk to measure (default a temporary one)")
	cmd.Flags().Float64Var(&f.seconds, "seconds", 10, "how long each load runs")
	if module {
		cmd.Flags().StringVar(&f.module, "module", "testdata/modules/aos2_0_6.wasm", "aos module `FILE`; make modules fetches some")
	}
}

// scratch makes a directory that is removed at the end.
func (f *benchFlags) scratch() (dir string, remove func(), err error) {
	if f.module != "" {
		if err := checkModule(f.module); err != nil {
			return "", nil, err
		}
	}
	procs.Spare(2) // as for a node
	procs.RoomyHeap(procs.HeapBytes)
	dir, err = os.MkdirTemp(f.dir, "wallaby-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("make a scratch directory: %w", err)
	}
	return dir, func() { os.RemoveAll(dir) }, nil
}

func checkModule(path string) error {
	if _, err := os.Stat(path); err != nil {
		return ao.Errorf(ao.CodeNotFound, "there is no module at %s: run make modules, or name one with --module", path)
	}
	return nil
}

// printReport prints rows, and below them what else is to be said.
func (a *app) printReport(rows []bench.Row, notes ...string) error {
	report := bench.NewReport()
	report.Add(rows...)
	report.Notes = notes
	return a.print(report)
}

func (a *app) print(report *bench.Report) error {
	if a.output == outputJSON {
		return report.WriteJSON(a.stdout)
	}
	return report.WriteTable(a.stdout)
}

func (a *app) progress(what string) { fmt.Fprintf(a.stderr, "wallaby: measuring %s\n", what) }

func (a *app) benchNodeCommand() *cobra.Command {
	var (
		flags  benchFlags
		replay int
	)
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Evals a second from post to result, and a cold start, beside the reference loader",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			var loads []bench.Load
			for _, processes := range []int{1, 64} {
				for _, clients := range []int{1, 16, 256} {
					loads = append(loads, bench.Load{Clients: clients, Processes: processes})
				}
			}
			rows, err := bench.Node(cmd.Context(), bench.NodeOptions{
				Dir: dir, Module: flags.module, Seconds: flags.seconds, Loads: loads, Replay: replay, Progress: a.progress,
			})
			if err != nil {
				return err
			}
			a.progress("durable appends")
			appends, err := bench.Appends(cmd.Context(), filepath.Join(dir, "appends"), 256, flags.seconds)
			if err != nil {
				return err
			}
			return a.printReport(append(rows, appends...))
		},
	}
	flags.register(cmd, true)
	cmd.Flags().IntVar(&replay, "replay", 10_000, "messages of the cold start")
	return cmd
}

func (a *app) benchAppendsCommand() *cobra.Command {
	var (
		flags   benchFlags
		clients int
	)
	cmd := &cobra.Command{
		Use:   "appends",
		Short: "Durable appends a second, beside badger and the raw disk",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			rows, err := bench.Appends(cmd.Context(), dir, clients, flags.seconds)
			if err != nil {
				return err
			}
			return a.printReport(rows)
		},
	}
	flags.register(cmd, false)
	cmd.Flags().IntVar(&clients, "clients", 256, "how many append at once")
	return cmd
}

func (a *app) benchSequencingCommand() *cobra.Command {
	var (
		flags   benchFlags
		clients []int
		modes   []string
		plot    string
	)
	cmd := &cobra.Command{
		Use:   "sequencing",
		Short: "What each mode of sequencing costs here, and which to take for what",
		Long: `sequencing measures the same signed messages, verified, ordered, signed and
flushed by one node and by several that replicate their log. All of them run
here, on one disk and these cores: machines of their own share neither.

--plot also draws latency over rate, for each mode, as SVG.`,
		Example: "  wallaby bench sequencing --plot sequencing.svg",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			chosen, err := bench.FindSequencingModes(modes)
			if err == nil {
				err = checkPlot(plot)
			}
			if err != nil {
				return usageError{err}
			}
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			// Several nodes flush in this one process.
			procs.Spare(4)
			procs.RoomyHeap(procs.HeapBytes)
			runs, err := bench.Sequencing(cmd.Context(), bench.SequencingOptions{
				Dir: dir, Seconds: flags.seconds, Clients: clients, Modes: chosen, Progress: a.progress,
			})
			if err != nil {
				return err
			}
			return a.reportSequencing(runs, plot)
		},
	}
	flags.register(cmd, false)
	cmd.Flags().IntSliceVar(&clients, "clients", []int{1, 16, 256}, "clients at once")
	cmd.Flags().StringSliceVar(&modes, "modes", bench.SequencingModeNames(), "`MODES` to measure; the others are put beside the first")
	cmd.Flags().StringVar(&plot, "plot", "", "also draw a plot into this `FILE.svg`")
	return cmd
}

// checkPlot says before anything is measured that a plot cannot be written.
func checkPlot(path string) error {
	if path == "" {
		return nil
	}
	if filepath.Ext(path) != ".svg" {
		return fmt.Errorf("--plot %s: plots are written as SVG, so name a file that ends in .svg", path)
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("--plot %s: there is no directory %s", path, filepath.Dir(path))
	}
	return nil
}

// reportSequencing prints what was measured with advice, and draws it.
func (a *app) reportSequencing(runs []bench.SequencingRun, plot string) error {
	report := bench.NewReport()
	report.Add(bench.SequencingRows(runs)...)
	report.Advice = bench.SequencingAdvice(runs)
	if plot != "" {
		if err := os.WriteFile(plot, bench.SequencingPlot(report.Machine, runs), 0o644); err != nil {
			return fmt.Errorf("write the plot: %w", err)
		}
		fmt.Fprintf(a.stderr, "wallaby: the plot is in %s\n", plot)
	}
	return a.print(report)
}

func (a *app) benchMemoryCommand() *cobra.Command {
	var (
		flags          benchFlags
		processes, hot int
	)
	cmd := &cobra.Command{
		Use:   "memory",
		Short: "Resident memory of a node with many processes",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if hot < 1 || processes < hot {
				return usageError{errors.New("--processes must be at least --hot, and --hot at least 1")}
			}
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			binary, err := os.Executable()
			if err != nil {
				return fmt.Errorf("find this binary: %w", err)
			}
			rows, err := bench.Memory(cmd.Context(), bench.MemoryOptions{
				Dir: dir, Binary: binary, Module: flags.module, Processes: processes, Hot: hot, Progress: a.progress,
			})
			if err != nil {
				return err
			}
			return a.printReport(rows)
		},
	}
	flags.register(cmd, true)
	cmd.Flags().IntVar(&processes, "processes", 10_000, "processes in all")
	cmd.Flags().IntVar(&hot, "hot", 10, "aos processes in use")
	return cmd
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/bench"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wasm"
)

func (a *app) benchVMCommand() *cobra.Command {
	var (
		flags         benchFlags
		rounds        int
		modules, dirs []string
		out, format   string
	)
	cmd := &cobra.Command{
		Use:   "vm",
		Short: "Virtual machines on the work of an aos process, beside the reference loader",
		Long: `vm has every virtual machine that wallaby vm list shows but the interpreter do the
same work, in turns, and the reference loader in its mode without copies. It also
measures how long each takes to begin: to compile, to load what is compiled, to boot,
to save a state and to go on from it. Figures are over all rounds; all answers must be
equal. A machine that cannot run a module is left out of that module's rows.

--out writes a report that opens in any browser, without a network, and prints well
(report.html), and the figures as results.txt, as results.json, and for benchstat.`,
		Example: "  make plugins && wallaby bench vm\n  wallaby bench vm --rounds 20 --out report",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkVMFlags(modules, format, out); err != nil {
				return err
			}
			dir, remove, err := flags.scratch()
			if err != nil {
				return err
			}
			defer remove()
			result, err := bench.VM(cmd.Context(), bench.VMOptions{
				Dir: dir, Modules: modules, Format: format, Plugins: plugin.Find(pluginDirs(dirs)...), Rounds: max(1, rounds), Progress: a.progress,
				BuiltIn: "wazero " + moduleVersion("github.com/tetratelabs/wazero") + ", compiler",
			})
			if err != nil {
				return err
			}
			return a.reportVM(result, out)
		},
	}
	flags.register(cmd, false)
	_ = cmd.Flags().MarkHidden("seconds")
	cmd.Flags().StringArrayVar(&modules, "module", []string{"testdata/modules/aos2_0_6.wasm", "testdata/modules/sqlite.wasm"}, "aos module `FILE` (repeatable); make modules fetches some")
	cmd.Flags().StringVar(&format, "format", "", "run the modules as this Module-Format (default what they look like): only metered ones report gas")
	cmd.Flags().IntVar(&rounds, "rounds", 5, "how often the machines take turns")
	cmd.Flags().StringArrayVar(&dirs, "plugin-dir", nil, "look for plugins in this `DIR`, too (repeatable)")
	cmd.Flags().StringVar(&out, "out", "", "also write a report into this `DIR`")
	return cmd
}

// checkVMFlags says before anything is measured what cannot be done.
func checkVMFlags(modules []string, format, out string) error {
	if format != "" && !slices.Contains(wasm.Formats(), format) {
		return usageError{fmt.Errorf("--format %s: no machine runs that; there are %s", format, strings.Join(wasm.Formats(), ", "))}
	}
	if info, err := os.Stat(out); err == nil && !info.IsDir() {
		return usageError{fmt.Errorf("--out %s: that is a file, and a report is a directory: name another, or move the file away", out)}
	}
	if _, err := bench.VMModuleNames(modules); err != nil {
		return usageError{fmt.Errorf("--module: %w", err)}
	}
	for _, path := range modules {
		if err := checkModule(path); err != nil {
			return err
		}
	}
	if out == "" {
		return nil
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return fmt.Errorf("--out: make the directory: %w", err)
	}
	return nil
}

// reportVM prints what was measured, and writes a report of it.
func (a *app) reportVM(result *bench.VMResult, out string) error {
	report := bench.NewReport()
	report.Date = time.Now().UTC().Format(time.DateTime + " UTC")
	report.Engines, report.Notes = result.Engines, result.Notes
	report.Add(result.Rows()...)
	if err := a.print(report); err != nil || out == "" {
		return err
	}
	if err := bench.WriteVMReport(out, report, result); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "wallaby: the report is in %s\n", filepath.Join(out, "report.html"))
	return nil
}

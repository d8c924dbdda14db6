// Command wallaby is a whole ao computer: the node, and the tools that speak
// to one.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/project"
)

// Exit codes, the same for every command.
const (
	exitOK           = 0
	exitError        = 1
	exitUsage        = 2
	exitVerification = 3
	exitNotFound     = 4
	exitTimeout      = 5
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is main without the process around it, so that tests call the same code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	app := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	root := app.command()
	unmarkIDs(root)
	root.SetArgs(markIDs(root, args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	code := exitCode(err)
	if wrong, ok := errors.AsType[*project.CompileError](err); ok {
		fmt.Fprintln(stderr, wrong.Printed)
		err = fmt.Errorf("%s could not compile the project", wrong.Compiler)
	}
	fmt.Fprintf(stderr, "wallaby: %s\n", oneLine(err))
	return code
}

// usageError is a command line that cannot be carried out as written.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	if _, ok := errors.AsType[verificationError](err); ok {
		return exitVerification
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return exitTimeout
	}
	switch ao.CodeOf(err) {
	case ao.CodeNotFound:
		return exitNotFound
	case ao.CodeTimeout:
		return exitTimeout
	}
	return exitError
}

// oneLine keeps an error to one line, so that scripts and people see it whole.
func oneLine(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// app is what all commands share: where they read and write, and the flags
// that say which node and wallet they use.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	output         string
	url            string
	wallet         string
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "wallaby",
		Short: "The ao computer in one binary",
		Long: `wallaby is a whole ao computer in one binary: scheduler, compute unit,
messenger and Arweave gateway, and the tools that speak to them.

Start with "wallaby dev": a node of your own on this machine, which aoconnect
and aos can use at once. Every flag can also be set in the environment, as
WALLABY_ and its name in capitals: WALLABY_URL, WALLABY_PORT_BASE.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			if err := setFlagsFromEnvironment(cmd.Flags()); err != nil {
				return usageError{err}
			}
			if a.output != outputTable && a.output != outputJSON {
				return usageError{fmt.Errorf("-o must be %s or %s, not %q", outputTable, outputJSON, a.output)}
			}
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", outputTable, "how to print: table for people, json for scripts")
	flags.StringVar(&a.url, "url", "http://127.0.0.1:4000", "the node's gateway `URL`")
	flags.StringVar(&a.wallet, "wallet", defaultWallet(), "your wallet `FILE` (JWK); made on first use")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(
		a.devCommand(), a.nodeCommand(), a.clusterCommand(), a.routerCommand(),
		a.demoCommand(), a.initCommand(), a.buildCommand(), a.runCommand(), a.testCommand(), a.publishCommand(), a.spawnCommand(), a.sendCommand(),
		a.resultCommand(), a.resultsCommand(), a.dryrunCommand(), a.stateCommand(), a.evalCommand(), a.forkCommand(), a.consoleCommand(),
		a.processesCommand(), a.processCommand(), a.evidenceCommand(), a.logCommand(), a.statusCommand(),
		a.traceCommand(), a.outboxCommand(),
		a.monitorCommand(), a.unmonitorCommand(), a.cronCommand(),
		a.importCommand(), a.verifyCommand(), a.replayCommand(), a.diffCommand(), a.proofCommand(),
		a.checkpointCommand(), a.checkpointsCommand(), a.restoreCommand(),
		a.vmCommand(), a.walletCommand(), a.benchCommand(), a.versionCommand(),
	)
	return root
}

// setFlagsFromEnvironment gives flags that were not set their WALLABY_ value.
func setFlagsFromEnvironment(flags *pflag.FlagSet) error {
	var first error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "WALLABY_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := os.LookupEnv(name)
		if f.Changed || !ok || first != nil {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			first = fmt.Errorf("environment %s=%q: %w", name, value, err)
		}
	})
	return first
}

// exactArgs is cobra.ExactArgs with the usage line in its error, because the
// name of what is missing says more than a count.
func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return usageError{fmt.Errorf("want %d argument(s), got %d: %s", n, len(args), cmd.UseLine())}
		}
		return nil
	}
}

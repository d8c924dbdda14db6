package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/project"
	"github.com/wallaby-ao/wallaby/trial"
)

func (a *app) testCommand() *cobra.Command {
	var match string
	var verbose bool
	cmd := &cobra.Command{
		Use:   "test [DIR]",
		Short: "Run the tests of a process, which are written in Lua",
		Long: `test makes the module of a project and runs its tests, which are the Lua files whose
names end in _test.lua and those in test/. Each test has a world of its own, in memory:
a clock that moves when the test says so, keys that follow from names, and no network.
docs/LOCAL.md says what tests can do.`,
		Example: "  wallaby test\n  wallaby test my-token --run transfer",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			pattern, err := regexp.Compile(match)
			if err != nil {
				return usageError{fmt.Errorf("--run: %w", err)}
			}
			p, err := project.Open(dir)
			if err != nil {
				return err
			}
			machines, err := a.localMachines()
			defer func() {
				for _, machine := range machines {
					err = errors.Join(err, machine.Close())
				}
			}()
			if err != nil {
				return err
			}
			all := []trial.Outcome{}
			tests := trial.Tests{
				Project: p, Driver: machines[0], Module: localModule, Match: pattern.MatchString,
				Report: func(o trial.Outcome) {
					all = append(all, o)
					if a.output != outputJSON {
						a.printOutcome(o, verbose)
					}
				},
			}
			passed, failed, err := tests.Run(cmd.Context())
			if err != nil {
				return fmt.Errorf("test %s: %w", dir, err)
			}
			if a.output == outputJSON {
				err = a.printJSON(all)
			} else {
				fmt.Fprintf(a.stdout, "%d passed, %d failed\n", passed, failed)
			}
			if err == nil && failed > 0 {
				err = fmt.Errorf("%d of %d tests failed", failed, passed+failed)
			}
			if err == nil && passed == 0 {
				err = fmt.Errorf("no test is called %q", match)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&match, "run", "", "run the tests whose names match the `PATTERN`, a regular expression")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "show what tests print that pass, too")
	return cmd
}

func (a *app) printOutcome(o trial.Outcome, verbose bool) {
	word := "ok   "
	if o.Failure != "" {
		word = "FAIL "
	}
	fmt.Fprintf(a.stdout, "%s %s (%d ms)\n", word, o.Name, o.Took.Milliseconds())
	if o.Failure == "" && !verbose {
		return
	}
	for _, text := range o.Printed {
		fmt.Fprintln(a.stdout, indented(text))
	}
	if o.Failure != "" {
		fmt.Fprintln(a.stdout, indented(o.Failure))
		for _, line := range o.Trace {
			fmt.Fprintln(a.stdout, indented("  "+line))
		}
	}
}

func indented(text string) string { return "      " + strings.ReplaceAll(text, "\n", "\n      ") }

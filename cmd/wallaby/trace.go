package main

import (
	"net/url"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) traceCommand() *cobra.Command {
	var depth int
	var root bool
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Show what became of a message, and of all that it caused",
		Long: `trace follows a message: its place in a log, its evaluation, what that sent, where
each of these got a place, and so on. A time with + is since the step that caused
this one; what another node delivered counts from when the message got its place,
since each node evaluates for itself. ID is a message, an assignment, a process (its spawn) or an effect of the
outbox, PROCESS/NONCE/INDEX. With --root it begins at the message of a user from
which all descends.`,
		Example: `  wallaby trace ID
  wallaby trace ID --root --depth 20`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			query := url.Values{"id": {args[0]}, "depth": {strconv.Itoa(depth)}, "root": {strconv.FormatBool(root)}}
			var trace node.Trace
			if err := a.read(cmd.Context(), node.PathTrace, query, &trace); err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(trace)
			}
			return drawTrace(a.stdout, trace)
		},
	}
	cmd.Flags().IntVar(&depth, "depth", node.TraceDepth, "how many levels to follow")
	cmd.Flags().BoolVar(&root, "root", false, "begin at the message from which it descends")
	return cmd
}

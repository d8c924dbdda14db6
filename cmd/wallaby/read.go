package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/node"
)

// client speaks to all units of the node at --url.
func (a *app) client() *connect.Client { return connect.New(a.url) }

// read gets one of the node's own answers.
func (a *app) read(ctx context.Context, path string, query url.Values, to any) error {
	client := a.client()
	return client.Do(ctx, http.MethodGet, client.Gateway+path+"?"+query.Encode(), "", nil, to)
}

// nodeInfo asks the node what it is.
func (a *app) nodeInfo(ctx context.Context) (info node.Info, err error) {
	err = a.read(ctx, node.PathInfo, nil, &info)
	return info, err
}

// nodeProcesses lists the node's processes.
func (a *app) nodeProcesses(ctx context.Context, after string, limit int) (list []node.ProcessInfo, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if after != "" {
		query.Set("after", after)
	}
	err = a.read(ctx, node.PathProcesses, query, &list)
	return list, err
}

func (a *app) resultCommand() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "result PROCESS [MESSAGE]",
		Short: "Show what evaluating a message gave; without MESSAGE, the boot result",
		Args:  cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			message := process
			if len(args) == 2 {
				if message, err = ao.ParseID(args[1]); err != nil {
					return usageError{fmt.Errorf("message: %w", err)}
				}
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
			defer cancel()
			result, err := a.client().Result(ctx, process, message)
			if errors.Is(err, context.DeadlineExceeded) {
				return fmt.Errorf("no result within %s; ask for longer with --timeout: %w", timeout, err)
			}
			if err != nil {
				return err
			}
			return a.printResult(result)
		},
	}
	cmd.Flags().DurationVar(&timeout, "timeout", time.Minute, "how long to wait for the evaluation")
	return cmd
}

func (a *app) resultsCommand() *cobra.Command {
	var query connect.ResultsQuery
	var descending bool
	cmd := &cobra.Command{
		Use:   "results PROCESS",
		Short: "List the results of a process, a page at a time",
		Example: `  wallaby results PID --desc --limit 5
  wallaby results PID --from CURSOR`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			query.Sort = "ASC"
			if descending {
				query.Sort = "DESC"
			}
			page, err := a.client().Results(cmd.Context(), process, query)
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(page)
			}
			rows := make([][]string, 0, len(page.Edges))
			for _, edge := range page.Edges {
				rows = append(rows, []string{
					edge.Cursor, strconv.Itoa(len(edge.Node.Messages)), strconv.Itoa(len(edge.Node.Spawns)),
					clip(outputText(edge.Node.Output), 60),
				})
			}
			if err := a.printTable([]string{"CURSOR", "MESSAGES", "SPAWNS", "OUTPUT"}, rows); err != nil {
				return err
			}
			if page.PageInfo.HasNextPage {
				fmt.Fprintln(a.stderr, "more: repeat with --from and the last cursor")
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&query.From, "from", "", "list what comes after this `CURSOR`")
	flags.StringVar(&query.To, "to", "", "list up to and with this `CURSOR`")
	flags.IntVar(&query.Limit, "limit", 25, "results a page")
	flags.BoolVar(&descending, "desc", false, "newest first")
	return cmd
}

func (a *app) dryrunCommand() *cobra.Command {
	var (
		tagFlags            []string
		action, data, owner string
	)
	cmd := &cobra.Command{
		Use:     "dryrun PROCESS",
		Short:   "Ask a process without leaving a trace in it",
		Example: `  wallaby dryrun PID --action Balance --tag Target=ADDRESS`,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			draft, err := a.messageDraft(process, tagFlags, action, data)
			if err != nil {
				return err
			}
			result, err := a.client().DryRun(cmd.Context(), process, dryRunRequest(process, owner, draft))
			if err != nil {
				return err
			}
			return a.printResult(result)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&tagFlags, "tag", nil, "add a tag `NAME=VALUE` (repeatable)")
	flags.StringVar(&action, "action", "", "the message's `ACTION`")
	flags.StringVar(&data, "data", " ", "data, or @FILE, or - for standard input")
	flags.StringVar(&owner, "owner", "1234", "`ADDRESS` to ask as; nothing is signed")
	return cmd
}

// dryRunRequest fills in what aoconnect does when nobody says otherwise.
func dryRunRequest(process ao.ID, owner string, draft dataitem.Draft) connect.DryRunRequest {
	id, anchor, target, data := "1234", "0", process.String(), string(draft.Data)
	return connect.DryRunRequest{ID: &id, Target: &target, Owner: owner, Anchor: &anchor, Data: &data, Tags: draft.Tags}
}

func (a *app) processesCommand() *cobra.Command {
	var limit int
	var after string
	cmd := &cobra.Command{
		Use:   "processes",
		Short: "List the processes of the node",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := a.nodeProcesses(cmd.Context(), after, limit)
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(list)
			}
			rows := make([][]string, 0, len(list))
			for _, p := range list {
				evaluated := "-"
				if p.Evaluated != nil {
					evaluated = strconv.FormatUint(*p.Evaluated, 10)
				}
				rows = append(rows, []string{p.ID.String(), p.Name, strconv.FormatUint(p.Nonce, 10), evaluated, p.Module, p.Owner})
			}
			return a.printTable([]string{"PROCESS", "NAME", "NONCE", "EVALUATED", "MODULE", "OWNER"}, rows)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", 100, "how many to list")
	cmd.Flags().StringVar(&after, "after", "", "list those after this `PROCESS`")
	return cmd
}

func (a *app) logCommand() *cobra.Command {
	var from, limit int64
	cmd := &cobra.Command{
		Use:     "log PROCESS",
		Short:   "Show the log of a process: every message with its place",
		Example: `  wallaby log PID --from 10 --limit 5`,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			list, err := a.client().Schedule(cmd.Context(), process, from, limit)
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(list)
			}
			rows := make([][]string, 0, len(list.Edges))
			for _, edge := range list.Edges {
				rows = append(rows, logRow(edge.Node))
			}
			if err := a.printTable([]string{"NONCE", "TIME (UTC)", "MESSAGE", "ACTION", "FROM", "HASH CHAIN"}, rows); err != nil {
				return err
			}
			if list.PageInfo.HasNextPage {
				fmt.Fprintf(a.stderr, "more: repeat with --from %d\n", from+limit)
			}
			return nil
		},
	}
	cmd.Flags().Int64Var(&from, "from", 0, "first `NONCE`")
	cmd.Flags().Int64Var(&limit, "limit", 100, "how many entries")
	return cmd
}

func logRow(node connect.MessageJSON) []string {
	assignment := node.Assignment.Tags
	ms, _ := strconv.ParseInt(assignment.Get(ao.TagTimestamp), 10, 64)
	id, action, from := assignment.Get(ao.TagMessage), "(assigned)", "-"
	if node.Message != nil {
		id, action, from = node.Message.ID, node.Message.Tags.Get("Action"), node.Message.Owner.Address
		if node.Message.Tags.Contains(ao.TagType, ao.TypeProcess) {
			action = "(process)"
		}
		if sender, ok := node.Message.Tags.Lookup(ao.TagFromProcess); ok {
			from = sender
		}
	}
	return []string{assignment.Get(ao.TagNonce), formatTimeMS(ms), id, action, from, assignment.Get(ao.TagHashChain)}
}

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the node: addresses, modules and how far evaluation is",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			info, err := a.nodeInfo(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(info)
			}
			fields := [][2]string{
				{"version", info.Version},
				{"gateway", info.URLs.Gateway}, {"messenger", info.URLs.MU},
				{"scheduler", info.URLs.SU}, {"compute unit", info.URLs.CU},
				{"scheduler address", info.Scheduler}, {"authority address", info.Authority},
				{"hot processes", fmt.Sprintf("%d, %d bytes", info.Engine.HotProcesses, info.Engine.HotBytes)},
				{"outbox", fmt.Sprintf("%d to deliver, %d parked, %d dead", info.Engine.OutboxPending, info.Engine.OutboxParked, info.Engine.OutboxDead)},
			}
			if s := info.Settlement; s != nil {
				fields = append(fields, settlementFields(*s)...)
			}
			for _, module := range info.Modules {
				fields = append(fields, [2]string{"module " + module.Name, module.ID})
			}
			return a.printFields(fields)
		},
	}
}

func clip(s string, max int) string {
	if runes := []rune(s); len(runes) > max {
		return string(runes[:max]) + "…"
	}
	return s
}

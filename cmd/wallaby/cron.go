package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) monitorCommand() *cobra.Command {
	var skip bool
	var dir string
	cmd := &cobra.Command{
		Use:   "monitor PROCESS",
		Short: "Have a process's crons run, and what they send delivered",
		Long: `monitor has the node run a process's crons as their time comes, and deliver what
they send from now on, until wallaby unmonitor. It goes on after restarts, and in a
cluster on whichever node leads.

A process that nobody monitors has its crons run when it gets a message, or when
somebody asks for their results: all that were due until then. With --skip those
are left out. Only the node's operator may do that: --data-dir is the node's, with
its admin token.`,
		Example: "  wallaby monitor PID\n  wallaby monitor PID --skip",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			if skip {
				info, err := a.crons(cmd.Context(), process)
				if err == nil && info.Behind > 0 {
					err = a.skipCrons(cmd.Context(), dir, process)
				}
				if err != nil {
					return err
				}
			}
			return a.setMonitor(cmd.Context(), process, true)
		},
	}
	cmd.Flags().BoolVar(&skip, "skip", false, "leave out what is due by now")
	cmd.Flags().StringVar(&dir, "data-dir", ".wallaby", "the node's `DIR`, for --skip")
	return cmd
}

func (a *app) unmonitorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "unmonitor PROCESS",
		Short: "End what wallaby monitor began",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			return a.setMonitor(cmd.Context(), process, false)
		},
	}
}

func (a *app) setMonitor(ctx context.Context, process ao.ID, on bool) error {
	signer, err := a.signer()
	if err != nil {
		return err
	}
	change := a.client().Unmonitor
	if on {
		change = a.client().Monitor
	}
	if err := change(ctx, process, signer); err != nil {
		return err
	}
	if a.output == outputJSON {
		return a.printJSON(map[string]any{"process": process, "monitored": on})
	}
	if on {
		fmt.Fprintf(a.stdout, "the crons of %s run, and what they send is delivered\n", process)
	} else {
		fmt.Fprintf(a.stdout, "the crons of %s do not run by themselves any more\n", process)
	}
	return nil
}

func (a *app) cronCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cron",
		Short: "Look at processes' crons, and leave ticks out",
	}
	cmd.AddCommand(a.cronListCommand(), a.cronSkipCommand())
	return cmd
}

func (a *app) cronListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list [PROCESS]",
		Short: "List processes with crons: who is monitored, how far they are, what is due next",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var list []node.CronsInfo
			var err error
			if len(args) == 1 {
				var process ao.ID
				if process, err = parseProcess(args[0]); err != nil {
					return err
				}
				list = make([]node.CronsInfo, 1)
				list[0], err = a.crons(cmd.Context(), process)
			} else {
				list, err = a.allCrons(cmd.Context())
			}
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(list)
			}
			rows := make([][]string, 0, len(list))
			for _, info := range list {
				rows = append(rows, cronsRow(info))
			}
			return a.printTable([]string{"PROCESS", "NAME", "CRONS", "MONITORED", "EVALUATED UP TO (UTC)", "BEHIND", "NEXT (UTC)"}, rows)
		},
	}
}

func cronsRow(info node.CronsInfo) []string {
	monitored, evaluated, next := "no", "-", "-"
	if info.Watched {
		monitored = "yes"
	}
	if info.EvaluatedMS > 0 {
		evaluated = formatTimeMS(info.EvaluatedMS)
	}
	if info.NextMS > 0 {
		next = formatTimeMS(info.NextMS)
	}
	return []string{info.Process.String(), info.Name, strings.Join(info.Crons, " "), monitored, evaluated, strconv.FormatUint(info.Behind, 10), next}
}

// crons asks how one process's crons stand.
func (a *app) crons(ctx context.Context, process ao.ID) (info node.CronsInfo, err error) {
	client := a.client()
	err = client.Do(ctx, http.MethodGet, client.Gateway+node.PathCrons+"?process="+process.String(), "", nil, &info)
	return info, err
}

// allCrons asks page by page.
func (a *app) allCrons(ctx context.Context) (list []node.CronsInfo, err error) {
	client := a.client()
	list = []node.CronsInfo{}
	for query := (url.Values{}); ; {
		var page node.CronsPage
		if err := client.Do(ctx, http.MethodGet, client.Gateway+node.PathCrons+"?"+query.Encode(), "", nil, &page); err != nil {
			return nil, err
		}
		list = append(list, page.Processes...)
		if page.After == "" {
			return list, nil
		}
		query.Set("after", page.After)
	}
}

func (a *app) cronSkipCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "skip PROCESS",
		Short: "Leave out the ticks of a process that are due and not evaluated",
		Long: `skip leaves out the ticks of a process that are due by now and not evaluated, on
every node and for good, instead of catching up with them. Ticks before a message
that is in the log already cannot be left out: the message's result depends on them.

Only the node's operator may do this: --data-dir is the node's, with its admin
token.`,
		Example: "  wallaby cron skip PID",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			return a.skipCrons(cmd.Context(), dir, process)
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", ".wallaby", "the node's `DIR`")
	return cmd
}

func (a *app) skipCrons(ctx context.Context, dir string, process ao.ID) error {
	var skipped node.SkippedCrons
	if err := a.ask(ctx, dir, node.PathSkipCrons, url.Values{"process": {process.String()}}, &skipped); err != nil {
		return err
	}
	if a.output == outputJSON {
		return a.printJSON(skipped)
	}
	fmt.Fprintf(a.stdout, "%d ticks of %s are left out, those due from %s to %s\n",
		skipped.Skipped, process, formatTimeMS(skipped.FromMS), formatTimeMS(skipped.UntilMS))
	return nil
}

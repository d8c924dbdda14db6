package main

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) checkpointCommand() *cobra.Command {
	var upload bool
	var dir string
	cmd := &cobra.Command{
		Use:   "checkpoint PROCESS",
		Short: "Sign a process's state and put it where compute units find it",
		Long: `checkpoint packs the memory of a process as it is behind its newest message, and
signs it with the tags of the reference compute unit, which can take it up, and with
the state's root. It goes into the node's own gateway, and with --upload to where the
node settles: an upload that is cut off goes on after a restart.

There is at most one of a process in 30 minutes. Asking again shows how far the
upload of the newest has come, as long as there is no newer message. Only the node's
operator may do this: --data-dir is the node's, with its admin token.`,
		Example: "  wallaby checkpoint PID --upload",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			var made node.MadeCheckpoint
			query := url.Values{"process": {process.String()}, "upload": {strconv.FormatBool(upload)}}
			if err := a.ask(cmd.Context(), dir, node.PathCheckpoint, query, &made); err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(made)
			}
			state := string(made.Upload)
			if state == "" {
				state = "not wanted"
			}
			return a.printFields([][2]string{
				{"checkpoint", made.ID.String()},
				{"process", made.Process.String()},
				{"nonce", strconv.FormatUint(made.Nonce, 10)},
				{"made", formatTimeMS(made.AtMS)},
				{"bytes", strconv.Itoa(made.Bytes)},
				{"state root", made.StateRoot.String()},
				{"upload", state},
			})
		},
	}
	cmd.Flags().BoolVar(&upload, "upload", false, "upload it to where the node settles")
	cmd.Flags().StringVar(&dir, "data-dir", ".wallaby", "the node's `DIR`")
	return cmd
}

func (a *app) checkpointsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoints PROCESS",
		Short: "List checkpoints of a process, and say which hold",
		Long: `checkpoints lists what the node's gateway and those it was started with (--gateway,
--settle-gateway) have of a process. Of the ten newest whose owners the node trusts, its
own and those of --trust-checkpoints, it says whether they hold: the signature, the hash
of the memory, the place in the node's own log, and the root of the state that the memory
makes, also against the node's own. Ask the node on its own machine.`,
		Example: "  wallaby checkpoints PID",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			var list node.CheckpointList
			target := strings.TrimRight(a.url, "/") + node.PathCheckpoints + "?process=" + process.String()
			if err := connect.New(a.url).Do(cmd.Context(), http.MethodGet, target, "", nil, &list); err != nil {
				return err
			}
			return a.printCheckpoints(list)
		},
	}
}

func (a *app) printCheckpoints(list node.CheckpointList) error {
	if a.output == outputJSON {
		return a.printJSON(list)
	}
	var rows [][]string
	for _, c := range list.Checkpoints {
		where, verdict := c.Gateway, "yes"
		if where == "" {
			where = "(own)"
		}
		if !c.Trusted {
			verdict = "no"
		}
		if c.Why != "" {
			verdict += ": " + c.Why
		}
		rows = append(rows, []string{c.ID.String(), strconv.FormatUint(c.Nonce, 10), formatTimeMS(c.TimestampMS), strconv.FormatUint(c.Bytes, 10), c.Owner, where, verdict})
	}
	if err := a.printTable([]string{"CHECKPOINT", "NONCE", "STATE OF (UTC)", "BYTES", "OWNER", "GATEWAY", "TRUSTED"}, rows); err != nil {
		return err
	}
	for gateway, why := range list.Unreached {
		fmt.Fprintf(a.stderr, "wallaby: gateway %s was not asked: %s\n", gateway, why)
	}
	return nil
}

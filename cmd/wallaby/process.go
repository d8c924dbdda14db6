package main

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/ao"
	aohttp "github.com/wallaby-ao/wallaby/http"
	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) processCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "process",
		Short: "Look at one process",
	}
	cmd.AddCommand(a.sequencingCommand())
	return cmd
}

func (a *app) sequencingCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sequencing PROCESS",
		Short: "Show who orders a process, what that survives, and who could cheat",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := ao.ParseID(args[0])
			if err != nil {
				return usageError{err}
			}
			var info node.SequencingInfo
			target := strings.TrimRight(a.url, "/") + node.PathSequencing + "?" + url.Values{"process": {process.String()}}.Encode()
			if err := aohttp.NewClient(a.url).Do(cmd.Context(), http.MethodGet, target, "", nil, &info); err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(info)
			}
			leader := info.Leader
			if leader == "" {
				leader = "(nobody at the moment)"
			}
			return a.printFields([][2]string{
				{"process", info.Process.String()},
				{"mode", info.Mode},
				{"epoch", strconv.FormatUint(info.Epoch, 10)},
				{"newest nonce", strconv.FormatUint(info.Nonce, 10)},
				{"group", strconv.FormatUint(uint64(info.Group), 10)},
				{"voters", strings.Join(info.Voters, " ")},
				{"leader", leader},
				{"survives the loss of", strconv.Itoa(info.Survives) + " of " + strconv.Itoa(len(info.Voters)) + " nodes with their disks"},
				{"can equivocate", "who holds the key of " + strings.Join(info.Equivocators, ", ")},
			})
		},
	}
}

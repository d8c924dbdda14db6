package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) processCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "process",
		Short: "Look at one process",
	}
	cmd.AddCommand(a.authoritiesCommand(), a.sequencingCommand(), a.setSequencingCommand(), a.attestationsCommand(), a.checkAttestationsCommand())
	return cmd
}

func (a *app) sequencingCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sequencing PROCESS",
		Short: "Show who orders a process, what that survives, and who could cheat",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			info, err := a.sequencing(cmd.Context(), process)
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(info)
			}
			leader := info.Leader
			if leader == "" {
				leader = "(nobody at the moment)"
			}
			fields := [][2]string{
				{"process", info.Process.String()},
				{"mode", info.Mode.String()},
				{"epoch", strconv.FormatUint(info.Epoch, 10)},
				{"newest nonce", strconv.FormatUint(info.Nonce, 10)},
				{"group", strconv.FormatUint(uint64(info.Group), 10)},
				{"voters", strings.Join(info.Voters, " ")},
				{"leader", leader},
				{"survives the loss of", strconv.Itoa(info.Survives) + " of " + strconv.Itoa(len(info.Voters)) + " nodes with their disks"},
				{"can equivocate", equivocators(info)},
			}
			for _, epoch := range info.History {
				fields = append(fields, [2]string{
					fmt.Sprintf("epoch %d", epoch.Head.Epoch+1),
					fmt.Sprintf("%s in group %d from nonce %d on, before %s in group %d", epoch.Mode, epoch.To, epoch.Head.Nonce+1, epoch.Before, epoch.From),
				})
			}
			return a.printFields(fields)
		},
	}
}

// equivocators says who could give two orders.
func equivocators(info node.SequencingInfo) string {
	if info.Colluding > 1 {
		return fmt.Sprintf("any %d of the operators %s together", info.Colluding, strings.Join(info.Equivocators, ", "))
	}
	return "who holds the key of " + strings.Join(info.Equivocators, ", ")
}

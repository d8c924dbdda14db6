package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) clusterAddCommand() *cobra.Command {
	var (
		config, ca string
		portBase   int
	)
	cmd := &cobra.Command{
		Use:   "add ID=HOST:PORT",
		Short: "Add a node to a running cluster",
		Long: `add makes the keys and the file of another node, where the cluster's ca.key is,
and has the cluster send it every entry. It gets no vote by itself: give it those
of another node with cluster replace or cluster move-group.`,
		Example: "  wallaby cluster add n4=10.0.0.4:7000 --ca certs --config certs/n1/n1.yaml",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			members, err := parseMembers(args)
			if err != nil {
				return usageError{err}
			}
			member, err := node.CreateMember(ca, members[0], portBase, time.Now())
			if err != nil {
				return err
			}
			query := url.Values{"node": {member.ID}, "address": {member.Address}, "operator": {member.Operator.String()}}
			if err := a.operate(cmd.Context(), config, node.PathAddNode, query); err != nil {
				return err
			}
			token, err := createJoin(ca, member.ID, node.TokenDays*24*time.Hour)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.stdout, "\nits directory is %s; with it on its machine:\n\n  wallaby node --config %s\n", node.NodeDir(ca, member.ID), node.NodeFile(ca, member.ID))
			fmt.Fprint(a.stdout, "\nOr without copying. ")
			a.printJoins(ca, []join{token})
			return nil
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the `FILE` of a running node on this machine")
	cmd.Flags().StringVar(&ca, "ca", "certs", "the `DIR` that cluster init made")
	cmd.Flags().IntVar(&portBase, "port-base", 4000, "gateway `PORT` of the new node")
	return cmd
}

func (a *app) clusterRemoveCommand() *cobra.Command {
	return a.memberCommand(&cobra.Command{
		Use:   "remove NODE",
		Short: "Take a node without votes out of the cluster",
		Long: `remove moves what the node orders alone to another, for which it must be up, and
then takes it out of all groups. A node with votes must give them away first.`,
		Example: "  wallaby cluster remove n2 --config certs/n1/n1.yaml",
	}, node.PathRemoveNode, "node")
}

func (a *app) clusterReplaceCommand() *cobra.Command {
	return a.memberCommand(&cobra.Command{
		Use:   "replace NODE BY",
		Short: "Give all votes of a node to another, and take it out",
		Long: `replace has the second node vote wherever the first one does, group after group;
it gets every entry before its vote. Then the first node is removed. A node that
is down can be replaced, but for what it orders alone: it must come back for
that. If this is interrupted, run it again.`,
		Example: "  wallaby cluster replace n2 n4 --config certs/n1/n1.yaml",
	}, node.PathReplaceNode, "node", "by")
}

func (a *app) clusterMoveGroupCommand() *cobra.Command {
	return a.memberCommand(&cobra.Command{
		Use:     "move-group GROUP FROM TO",
		Short:   "Give a node's vote in one group to another node",
		Example: "  wallaby cluster move-group 303 n2 n4 --config certs/n1/n1.yaml",
	}, node.PathMoveGroup, "group", "from", "to")
}

// memberCommand makes a command of a path whose query has the arguments' names.
func (a *app) memberCommand(cmd *cobra.Command, path string, names ...string) *cobra.Command {
	var config string
	cmd.Args = exactArgs(len(names))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		query := url.Values{}
		for i, name := range names {
			query.Set(name, args[i])
		}
		return a.operate(cmd.Context(), config, path, query)
	}
	cmd.Flags().StringVar(&config, "config", "", "the `FILE` of a node on this machine")
	return cmd
}

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/node"
)

func (a *app) clusterCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "Make a cluster of nodes that replicate their log, and look after it",
		Long: `A cluster is three or five nodes that keep the same log: a message is
acknowledged when a majority has it on disk, so one of three machines, or two of
five, may be lost with all they hold.

To try one on this machine: wallaby dev --cluster 3.`,
	}
	cmd.AddCommand(a.clusterInitCommand(), a.clusterStatusCommand(), a.clusterRepairCommand(), a.clusterTransferCommand())
	cmd.AddCommand(a.clusterAddCommand(), a.clusterRemoveCommand(), a.clusterReplaceCommand(), a.clusterMoveGroupCommand(), a.clusterMoveShardCommand())
	cmd.AddCommand(a.clusterTokenCommand(), a.clusterHandOutCommand(), a.clusterJoinCommand())
	return cmd
}

func (a *app) clusterInitCommand() *cobra.Command {
	var (
		name, out string
		nodes     []string
		portBase  int
	)
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make the keys, certificates and node files of a new cluster",
		Long: `init makes a certificate authority for the cluster, the scheduler's and the
authority's keys that all nodes sign with, and for each node a directory, which
is copied to its machine, or handed out there for the node's token, once.
Keep ca.key to yourself: it makes new nodes.`,
		Example: `  wallaby cluster init --name prod --out certs \
    --nodes n1=10.0.0.1:7000,n2=10.0.0.2:7000,n3=10.0.0.3:7000`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			members, err := parseMembers(nodes)
			if err != nil {
				return usageError{err}
			}
			bases := slices.Repeat([]int{portBase}, len(members))
			if err := node.CreateCluster(out, node.ClusterPlan{Name: name, Members: members, PortBases: bases}, time.Now()); err != nil {
				return err
			}
			joins := make([]join, len(members))
			for i, member := range members {
				if joins[i], err = createJoin(out, member.ID, node.TokenDays*24*time.Hour); err != nil {
					return err
				}
			}
			if a.output == outputJSON {
				return a.printJSON(joins)
			}
			fmt.Fprintf(a.stdout, "cluster %s is in %s; on each machine, with its directory copied there:\n\n", name, out)
			for _, member := range members {
				host, _, _ := net.SplitHostPort(member.Address)
				fmt.Fprintf(a.stdout, "  %-16s wallaby node --config %s\n", host, node.NodeFile(out, member.ID))
			}
			fmt.Fprint(a.stdout, "\nOr without copying. ")
			a.printJoins(out, joins)
			fmt.Fprintf(a.stdout, "\nUnits answer on 127.0.0.1:%d and up; set host in a node's file for others to reach them.\n", portBase)
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&name, "name", "wallaby", "the cluster's `NAME`")
	flags.StringSliceVar(&nodes, "nodes", nil, "the nodes: `ID=HOST:PORT,…`, three or five")
	flags.StringVar(&out, "out", "certs", "write everything to this `DIR`")
	flags.IntVar(&portBase, "port-base", 4000, "gateway `PORT` of each node")
	return cmd
}

// parseMembers reads ID=HOST:PORT.
func parseMembers(nodes []string) ([]node.Member, error) {
	members := make([]node.Member, 0, len(nodes))
	for _, text := range nodes {
		id, address, ok := strings.Cut(text, "=")
		if _, port, err := net.SplitHostPort(address); !ok || id == "" || err != nil || port == "" {
			return nil, fmt.Errorf("node %q: write it as ID=HOST:PORT, such as n1=10.0.0.1:7000", text)
		}
		if strings.ContainsAny(id, `/\ `) || id == "." || id == ".." {
			return nil, fmt.Errorf("node id %q: use letters, digits and dashes", id)
		}
		members = append(members, node.Member{ID: id, Address: address})
	}
	if len(members) == 0 {
		return nil, fmt.Errorf("name the nodes: --nodes n1=10.0.0.1:7000,n2=…,n3=…")
	}
	return members, nil
}

func (a *app) clusterStatusCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show every node of a cluster with its groups",
		Args:  exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			status, err := a.clusterStatus(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(status)
			}
			return a.printCluster(status)
		},
	}
}

func (a *app) clusterStatus(ctx context.Context) (status node.ClusterStatus, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(a.url, "/")+node.PathCluster, nil)
	if err != nil {
		return status, usageError{fmt.Errorf("--url %s: %w", a.url, err)}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return status, fmt.Errorf("no node answers at %s (%w): start one, or name another with --url", a.url, err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&status); err != nil {
		return status, fmt.Errorf("%s does not answer as a wallaby node does: %w", a.url, err)
	}
	return status, nil
}

func (a *app) printCluster(status node.ClusterStatus) error {
	var rows [][]string
	for _, n := range status.Nodes {
		if n.Error != "" {
			state, reason := "unreachable", n.Error
			if n.Quarantine != "" {
				state, reason = "quarantined", n.Quarantine
			}
			rows = append(rows, []string{n.ID, n.Address, state, "-", "-", "-", "-", "-", reason})
			continue
		}
		var leads []string
		var term, commit, lag uint64
		for _, g := range n.Groups {
			if g.Role == "leader" {
				leads = append(leads, strconv.FormatUint(uint64(g.Group), 10))
			}
			term, commit, lag = max(term, g.Term), commit+g.Commit, lag+g.Lag
		}
		rows = append(rows, []string{
			n.ID, n.Address, "up", fmt.Sprintf("%d of %d (%s)", len(leads), len(n.Groups), strings.Join(leads, " ")),
			strconv.FormatUint(term, 10), strconv.FormatUint(commit, 10), strconv.FormatUint(lag, 10),
			fmt.Sprintf("%.1f GB", float64(n.DiskFreeBytes)/1e9), n.URLs.Gateway,
		})
	}
	return a.printTable([]string{"NODE", "ADDRESS", "STATE", "LEADS GROUPS", "TERM", "COMMITTED", "TO APPLY", "DISK FREE", "GATEWAY"}, rows)
}

func (a *app) clusterRepairCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "repair NODE",
		Short: "Bring back a node that has lost its data, or whose data is damaged",
		Long: `repair takes a node out of every group, which a majority must agree to, waits
until it comes with an empty data directory, has it sent every entry, and only
then gives it its votes back. A node that comes empty without repair is refused:
what it has forgotten could outvote what was acknowledged.

1. Stop NODE and move its data directory away.
2. Run this beside a node that is well: --config names that node's file.
3. Start NODE when told to. If this is interrupted, run it again.`,
		Example: "  wallaby cluster repair n2 --config certs/n1/n1.yaml",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.operate(cmd.Context(), config, node.PathRepair, url.Values{"node": {args[0]}})
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the `FILE` of a node on this machine that is well")
	return cmd
}

func (a *app) clusterTransferCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:     "transfer-leader GROUP NODE",
		Short:   "Have another node lead a group",
		Example: "  wallaby cluster transfer-leader 3 n2 --config certs/n1/n1.yaml",
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.operate(cmd.Context(), config, node.PathTransfer, url.Values{"group": {args[0]}, "node": {args[1]}})
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the `FILE` of a node on this machine")
	return cmd
}

func (a *app) clusterMoveShardCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:   "move-shard MODE SHARD GROUP",
		Short: "Have another group order a shard's processes",
		Long: `The processes of a mode are spread over its groups by 256 shards. move-shard has
another group of the mode take the new processes of a shard, and then those there
are, one after the other, each as a new epoch. If it is interrupted, run it again.`,
		Example: "  wallaby cluster move-shard raft:3 17 305 --config certs/n1/n1.yaml",
		Args:    exactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.operate(cmd.Context(), config, node.PathMoveShard, url.Values{"mode": {args[0]}, "shard": {args[1]}, "group": {args[2]}})
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the `FILE` of a node on this machine")
	return cmd
}

// operate asks the node of a file on this machine for something that only its
// operator may, and prints what it says.
func (a *app) operate(ctx context.Context, config, path string, query url.Values) error {
	if config == "" {
		return usageError{fmt.Errorf("name the file of a node on this machine with --config: its data directory holds the admin token")}
	}
	options, err := node.ReadFile(config)
	if err != nil {
		return err
	}
	token, err := node.ReadAdminToken(options.DataDir)
	if err != nil {
		return fmt.Errorf("%w: has the node been started?", err)
	}
	target := fmt.Sprintf("http://%s%s?%s", net.JoinHostPort(options.Host, strconv.Itoa(options.PortBase)), path, query.Encode())
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("no node answers for %s (%w): start it first", config, err)
	}
	defer response.Body.Close()
	last := ""
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if last = lines.Text(); last != "done" && !strings.HasPrefix(last, "error: ") {
			fmt.Fprintln(a.stdout, last)
		}
	}
	if last == "done" {
		fmt.Fprintln(a.stdout, "done")
		return nil
	}
	if text, ok := strings.CutPrefix(last, "error: "); ok {
		return errors.New(text)
	}
	return errors.New("the node went away before it was done: run this again")
}

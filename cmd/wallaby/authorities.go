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
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/node"
)

// waitingShown is how many waiting pushes are shown unless more are asked for.
const waitingShown = 20

func (a *app) authoritiesCommand() *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "authorities PROCESS",
		Short: "Show whose pushes a process takes, and which wait for signatures",
		Long: `authorities shows who may push messages to a process. A process that was spawned
with the tag Authority-Quorum: K/N gets a push only when K of its N authorities have
delivered the same; pushes that too few have delivered are listed. Any other process
checks each push by itself.`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			process, err := parseProcess(args[0])
			if err != nil {
				return err
			}
			info, err := a.authorities(cmd.Context(), process, limit)
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(info)
			}
			return a.printAuthorities(info)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", waitingShown, "how many waiting pushes to show")
	return cmd
}

func (a *app) authorities(ctx context.Context, process ao.ID, limit int) (info node.AuthoritiesInfo, err error) {
	query := url.Values{"process": {process.String()}, "limit": {strconv.Itoa(limit)}}
	target := strings.TrimRight(a.url, "/") + node.PathAuthorities + "?" + query.Encode()
	err = connect.New(a.url).Do(ctx, http.MethodGet, target, "", nil, &info)
	return info, err
}

// authorityTags are those of a new process that trusts whom it names, or else the
// node's messenger, or with a quorum the operators of all nodes.
func (a *app) authorityTags(ctx context.Context, info node.Info, authorities, quorum string) (dataitem.Tags, error) {
	if quorum == "" {
		return dataitem.Tags{{Name: ao.TagAuthority, Value: or(authorities, info.Authority)}}, nil
	}
	if authorities == "" {
		status, err := a.clusterStatus(ctx)
		if err != nil {
			return nil, err
		}
		var operators []string
		for _, n := range status.Nodes {
			if n.OperatorAddress == "" {
				return nil, ao.Errorf(ao.CodeUnavailable, "node %q does not say who its operator is: name the authorities with --authority", n.ID)
			}
			operators = append(operators, n.OperatorAddress)
		}
		authorities = strings.Join(operators, ",")
	}
	return dataitem.Tags{{Name: ao.TagAuthority, Value: authorities}, {Name: ao.TagAuthorityQuorum, Value: quorum}}, nil
}

func (a *app) printAuthorities(info node.AuthoritiesInfo) error {
	takes := "what the process itself takes: aos looks for the signer among its authorities"
	if k, n, ok := strings.Cut(info.Quorum, "/"); ok {
		takes = fmt.Sprintf("what %s of its %s authorities have delivered", k, n)
	}
	fields := [][2]string{{"process", info.Process.String()}, {"takes pushes", takes}}
	for i, authority := range info.Authorities {
		who := authority.Address
		if authority.Who != "" {
			who += " (" + authority.Who + ")"
		}
		fields = append(fields, [2]string{"authority " + strconv.Itoa(i+1), who})
	}
	if err := a.printFields(fields); err != nil || len(info.Waiting) == 0 {
		return err
	}
	fmt.Fprintln(a.stdout)
	rows := make([][]string, len(info.Waiting))
	for i, push := range info.Waiting {
		rows[i] = []string{strconv.FormatUint(push.Nonce, 10), push.From, push.Action, strings.Join(push.By, " ")}
	}
	if err := a.printTable([]string{"NONCE", "WAITING PUSH FROM", "ACTION", "DELIVERED BY"}, rows); err != nil || info.After == "" {
		return err
	}
	_, err := fmt.Fprintln(a.stdout, "and perhaps more: --limit shows them")
	return err
}

package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/wallaby-ao/wallaby/node"
)

// handOutPort is where directories are handed out unless said otherwise.
const handOutPort = "7999"

func (a *app) clusterTokenCommand() *cobra.Command {
	var (
		ca   string
		days int
	)
	cmd := &cobra.Command{
		Use:   "token NODE",
		Short: "Make a token with which a machine gets a node's directory once",
		Long: `token makes a join token for a node, where the cluster's ca.key is. A token is
good once; one that was not used yet is replaced. Only its hash is kept.`,
		Example: "  wallaby cluster token n2 --ca certs",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if days < 1 {
				return usageError{fmt.Errorf("--days must be at least 1")}
			}
			made, err := createJoin(ca, args[0], time.Duration(days)*24*time.Hour)
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(made)
			}
			a.printJoins(ca, []join{made})
			return nil
		},
	}
	cmd.Flags().StringVar(&ca, "ca", "certs", "the `DIR` that cluster init made")
	cmd.Flags().IntVar(&days, "days", node.TokenDays, "how many `DAYS` it is good")
	return cmd
}

// join is a token as it is shown, once.
type join struct {
	Node    string    `json:"node"`
	Config  string    `json:"config"` // the node's file where the cluster was made
	Token   string    `json:"token"`
	Expires time.Time `json:"expires"`
}

func createJoin(ca, id string, good time.Duration) (join, error) {
	now := time.Now()
	token, err := node.Tokens{Dir: ca, Now: func() time.Time { return now }}.Create(id, good)
	return join{id, node.NodeFile(ca, id), token.String(), now.Add(good).UTC().Truncate(time.Second)}, err
}

// printJoins says what to do with tokens.
func (a *app) printJoins(ca string, joins []join) {
	fmt.Fprintf(a.stdout, "On the new machine, while this one runs wallaby cluster hand-out --ca %s (each token once, until %s):\n\n",
		ca, joins[0].Expires.Format("2006-01-02 15:04 UTC"))
	for _, j := range joins {
		fmt.Fprintf(a.stdout, "  wallaby cluster join %s --from THIS_HOST:%s --out %s\n", j.Token, handOutPort, j.Node)
	}
}

func (a *app) clusterHandOutCommand() *cobra.Command {
	var (
		ca, listen string
		once       int
	)
	cmd := &cobra.Command{
		Use:   "hand-out",
		Short: "Give new machines their nodes' directories, each for its token",
		Long: `hand-out runs where the cluster's ca.key is, while nodes join, and ends with
Ctrl-C. It answers over TLS 1.3 with a certificate of the cluster's authority. A
token is marked as used, on disk, before anything is sent for it: if the answer
is lost, make another with cluster token.`,
		Example: "  wallaby cluster hand-out --ca certs --listen 0.0.0.0:7999",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if once < 0 {
				return usageError{fmt.Errorf("--once must not be negative")}
			}
			signals, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			listener, err := net.Listen("tcp", listen)
			if err != nil {
				return fmt.Errorf("cannot hand out on %s (%w): name another address with --listen", listen, err)
			}
			fmt.Fprintf(a.stdout, "handing out the directories of %s on %s; stop with Ctrl-C\n", ca, listener.Addr())
			return node.HandOut{
				Dir: ca, Listener: listener, Once: once, Now: time.Now,
				Say: func(text string) { fmt.Fprintln(a.stdout, text) },
			}.Serve(signals)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&ca, "ca", "certs", "the `DIR` that cluster init made")
	flags.StringVar(&listen, "listen", "0.0.0.0:"+handOutPort, "`ADDRESS` to listen on")
	flags.IntVar(&once, "once", 0, "end after `N` directories; 0 goes on")
	return cmd
}

func (a *app) clusterJoinCommand() *cobra.Command {
	var from, out string
	cmd := &cobra.Command{
		Use:   "join TOKEN",
		Short: "Get this machine's node directory for a token",
		Long: `join makes this node's private key, which never leaves the machine, and gets its
certificate, its file and the cluster's wallets from cluster hand-out. The token
says which authority to believe: anyone else who answers is refused before the
token is sent. With - the token is read from standard input.`,
		Example: "  wallaby cluster join wallaby-join-1-… --from 10.0.0.9:7999 --out n2",
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, port, err := net.SplitHostPort(from); err != nil || port == "" {
				return usageError{fmt.Errorf("name the host and port of wallaby cluster hand-out: --from HOST:%s", handOutPort)}
			}
			if out == "" {
				return usageError{fmt.Errorf("name the directory to be made: --out DIR")}
			}
			text := args[0]
			if text == "-" {
				line, err := bufio.NewReader(a.stdin).ReadString('\n')
				if text = line; text == "" {
					return fmt.Errorf("read the token: %w", err)
				}
			}
			token, err := node.ParseJoinToken(text)
			if err != nil {
				return usageError{err}
			}
			file, err := node.Join{Token: token, From: from, Dir: out, Now: time.Now}.Run(cmd.Context())
			if err != nil {
				return err
			}
			if a.output == outputJSON {
				return a.printJSON(map[string]string{"config": file})
			}
			fmt.Fprintf(a.stdout, "the node is in %s; start it:\n\n  wallaby node --config %s\n", out, file)
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "`HOST:PORT` of cluster hand-out")
	cmd.Flags().StringVar(&out, "out", "", "the `DIR` to be made")
	return cmd
}

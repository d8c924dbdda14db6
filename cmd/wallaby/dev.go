package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/wallaby-ao/wallaby/internal/guard"
	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/messenger"
	"github.com/wallaby-ao/wallaby/node"
)

// drainTimeout bounds how long Ctrl-C waits for work in hand.
const drainTimeout = 20 * time.Second

func (a *app) devCommand() *cobra.Command {
	var (
		flags nodeFlags
		nodes int
	)
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run a whole ao computer on this machine",
		Long: `dev runs a gateway, bundler, scheduler, messenger and compute unit in one
process, with everything kept in one directory. It works offline. Stop it with
Ctrl-C; start it again and every process is where it was.

--module FILE.wasm publishes a module and prints its id. --module ID=FILE.wasm
serves a file under an id that clients have hard-coded, such as the module ids
the aos console asks for; such a module is pinned, not verified.

--cluster 3 runs three nodes, each a process of its own, that replicate their
log: stop or kill one and the others go on.`,
		Example: `  wallaby dev
  wallaby dev --module process.wasm
  wallaby dev --port-base 5000 --data-dir /tmp/ao
  wallaby dev --ephemeral
  wallaby dev --cluster 3`,
		Args: exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			if nodes > 1 {
				return a.runCluster(cmd.Context(), options, nodes, flags)
			}
			return a.runNode(cmd.Context(), options)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.node.DataDir, "data-dir", ".wallaby", "keep everything in this `DIR`")
	f.BoolVar(&flags.node.Ephemeral, "ephemeral", false, "keep nothing: use a temporary directory and remove it at the end")
	f.StringVar(&flags.node.Host, "host", "127.0.0.1", "`ADDRESS` to listen on")
	f.IntVar(&flags.node.PortBase, "port-base", 4000, "gateway `PORT`; messenger +2, scheduler +3, compute unit +4")
	f.IntVar(&nodes, "cluster", 1, "run so many nodes: 1, 3 or 5")
	flags.register(f)
	return cmd
}

func (a *app) nodeCommand() *cobra.Command {
	var (
		flags  nodeFlags
		config string
	)
	cmd := &cobra.Command{
		Use:     "node",
		Short:   "Run one node of a cluster",
		Long:    "node runs the node that a file of wallaby cluster init describes.",
		Example: "  wallaby node --config certs/n1/n1.yaml",
		Args:    exactArgs(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if config == "" {
				return usageError{fmt.Errorf("name the node's file with --config: wallaby cluster init makes one for each node")}
			}
			options, err := flags.options(a)
			if err != nil {
				return err
			}
			file, err := node.ReadFile(config)
			if err != nil {
				return err
			}
			return a.runNode(cmd.Context(), withFile(options, file, cmd.Flags()))
		},
	}
	cmd.Flags().StringVar(&config, "config", "", "the node's `FILE`")
	flags.register(cmd.Flags())
	return cmd
}

// withFile adds what a node's file says. What flags say goes before its bounds.
func withFile(options, file node.Options, flags *pflag.FlagSet) node.Options {
	options.DataDir, options.Host, options.PortBase, options.Cluster = file.DataDir, file.Host, file.PortBase, file.Cluster
	if file.HopsMax != 0 && !flags.Changed("hops-max") {
		options.HopsMax = file.HopsMax
	}
	if file.PairRateMax != 0 && !flags.Changed("pair-rate-max") {
		options.PairRateMax = file.PairRateMax
	}
	if !flags.Changed("root-every") {
		options.RootEvery = file.RootEvery
	}
	if !flags.Changed("checkpoint-every") {
		options.CheckpointEvery = file.CheckpointEvery
	}
	options.Gateways = append(options.Gateways, file.Gateways...)
	options.AllowAddresses = append(options.AllowAddresses, file.AllowAddresses...)
	options.SchedulerURL = cmp.Or(options.SchedulerURL, file.SchedulerURL)
	return options
}

// nodeFlags are common to all that runs a node.
type nodeFlags struct {
	node      node.Options
	modules   []string
	plugins   []string
	machines  []string
	hops      int
	pairRate  int
	gateways  []string
	allowed   []string
	logFormat string
	logLevel  string
}

func (f *nodeFlags) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.modules, "module", nil, "serve a module: `[ID=]FILE.wasm` (repeatable)")
	flags.Uint64Var(&f.node.HotMemoryBytes, "hot-memory-bytes", 0, "memory for processes that are kept ready (default 512 MiB)")
	flags.IntVar(&f.node.Workers, "workers", 0, "processes evaluated at once (default one per core)")
	flags.Int64Var(&f.node.EvaluationTimeoutMS, "evaluation-timeout-ms", 0, "wall clock for one message, behind its gas limit (default 60000)")
	flags.StringArrayVar(&f.plugins, "plugin-dir", nil, "look for virtual machines in this `DIR`, too (repeatable): see wallaby vm list")
	flags.StringArrayVar(&f.machines, "vm", nil, "run processes that ask for no virtual machine on this: `[FORMAT=]NAME` (repeatable; default wazero)")
	flags.Uint64Var(&f.node.PluginMemoryBytes, "plugin-memory-bytes", 0, "memory that each process of a plugin may take (default 4 GiB)")
	flags.IntVar(&f.hops, "hops-max", messenger.DefaultHopsMax, "park what a message causes after so many deliveries here; 0: never")
	flags.IntVar(&f.pairRate, "pair-rate-max", messenger.DefaultPairRateMax, "park what a message causes when one process sends so often to another in a minute; 0: never")
	flags.Uint64Var(&f.node.CheckpointEvery, "checkpoint-every", 0, "make a checkpoint of a process after so many messages, at most one in half an hour, and upload it with --settle-to (default: only by wallaby checkpoint)")
	flags.Uint64Var(&f.node.RootEvery, "root-every", 0, "keep the root of a process's state behind every such nonce (default none: they are worked out when somebody asks)")
	flags.StringSliceVar(&f.gateways, "gateway", nil, "ask the gateway at this `URL` about processes and schedulers that are not here, such as https://arweave.net (repeatable)")
	flags.StringSliceVar(&f.allowed, guard.Setting, nil, "let URLs of other schedulers lead to these `ADDRESSES`, which are refused otherwise: loopback, private, or a prefix such as 10.1.0.0/16 (repeatable)")
	flags.StringVar(&f.node.SchedulerURL, "scheduler-url", "", "tell others that the scheduler is at this `URL` (default where it listens)")
	flags.StringSliceVar(&f.node.TrustCheckpoints, "trust-checkpoints", nil, "believe checkpoints of these `OWNERS` if they hold (repeatable)")
	flags.StringVar(&f.node.Settlement.To, "settle-to", "", "settle the log at the bundler at this `URL`, such as https://up.arweave.net, or with --settle-wallet at this Arweave node")
	flags.StringVar(&f.node.Settlement.Gateway, "settle-gateway", "", "look for what was settled at this gateway's `URL` (default that of --settle-to)")
	flags.StringVar(&f.node.Settlement.Wallet, "settle-wallet", "", "pay with this RSA wallet `FILE` for bundles of the node's own")
	flags.Uint64Var(&f.node.Settlement.Depth, "settle-depth", 18, "how many blocks deep something must lie to count as settled")
	f.registerLog(flags)
}

func (f *nodeFlags) registerLog(flags *pflag.FlagSet) {
	flags.StringVar(&f.logFormat, "log-format", "auto", "auto, text or json")
	flags.StringVar(&f.logLevel, "log-level", "info", "debug, info, warn or error")
}

func (f *nodeFlags) options(a *app) (node.Options, error) {
	options := f.node
	options.HopsMax, options.PairRateMax = node.Bound(f.hops), node.Bound(f.pairRate)
	for _, module := range f.modules {
		file, err := node.ParseModuleFile(module)
		if err != nil {
			return options, usageError{err}
		}
		options.Modules = append(options.Modules, file)
	}
	for _, rule := range f.machines {
		parsed, err := node.ParseMachineRule(rule)
		if err != nil {
			return options, usageError{err}
		}
		options.Machines = append(options.Machines, parsed)
	}
	options.Gateways = f.gateways
	allowed, err := guard.ParseAllowed(f.allowed)
	if err != nil {
		return options, usageError{err}
	}
	options.AllowAddresses = allowed
	logger, err := newLogger(a.stderr, f.logFormat, f.logLevel)
	if err != nil {
		return options, usageError{err}
	}
	options.Logger = logger
	options.PluginDirs = pluginDirs(f.plugins)
	return options, nil
}

// runNode opens a node, shows its panel and waits for a signal or a fatal
// error.
func (a *app) runNode(ctx context.Context, options node.Options) error {
	limitMemory()
	procs.Spare(2)
	procs.RoomyHeap(procs.HeapBytes)
	signals, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	n, err := node.Open(signals, options)
	if err != nil {
		return err
	}
	a.printPanel(n)
	var fatal error
	select {
	case <-signals.Done():
		fmt.Fprintln(a.stdout, "stopping: finishing what is in hand (press Ctrl-C again to stop at once)")
	case fatal = <-n.Failed():
	}
	// A second signal must end the process in the ordinary way.
	stop()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	closeErr := n.Close(drain)
	if fatal != nil {
		return fmt.Errorf("the node stopped itself: %w", fatal)
	}
	return closeErr
}

// limitMemory makes the collector return memory early: a node's live heap is
// small beside the guests' memory, which the collector does not see.
func limitMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
}

func (a *app) printPanel(n *node.Node) {
	info := n.Info()
	fmt.Fprintf(a.stdout, "\nwallaby %s · data in %s\n\n", readVersion().Version, info.DataDir)
	fields := [][2]string{
		{"gateway", info.URLs.Gateway},
		{"messenger", info.URLs.MU},
		{"scheduler", info.URLs.SU},
		{"compute unit", info.URLs.CU},
		{"scheduler address", info.Scheduler},
		{"authority address", info.Authority},
	}
	for _, module := range info.Modules {
		name := "module " + module.Name
		value := module.ID
		if module.Pinned {
			value += "  (pinned, not verified)"
		}
		fields = append(fields, [2]string{name, value})
	}
	_ = a.printFields(fields)
	if len(info.Modules) == 0 {
		fmt.Fprintln(a.stdout, "\nNo module yet: stop, and start with --module FILE.wasm, or run wallaby publish FILE.wasm")
	}
	fmt.Fprint(a.stdout, "\n", snippet(info), "\n")
}

// snippet is what a developer pastes to use aoconnect with this node.
func snippet(info node.Info) string {
	module := "MODULE_ID"
	if len(info.Modules) > 0 {
		module = info.Modules[0].ID
	}
	return strings.NewReplacer(
		"$GATEWAY", info.URLs.Gateway, "$MU", info.URLs.MU, "$CU", info.URLs.CU,
		"$SCHEDULER", info.Scheduler, "$AUTHORITY", info.Authority, "$MODULE", module,
	).Replace(`  import { connect, createDataItemSigner } from '@permaweb/aoconnect'
  const ao = connect({ MODE: 'legacy', GATEWAY_URL: '$GATEWAY', MU_URL: '$MU', CU_URL: '$CU' })
  const signer = createDataItemSigner(wallet)
  const process = await ao.spawn({
    signer, module: '$MODULE', scheduler: '$SCHEDULER',
    tags: [{ name: 'Authority', value: '$AUTHORITY' }],
  })
`)
}

// newLogger writes JSON to files and pipes and readable lines to a terminal.
func newLogger(to io.Writer, format, level string) (zerolog.Logger, error) {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil || level == "" {
		return zerolog.Nop(), fmt.Errorf("--log-level must be debug, info, warn or error, not %q", level)
	}
	switch format {
	case "auto":
		if isTerminal(to) {
			to = zerolog.ConsoleWriter{Out: to, TimeFormat: time.TimeOnly}
		}
	case "text":
		to = zerolog.ConsoleWriter{Out: to, TimeFormat: time.TimeOnly, NoColor: !isTerminal(to)}
	case "json":
	default:
		return zerolog.Nop(), fmt.Errorf("--log-format must be auto, text or json, not %q", format)
	}
	return zerolog.New(to).Level(parsed).With().Timestamp().Logger(), nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

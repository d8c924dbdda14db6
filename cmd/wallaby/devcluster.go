package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/wallaby-ao/wallaby/internal/guard"
	"github.com/wallaby-ao/wallaby/messenger"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/raft"
)

// The ports of a cluster on one machine: each node has its units ten ports after
// the one before, and its port for the other nodes behind them.
const (
	devPortStep  = 10
	devPortNodes = 9
)

// runCluster runs nodes as processes of their own, which is how they are killed
// and restarted one by one.
func (a *app) runCluster(ctx context.Context, options node.Options, count int, flags nodeFlags) error {
	dir := options.DataDir
	if options.Ephemeral {
		temporary, err := os.MkdirTemp("", "wallaby-cluster-")
		if err != nil {
			return fmt.Errorf("make a temporary data directory: %w", err)
		}
		defer os.RemoveAll(temporary)
		dir = temporary
	}
	dir = filepath.Join(dir, "cluster")
	nodes, created, err := a.devCluster(dir, options.PortBase, count)
	if err != nil {
		return err
	}
	signals, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	running, cancel := context.WithCancel(signals)
	defer cancel()
	var wait sync.WaitGroup
	for _, one := range nodes {
		wait.Go(func() {
			defer close(one.stopped)
			one.err = a.runChild(running, node.NodeFile(dir, one.id), one.id, flags)
			if running.Err() == nil {
				fmt.Fprintf(a.stderr, "wallaby: node %s has stopped (%v); start it again with: wallaby node --config %s\n", one.id, one.err, node.NodeFile(dir, one.id))
			}
		})
	}
	switch lost := awaitReady(running, nodes); {
	case running.Err() != nil: // Ctrl-C, of which nodes stop, too
	case lost != nil && created:
		// A cluster that has never been whole lacks more than a machine.
		cancel()
		wait.Wait()
		return fmt.Errorf("node %s did not start (%w), as it says above: all are stopped; start it once more when that is mended, or remove %s to have another cluster", lost.id, lost.err, dir)
	default:
		a.printDevCluster(dir, nodes)
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	select {
	case <-signals.Done():
		fmt.Fprintln(a.stdout, "stopping: every node finishes what is in hand (press Ctrl-C again to stop at once)")
		stop()
		<-done
		return nil
	case <-done:
		return errors.New("all nodes have stopped, as they say above")
	}
}

// devNode is a node of a cluster on this machine.
type devNode struct {
	id      string
	base    int           // its first port
	stopped chan struct{} // closed when its process has ended, with err
	err     error
}

// devCluster makes the cluster's directory on first use, when all ports are free.
func (a *app) devCluster(dir string, portBase, count int) (nodes []*devNode, created bool, err error) {
	plan := node.ClusterPlan{Name: "dev"}
	for i := range count {
		one := &devNode{id: "n" + strconv.Itoa(i+1), base: portBase + i*devPortStep, stopped: make(chan struct{})}
		nodes = append(nodes, one)
		plan.Members = append(plan.Members, node.Member{ID: one.id, Address: "127.0.0.1:" + strconv.Itoa(one.base+devPortNodes)})
		plan.PortBases = append(plan.PortBases, one.base)
	}
	if _, err := os.Stat(filepath.Join(dir, raft.FileAuthority)); err == nil {
		return nodes, false, checkDevCluster(dir, plan)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, false, err
	}
	for i, member := range plan.Members {
		if err := node.CheckPorts(plan.PortBases[i]); err != nil {
			return nil, false, err
		}
		listener, err := net.Listen("tcp", member.Address)
		if err != nil {
			return nil, false, fmt.Errorf("port %s is in use, which node %s needs for the others: stop what uses it, or move all ports with --port-base", member.Address, member.ID)
		}
		listener.Close()
	}
	return nodes, true, node.CreateCluster(dir, plan, time.Now())
}

// checkDevCluster makes sure that a directory holds the cluster that is asked
// for.
func checkDevCluster(dir string, plan node.ClusterPlan) error {
	for i, member := range plan.Members {
		options, err := node.ReadFile(node.NodeFile(dir, member.ID))
		if err != nil {
			return err
		}
		if len(options.Cluster.Members) != len(plan.Members) || options.PortBase != plan.PortBases[i] {
			return fmt.Errorf("%s holds a cluster of %d nodes from port %d on: start it so, or name another --data-dir",
				dir, len(options.Cluster.Members), options.PortBase-i*devPortStep)
		}
	}
	return nil
}

// runChild runs one node until ctx ends, and then lets it drain.
func (a *app) runChild(ctx context.Context, config, id string, flags nodeFlags) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"node", "--config", config, "--log-level", flags.logLevel, "--log-format", "text"}
	if flags.hops != messenger.DefaultHopsMax {
		args = append(args, "--hops-max", strconv.Itoa(flags.hops))
	}
	if flags.pairRate != messenger.DefaultPairRateMax {
		args = append(args, "--pair-rate-max", strconv.Itoa(flags.pairRate))
	}
	if every := flags.node.CheckpointEvery; every != 0 {
		args = append(args, "--checkpoint-every", strconv.FormatUint(every, 10))
	}
	if every := flags.node.RootEvery; every != 0 {
		args = append(args, "--root-every", strconv.FormatUint(every, 10))
	}
	for _, module := range flags.modules {
		args = append(args, "--module", module)
	}
	for _, rule := range flags.machines {
		args = append(args, "--vm", rule)
	}
	for _, dir := range flags.plugins {
		args = append(args, "--plugin-dir", dir)
	}
	for _, gateway := range flags.gateways {
		args = append(args, "--gateway", gateway)
	}
	for _, prefix := range flags.allowed {
		args = append(args, "--"+guard.Setting, prefix)
	}
	for _, owner := range flags.node.TrustCheckpoints {
		args = append(args, "--trust-checkpoints", owner)
	}
	if url := flags.node.SchedulerURL; url != "" {
		args = append(args, "--scheduler-url", url)
	}
	for name, value := range map[string]string{
		"settle-to": flags.node.Settlement.To, "settle-gateway": flags.node.Settlement.Gateway, "settle-wallet": flags.node.Settlement.Wallet,
	} {
		if value != "" {
			args = append(args, "--"+name, value)
		}
	}
	for name, value := range map[string]int64{
		"hot-memory-bytes": int64(flags.node.HotMemoryBytes), "workers": int64(flags.node.Workers),
		"evaluation-timeout-ms": flags.node.EvaluationTimeoutMS, "plugin-memory-bytes": int64(flags.node.PluginMemoryBytes),
		"settle-depth": int64(flags.node.Settlement.Depth),
	} {
		if value != 0 {
			args = append(args, "--"+name, strconv.FormatInt(value, 10))
		}
	}
	cmd := exec.CommandContext(ctx, self, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = drainTimeout + 5*time.Second
	// A terminal's Ctrl-C reaches its whole group, and a node hears of it from
	// here; without this process a node must not go on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	reader, writer := io.Pipe()
	cmd.Stderr = writer
	var wait sync.WaitGroup
	wait.Go(func() {
		lines := bufio.NewScanner(reader)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			fmt.Fprintf(a.stderr, "%s %s\n", id, lines.Text())
		}
		_, _ = io.Copy(io.Discard, reader)
	})
	err = cmd.Run()
	writer.Close()
	wait.Wait()
	return err
}

// awaitReady waits until every node serves or has ended, and gives one that has.
func awaitReady(ctx context.Context, nodes []*devNode) (lost *devNode) {
	for _, one := range nodes {
		for waits := true; waits && !isReady(ctx, one.base); {
			select {
			case <-time.After(50 * time.Millisecond):
			case <-one.stopped:
				lost, waits = one, false
			case <-ctx.Done():
				return nil
			}
		}
	}
	return lost
}

func isReady(ctx context.Context, base int) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://127.0.0.1:%d/readyz", base), nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (a *app) printDevCluster(dir string, nodes []*devNode) {
	fmt.Fprintf(a.stdout, "\nwallaby %s · a cluster of %d nodes in %s\n\n", readVersion().Version, len(nodes), dir)
	rows := make([][]string, len(nodes))
	for i, one := range nodes {
		rows[i] = []string{one.id, fmt.Sprintf("http://127.0.0.1:%d", one.base), "wallaby node --config " + node.NodeFile(dir, one.id)}
	}
	_ = a.printTable([]string{"NODE", "GATEWAY AND UNITS", "TO START IT ALONE"}, rows)
	fmt.Fprintf(a.stdout, "\nAny node takes any message. See who leads: wallaby cluster status --url http://127.0.0.1:%d\n\n", nodes[0].base)
}

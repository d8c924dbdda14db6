package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/wallaby-ao/wallaby/internal/measure"
	"github.com/wallaby-ao/wallaby/node"
)

// PushOptions say how pushing is measured.
type PushOptions struct {
	Dir    string
	Module string // an aos module's file
	// Seconds is how long each load runs.
	Seconds float64
	// Processes is how many stand in the ring.
	Processes int
	// Tokens are how many go round at once, for each load.
	Tokens []int
	// Idle is how many more processes the node holds in the last load; 0 leaves
	// that load out.
	Idle int
	// Messages is how many the process has whose evaluation is the peer.
	Messages int
	Progress func(string)
}

// The peers of pushing.
const (
	peerEvaluation = "one process"
	peerOneNode    = "one node"
	peerNotIdle    = "no idle ones"
)

// Push measures how fast messages go from process to process: tokens go round a
// ring, and each hop is an evaluation, a signed message, its place in the next
// process's log, on disk, and the way back into the engine. The peer of a node
// is how fast it evaluates one process whose messages all wait in the log.
func Push(ctx context.Context, o PushOptions) (rows []Row, err error) {
	o.Progress(fmt.Sprintf("the evaluation of one process with %d messages", o.Messages))
	alone, err := evaluationRate(ctx, filepath.Join(o.Dir, "alone"), o.Module, o.Messages)
	if err != nil {
		return nil, fmt.Errorf("measure one process: %w", err)
	}
	rows = append(rows, Row{Case: fmt.Sprintf("one process, %d messages in the log", o.Messages), Metric: "evaluations", Unit: "1/s", Value: alone})
	solo, more, err := o.oneNode(ctx, alone)
	if err != nil {
		return nil, fmt.Errorf("measure one node: %w", err)
	}
	rows = append(rows, more...)
	more, err = o.threeNodes(ctx, solo)
	if err != nil {
		return nil, fmt.Errorf("measure three nodes: %w", err)
	}
	return append(rows, more...), nil
}

// evaluationRate fills a process, throws away what was evaluated, and gives how
// many messages a second a node evaluates that finds them in its log.
func evaluationRate(ctx context.Context, dir, module string, messages int) (float64, error) {
	process, err := fillProcess(ctx, dir, module, messages, nil)
	if err != nil {
		return 0, err
	}
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		return 0, err
	}
	seconds, opened, err := coldStart(ctx, dir, module, process, checkAnswer)
	return float64(messages) / (seconds - opened), err
}

// oneNode measures a node alone, and then in turns with one that also holds many
// idle processes.
func (o PushOptions) oneNode(ctx context.Context, alone float64) (rates []pushRate, rows []Row, err error) {
	r, closeNode, err := o.openRing(ctx, "solo")
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, closeNode()) }()
	for _, tokens := range o.Tokens {
		name := fmt.Sprintf("ring of %d, one node, %s", o.Processes, tokensText(tokens))
		o.Progress(name)
		rate, err := r.rate(ctx, tokens, o.Seconds)
		if err != nil {
			return nil, nil, err
		}
		rates = append(rates, rate)
		rows = append(rows, Higher(name, "hops (target 0.5)", "1/s", rate.PerSecond, peerEvaluation, alone))
		rows = append(rows, hopRows(name, rate, "", pushRate{})...)
	}
	if o.Idle == 0 {
		return rates, rows, nil
	}
	more, err := o.besideIdle(ctx, r)
	return rates, append(rows, more...), err
}

// idleTurns is how often each of two nodes is measured beside the other: a
// machine's speed drifts in minutes.
const idleTurns = 4

// besideIdle measures a ring in a node that also holds idle processes, and in
// turns the one that is given.
func (o PushOptions) besideIdle(ctx context.Context, without *ring) (rows []Row, err error) {
	with, closeNode, err := o.openRing(ctx, "idle")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, closeNode()) }()
	o.Progress(fmt.Sprintf("spawning %d idle processes", o.Idle))
	if err := with.spawnIdle(ctx, o.Idle); err != nil {
		return nil, err
	}
	o.Progress("nothing, until what was spawned is copied to the gateway and merged")
	awaitRest(ctx)
	tokens := o.Tokens[len(o.Tokens)-1]
	name := fmt.Sprintf("ring of %d and %d idle, one node, %s", o.Processes, o.Idle, tokensText(tokens))
	o.Progress(name)
	rings, all := []*ring{without, with}, make([]pushed, 2)
	for n := range idleTurns + 1 {
		for i, r := range rings {
			turn, err := r.run(ctx, tokens, o.Seconds/2)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				continue // it brought processes back that the idle ones had pushed out
			}
			all[i].Times.add(turn.Times)
			all[i].cpu += turn.cpu
		}
	}
	few, err := all[0].rate()
	if err != nil {
		return nil, err
	}
	many, err := all[1].rate()
	rows = append(rows, Higher(name, "hops (target 1)", "1/s", many.PerSecond, peerNotIdle, few.PerSecond))
	return append(rows, hopRows(name, many, peerNotIdle, few)...), err
}

// awaitRest returns when this process needs little of the processors, or after five
// minutes.
func awaitRest(ctx context.Context) {
	const window, share, mostWindows = 2 * time.Second, 0.1, 150
	for range mostWindows {
		before := measure.CPU()
		pause(ctx, window)
		if measure.CPU()-before < time.Duration(share*float64(window)) || ctx.Err() != nil {
			return
		}
	}
}

// openRing opens a node of its own with a ring, and gives what closes it.
func (o PushOptions) openRing(ctx context.Context, name string) (*ring, func() error, error) {
	small := filepath.Join(o.Dir, "small.wasm")
	if err := os.WriteFile(small, smallModule, 0o644); err != nil {
		return nil, nil, fmt.Errorf("write a small module: %w", err)
	}
	o.Progress(fmt.Sprintf("a ring of %d processes on one node: making it", o.Processes))
	watch := newHopWatch()
	n, err := node.Open(ctx, node.Options{
		DataDir: filepath.Join(o.Dir, name), AnyPort: true, Modules: []node.ModuleFile{{Path: o.Module}, {Path: small}}, WrapDriver: watch.wrap,
	})
	if err != nil {
		return nil, nil, err
	}
	closeNode := func() error { return n.Close(ctx) }
	r, err := makeRing(ctx, n, o.Processes, watch)
	if err != nil {
		return nil, nil, errors.Join(err, closeNode())
	}
	return r, closeNode, nil
}

// threeNodes measures a cluster, all of it in this process and on one disk, beside
// what one node did with the same tokens.
func (o PushOptions) threeNodes(ctx context.Context, solo []pushRate) (rows []Row, err error) {
	o.Progress(fmt.Sprintf("a ring of %d processes on three nodes: making it", o.Processes))
	watch := newHopWatch()
	nodes, stop, err := openNodes(ctx, filepath.Join(o.Dir, "three"), 3, func(options *node.Options) {
		options.Modules = []node.ModuleFile{{Path: o.Module}}
		options.WrapDriver = watch.wrap
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	r, err := makeRing(ctx, nodes[0], o.Processes, watch)
	if err != nil {
		return nil, err
	}
	for i, tokens := range o.Tokens {
		name := fmt.Sprintf("ring of %d, three nodes, %s", o.Processes, tokensText(tokens))
		o.Progress(name)
		rate, err := r.rate(ctx, tokens, o.Seconds)
		if err != nil {
			return nil, err
		}
		rows = append(rows, Higher(name, "hops", "1/s", rate.PerSecond, peerOneNode, solo[i].PerSecond))
		rows = append(rows, hopRows(name, rate, peerOneNode, solo[i])...)
	}
	return rows, nil
}

// openNodes opens the nodes of a new cluster, and gives what closes them.
func openNodes(ctx context.Context, dir string, count int, change func(*node.Options)) (nodes []*node.Node, stop func() error, err error) {
	plan := node.ClusterPlan{Name: "bench"}
	for i := range count {
		address, err := freeAddress()
		if err != nil {
			return nil, nil, err
		}
		plan.Members = append(plan.Members, node.Member{ID: fmt.Sprintf("n%d", i+1), Address: address})
		plan.PortBases = append(plan.PortBases, 0)
	}
	if err := node.CreateCluster(dir, plan, time.Now()); err != nil {
		return nil, nil, err
	}
	nodes = make([]*node.Node, count)
	stop = func() error {
		return eachOf(ctx, count, count, func(ctx context.Context, i int) error {
			if nodes[i] == nil {
				return nil
			}
			return nodes[i].Close(ctx)
		})
	}
	err = eachOf(ctx, count, count, func(ctx context.Context, i int) error {
		options, err := node.ReadFile(node.NodeFile(dir, plan.Members[i].ID))
		if err != nil {
			return err
		}
		options.AnyPort = true
		change(&options)
		nodes[i], err = node.Open(ctx, options)
		return err
	})
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	return nodes, stop, nil
}

// freeAddress finds a port for nodes to meet at, whose addresses must be known
// before they listen.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

func tokensText(tokens int) string {
	if tokens == 1 {
		return "1 token"
	}
	return fmt.Sprintf("%d tokens", tokens)
}

func hopRows(name string, rate pushRate, peer string, other pushRate) []Row {
	return []Row{
		Lower(name, "hop, median", "ms", rate.MedianMS, peer, other.MedianMS),
		Lower(name, "hop, 99th percentile", "ms", rate.Percentile99, peer, other.Percentile99),
		Lower(name, "CPU for each hop", "us", rate.cpuMicros, peer, other.cpuMicros),
	}
}

// spawnIdle starts processes of a few bytes that nobody ever writes to, and waits
// until each has been evaluated.
func (r *ring) spawnIdle(ctx context.Context, count int) error {
	info := r.node.Info()
	return eachOf(ctx, spawnClients, count, func(ctx context.Context, i int) error {
		draft := processDraft(info.Modules[1].ID, info.Scheduler, info.Authority, fmt.Sprint("idle ", i))
		id, err := r.user.client.Send(ctx, draft, r.user.signer)
		if err != nil {
			return err
		}
		_, err = r.user.client.Result(ctx, id, id)
		return err
	})
}

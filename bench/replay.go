package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// replayRounds is how often the loader, the virtual machine alone and a cold start
// take their turns: a machine's speed drifts, and the best of each is compared.
const replayRounds = 3

// Replay makes a process with many messages, throws all that was evaluated
// away, and measures how fast a cold start gets to the newest result.
func Replay(ctx context.Context, o NodeOptions) ([]Row, error) {
	o.Progress(fmt.Sprintf("cold start of a process with %d messages: making it", o.Replay))
	dir := filepath.Join(o.Dir, "replay")
	process, calls, err := recordCalls(ctx, dir, o.Module, o.Replay)
	if err != nil {
		return nil, err
	}
	peer, err := OpenLoaderPeer(ctx)
	if err != nil {
		o.Progress(err.Error())
	}
	var best replayRates
	for round := range replayRounds {
		o.Progress(fmt.Sprintf("cold start, round %d of %d", round+1, replayRounds))
		rates, err := replayRound(ctx, o, peer, dir, process, calls)
		if err != nil {
			return nil, err
		}
		best.take(rates)
	}
	var standard float64
	if peer != nil {
		timing, err := timeLoader(ctx, peer, o.Module, calls, false)
		if err != nil {
			return nil, err
		}
		standard = timing.PerSecond()
	}
	name := fmt.Sprintf("cold start, %d messages", o.Replay)
	rows := []Row{
		Higher(name, "replay", "1/s", best.node, peerNoCopy, best.noCopy),
		Higher(name, "replay (target 5)", "1/s", best.node, peerStandard, standard),
		Higher(name, "replay (target 0.9)", "1/s", best.node, "the virtual machine alone", best.bare),
		{Case: name, Metric: "start to newest result", Unit: "s", Value: best.seconds},
		{Case: name, Metric: "node open", Unit: "s", Value: best.opened},
	}
	more, err := evalsFromCheckpoint(ctx, dir, o.Module, process, name, best.seconds)
	return append(rows, more...), err
}

// replayRates are messages a second, and what the node's cold start took.
type replayRates struct {
	// noCopy has loading and booting counted in, as the others have; 0 without the loader.
	noCopy, bare, node float64
	seconds, opened    float64
}

// take keeps the best of each.
func (r *replayRates) take(other replayRates) {
	r.noCopy, r.bare = max(r.noCopy, other.noCopy), max(r.bare, other.bare)
	if other.node > r.node {
		r.node, r.seconds, r.opened = other.node, other.seconds, other.opened
	}
}

// replayRound has each run all the messages, one after the other.
func replayRound(ctx context.Context, o NodeOptions, peer *LoaderPeer, dir string, process filled, calls recorded) (r replayRates, err error) {
	if peer != nil {
		timing, err := timeLoader(ctx, peer, o.Module, calls, true)
		if err != nil {
			return r, err
		}
		r.noCopy = timing.PerSecondFromStart()
	}
	if r.bare, err = bareRate(ctx, o, calls); err != nil {
		return r, err
	}
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		return r, err
	}
	if r.seconds, r.opened, err = coldStart(ctx, dir, o.Module, process, checkAnswer); err != nil {
		return r, err
	}
	r.node = float64(o.Replay) / (r.seconds - r.opened)
	return r, nil
}

// evalsFromCheckpoint measures the same with a checkpoint and some messages behind it,
// if there are so many that a node looks for one.
func evalsFromCheckpoint(ctx context.Context, dir, module string, process filled, name string, replayed float64) ([]Row, error) {
	if err := checkpoint(ctx, dir, module, process.id); err != nil {
		return nil, err
	}
	last, err := fillCold(ctx, dir, process.id, tailMessages)
	if err != nil {
		return nil, err
	}
	process.last = last
	return fromCheckpoint(ctx, dir, module, process, anyAnswer, name, replayed)
}

// coldStart opens a node and waits for a process's newest result.
func coldStart(ctx context.Context, dir, module string, process filled, check func(json.RawMessage) error) (seconds, opened float64, err error) {
	started := time.Now()
	n, err := openNode(ctx, dir, module, nil)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		if closeErr := n.Close(ctx); err == nil {
			err = closeErr
		}
	}()
	opened = time.Since(started).Seconds()
	u, err := newUser(n)
	if err != nil {
		return 0, 0, err
	}
	result, err := u.client.Result(ctx, process.id, process.last)
	seconds = time.Since(started).Seconds()
	if err != nil {
		return 0, 0, err
	}
	return seconds, opened, check(result.JSON())
}

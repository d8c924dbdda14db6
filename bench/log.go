package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/wallaby-ao/wallaby/internal/measure"
	"github.com/wallaby-ao/wallaby/raft"
)

// cancelPatience is how long a measuring process may take to stop.
const cancelPatience = 10 * time.Second

// LogOptions say how the replicated log is measured.
type LogOptions struct {
	Dir             string
	WarmUp, Seconds float64 // of each load
	// Rounds is how often everything is measured; of each load the run with the
	// median rate counts.
	Rounds  int
	Clients []int
	// VerifyClients is with how many clients signatures are verified; 0 is never.
	VerifyClients int
	// Binary is this wallaby, which is started anew for each load, and Peers the
	// binary that measures the others.
	Binary, Peers string
	// Progress is told what is being measured.
	Progress func(string)
}

// Log measures appends to a log on three nodes, ours and the peers', each in a
// process of its own, taking turns. Notes say what could not be measured.
func Log(ctx context.Context, o LogOptions) (rows []Row, notes []string, err error) {
	peers, err := OpenLogPeers(ctx, o.Peers)
	if errors.Is(err, ErrPeersMissing) {
		notes = append(notes, err.Error())
		peers = &LogPeers{}
	} else if err != nil {
		return nil, nil, err
	}
	for _, clients := range o.Clients {
		more, err := o.compare(ctx, peers, clients)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, more...)
	}
	if o.VerifyClients > 0 {
		more, err := o.verified(ctx)
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, more...)
	}
	return rows, notes, nil
}

func (o LogOptions) load(clients, groups int) LogLoad {
	return LogLoad{Dir: o.Dir, Clients: clients, WarmUp: o.WarmUp, Seconds: o.Seconds, Groups: groups}
}

// compare measures one group, all groups and every peer.
func (o LogOptions) compare(ctx context.Context, peers *LogPeers, clients int) ([]Row, error) {
	var one, all []LogRun
	others := make([][]LogRun, len(peers.Names()))
	for round := range o.Rounds {
		for _, own := range []struct {
			groups int
			runs   *[]LogRun
		}{{1, &one}, {raft.GroupsPerSet, &all}} {
			o.Progress(fmt.Sprintf("our log, %d clients, %d groups, round %d", clients, own.groups, round+1))
			run, err := o.ours(ctx, o.load(clients, own.groups))
			if err != nil {
				return nil, err
			}
			*own.runs = append(*own.runs, run)
		}
		for i, name := range peers.Names() {
			o.Progress(fmt.Sprintf("%s, %d clients, round %d", name, clients, round+1))
			result, err := peers.Run(ctx, name, o.load(clients, 1))
			if err != nil {
				return nil, err
			}
			others[i] = append(others[i], LogRun{Result: result})
		}
	}
	name := fmt.Sprintf("log, %d clients", clients)
	ours, spread := medianRun(one), medianRun(all)
	rows := logRows(name, ours.Result, "", measure.Result{})
	if len(others) > 0 {
		rows = nil
	}
	for i, peer := range peers.Names() {
		rows = append(rows, logRows(name, ours.Result, peer, medianRun(others[i]).Result)...)
	}
	return append(rows, logRows(fmt.Sprintf("%s, %d groups", name, raft.GroupsPerSet), spread.Result, "one group", ours.Result)...), nil
}

// verified measures the log with signatures: first the messages' alone, beside
// what the cores verify when they do nothing else, then the assignments' too.
func (o LogOptions) verified(ctx context.Context) (rows []Row, err error) {
	for _, sign := range []bool{false, true} {
		name := fmt.Sprintf("log, %d clients, RSA verified", o.VerifyClients)
		if sign {
			name += ", assignments signed"
		}
		var runs []LogRun
		for round := range o.Rounds {
			o.Progress(fmt.Sprintf("%s, round %d", name, round+1))
			load := o.load(o.VerifyClients, raft.GroupsPerSet)
			load.Verify, load.Sign = true, sign
			run, err := o.ours(ctx, load)
			if err != nil {
				return nil, err
			}
			runs = append(runs, run)
		}
		run := medianRun(runs)
		rows = append(rows, Higher(name, "appends", "1/s", run.PerSecond, "verifying alone", run.VerifiedPerSecond))
		rows = append(rows, logRows(name, run.Result, "", measure.Result{})[1:]...)
	}
	return rows, nil
}

// LogLoadCommand is the hidden subcommand of wallaby that measures one load.
const LogLoadCommand = "log-load"

// ours measures one load on nodes of ours in a process of their own.
func (o LogOptions) ours(ctx context.Context, load LogLoad) (run LogRun, err error) {
	dir, err := os.MkdirTemp(load.Dir, "wallaby-log-")
	if err != nil {
		return run, fmt.Errorf("make a scratch directory: %w", err)
	}
	defer os.RemoveAll(dir)
	err = runJSON(ctx, &run, o.Binary, "bench", LogLoadCommand,
		"--dir", dir, "--clients", strconv.Itoa(load.Clients), "--groups", strconv.Itoa(load.Groups),
		"--seconds", number(load.Seconds), "--warm-up", number(load.WarmUp),
		"--verify="+strconv.FormatBool(load.Verify), "--sign="+strconv.FormatBool(load.Sign))
	if err == nil && run.Count == 0 {
		err = errors.New("our log counted nothing")
	}
	return run, err
}

// medianRun is the run with the median rate, whole: its latencies belong to it.
func medianRun(runs []LogRun) LogRun {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b LogRun) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
	return sorted[len(sorted)/2]
}

// logRows are the figures of one load beside a peer's, if there is one.
func logRows(name string, ours measure.Result, peer string, theirs measure.Result) []Row {
	// Three nodes write each byte of a payload at least once.
	const least = 3 * itemBytes
	return []Row{
		Higher(name, "appends", "1/s", ours.PerSecond, peer, theirs.PerSecond),
		Lower(name, "median", "ms", ours.MedianMS, peer, theirs.MedianMS),
		Lower(name, "99th percentile", "ms", ours.Percentile99MS, peer, theirs.Percentile99MS),
		Lower(name, "CPU for each", "us", ours.CPUMicros, peer, theirs.CPUMicros),
		Lower(name, "written by each node", "x", ours.WrittenBytes/least, peer, theirs.WrittenBytes/least),
	}
}

package bench

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/raft"
)

// ColdStartOptions say of which process a cold start is measured.
type ColdStartOptions struct {
	Dir      string // scratch space
	Messages int
	Progress func(string)
}

const (
	// tailMessages come behind the checkpoint and are run by a cold start from it.
	tailMessages = 100
	// coldClients is how many fill the log at once.
	coldClients = 256
)

// ColdStart measures how long a node that has a process's log and nothing else takes
// to its newest result: by evaluating all of it, and from a checkpoint. The process
// counts its messages, so that what is measured is the node and not a guest.
func ColdStart(ctx context.Context, o ColdStartOptions) ([]Row, error) {
	dir := filepath.Join(o.Dir, "coldstart")
	module := filepath.Join(o.Dir, "counter.wasm")
	if err := os.WriteFile(module, smallModule, 0o644); err != nil {
		return nil, fmt.Errorf("write the module: %w", err)
	}
	process, err := spawnCold(ctx, dir, module)
	if err != nil {
		return nil, err
	}
	o.Progress(fmt.Sprintf("filling the log of a process with %d messages", o.Messages))
	if process.last, err = fillCold(ctx, dir, process.id, o.Messages); err != nil {
		return nil, err
	}
	o.Progress("cold start from the whole log")
	replayed, _, err := coldStart(ctx, dir, module, process, anyAnswer)
	if err != nil {
		return nil, err
	}
	o.Progress("cold start from a checkpoint")
	if err := checkpoint(ctx, dir, module, process.id); err != nil {
		return nil, err
	}
	if process.last, err = fillCold(ctx, dir, process.id, tailMessages); err != nil {
		return nil, err
	}
	return fromCheckpoint(ctx, dir, module, process, anyAnswer, fmt.Sprintf("cold start, %d short messages", o.Messages), replayed)
}

// fromCheckpoint measures a node that has lost all that it had evaluated, beside what
// evaluating everything took.
func fromCheckpoint(ctx context.Context, dir, module string, process filled, check func(json.RawMessage) error, name string, replayed float64) ([]Row, error) {
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		return nil, err
	}
	seconds, opened, err := coldStart(ctx, dir, module, process, check)
	if err != nil {
		return nil, err
	}
	const peer = "all of the log"
	return []Row{
		Lower(name, "from a checkpoint: start to newest result", "s", seconds, peer, replayed),
		{Case: name, Metric: "from a checkpoint: node open", Unit: "s", Value: opened},
		{Case: name, Metric: "from a checkpoint: open to newest result (target 1 s)", Unit: "s", Value: seconds - opened},
	}, nil
}

func anyAnswer(json.RawMessage) error { return nil }

// spawnCold spawns the process on a new node.
func spawnCold(ctx context.Context, dir, module string) (f filled, err error) {
	n, err := openNode(ctx, dir, module, nil)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, n.Close(ctx)) }()
	u, err := newUser(n)
	if err != nil {
		return f, err
	}
	f.id, err = u.spawn(ctx, n, "counter")
	return f, err
}

// fillCold appends messages to the log of a node that is closed, as its scheduler.
func fillCold(ctx context.Context, dir string, process ao.ID, count int) (last ao.ID, err error) {
	scheduler, err := node.LoadWallet(filepath.Join(dir, "wallets", "scheduler.json"))
	if err != nil {
		return last, err
	}
	user, err := dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader)
	if err != nil {
		return last, err
	}
	n, err := raft.Open(ctx, raft.Options{Dir: filepath.Join(dir, "log"), Signer: scheduler})
	if err != nil {
		return last, err
	}
	defer func() { err = errors.Join(err, n.Close()) }()
	run := uint64(time.Now().UnixNano())
	err = eachOf(ctx, coldClients, count, func(ctx context.Context, i int) error {
		item, err := dataitem.Create(evalDraft(process, run+uint64(i)), user)
		if err != nil {
			return err
		}
		_, _, err = n.Append(ctx, log.Proposal{Item: item})
		return err
	})
	if err != nil {
		return last, err
	}
	head, err := n.Head(ctx, process)
	if err != nil {
		return last, err
	}
	entry, err := n.Read(ctx, process, head.Nonce)
	return entry.Message, err
}

// checkpoint has a node make one of a process.
func checkpoint(ctx context.Context, dir, module string, process ao.ID) (err error) {
	n, err := openNode(ctx, dir, module, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.Close(ctx)) }()
	_, err = n.Checkpoint(ctx, process, false)
	return err
}

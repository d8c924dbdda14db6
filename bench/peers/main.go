// Command wallaby-peers measures one replicated log that is not Wallaby: three
// nodes of it in this process, on loopback and one disk, each append flushed by
// a majority before it is answered. It prints a measure.Result as JSON. It is a
// module of its own, so that none of what it needs is needed by wallaby.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/wallaby-ao/wallaby/internal/measure"
	"github.com/wallaby-ao/wallaby/internal/procs"
)

// peer is a running set of three nodes.
type peer interface {
	// append returns when a payload is durable on a majority. Several calls may
	// run at once.
	append(ctx context.Context, client int, payload []byte) error
	close() error
}

// options are what every peer is told.
type options struct {
	dir     string
	clients int
	bytes   int
}

// openers start each peer there is.
var openers = map[string]func(context.Context, options) (peer, error){
	"etcd":        openEtcd,
	"nats":        openNATS,
	"raft-boltdb": openBolt,
	"dragonboat":  openDragonboat,
}

// nodes is how many nodes replicate a log.
const nodes = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "wallaby-peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (err error) {
	var (
		o               options
		seconds, warmUp float64
		spare           int
	)
	flags := flag.NewFlagSet("wallaby-peers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := strings.Join(slices.Sorted(maps.Keys(openers)), ", ")
	flags.Usage = func() {
		fmt.Fprintf(stderr, "usage: wallaby-peers [flags] PEER\nPEER is one of %s, or list to name them.\n", names)
		flags.PrintDefaults()
	}
	flags.StringVar(&o.dir, "dir", "", "scratch `DIR` on the disk to measure (default a temporary one)")
	flags.IntVar(&o.clients, "clients", 256, "how many append at once")
	flags.IntVar(&o.bytes, "bytes", 1024, "size of a payload")
	flags.Float64Var(&seconds, "seconds", 4, "how long is counted")
	flags.Float64Var(&warmUp, "warm-up", 1, "seconds before that")
	flags.IntVar(&spare, "spare", 1, "GOMAXPROCS for each core")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 1 && flags.Arg(0) == "list" {
		return json.NewEncoder(stdout).Encode(slices.Sorted(maps.Keys(openers)))
	}
	open := openers[flags.Arg(0)]
	switch {
	case flags.NArg() != 1 || open == nil:
		return fmt.Errorf("name one peer of %s", names)
	case o.clients < 1 || o.bytes < 16 || seconds <= 0 || warmUp < 0 || spare < 1:
		return errors.New("want at least 1 client, 16 bytes, some seconds and no negative warm-up")
	}
	procs.Spare(spare)
	if o.dir, err = os.MkdirTemp(o.dir, "wallaby-peers-"); err != nil {
		return fmt.Errorf("make a scratch directory: %w", err)
	}
	defer os.RemoveAll(o.dir)
	p, err := open(ctx, o)
	if err != nil {
		return fmt.Errorf("start %s: %w", flags.Arg(0), err)
	}
	defer func() { err = errors.Join(err, p.close()) }()
	result, err := drive(ctx, p, o, measure.Loop{Clients: o.clients, WarmUp: duration(warmUp), Window: duration(seconds)})
	if err != nil {
		return fmt.Errorf("append to %s: %w", flags.Arg(0), err)
	}
	return json.NewEncoder(stdout).Encode(result)
}

func duration(seconds float64) time.Duration { return time.Duration(seconds * float64(time.Second)) }

// drive appends payloads that no disk or log can make smaller, no two the same.
func drive(ctx context.Context, p peer, o options, loop measure.Loop) (measure.Result, error) {
	template := make([]byte, o.bytes)
	random := rand.NewChaCha8([32]byte{1})
	_, _ = random.Read(template)
	var next atomic.Uint64
	return loop.Run(ctx, func(ctx context.Context, client int) error {
		payload := slices.Clone(template)
		binary.BigEndian.PutUint64(payload, next.Add(1))
		return p.append(ctx, client, payload)
	})
}

// startTimeout bounds how long the nodes of a peer may take to find a leader.
const startTimeout = 30 * time.Second

// until asks again and again until something is so.
func until(ctx context.Context, what string, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

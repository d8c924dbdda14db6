package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltdb "github.com/hashicorp/raft-boltdb/v2"
)

// bolt is hashicorp/raft as it is mostly used: raft-boltdb behind a log cache,
// its own TCP transport, and a state machine that keeps nothing. It is called
// without a network protocol in between, at the leader.
type bolt struct {
	nodes  [nodes]*raft.Raft
	stores [nodes]*boltdb.BoltStore
	leader *raft.Raft
}

func openBolt(ctx context.Context, o options) (peer, error) {
	addresses, err := freeAddresses(nodes)
	if err != nil {
		return nil, err
	}
	var servers []raft.Server
	for i, address := range addresses {
		servers = append(servers, raft.Server{ID: nodeID(i), Address: raft.ServerAddress(address)})
	}
	b := &bolt{}
	for i := range nodes {
		if err := b.start(i, o.dir, servers); err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	err = until(ctx, "a leader", func() bool {
		for _, n := range b.nodes {
			if n.State() == raft.Leader {
				b.leader = n
			}
		}
		return b.leader != nil
	})
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

func nodeID(i int) raft.ServerID { return raft.ServerID(fmt.Sprintf("n%d", i+1)) }

func (b *bolt) start(i int, dir string, servers []raft.Server) error {
	dir = filepath.Join(dir, string(nodeID(i)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	store, err := boltdb.New(boltdb.Options{Path: filepath.Join(dir, "raft.db")})
	if err != nil {
		return err
	}
	b.stores[i] = store
	cached, err := raft.NewLogCache(512, store)
	if err != nil {
		return err
	}
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Error, Output: os.Stderr})
	transport, err := raft.NewTCPTransportWithLogger(string(servers[i].Address), nil, 3, 10*time.Second, logger)
	if err != nil {
		return err
	}
	config := raft.DefaultConfig()
	config.LocalID = nodeID(i)
	config.Logger = logger
	// The same as wallaby's nodes have: with the defaults it is slower.
	config.MaxAppendEntries = 512
	config.BatchApplyCh = true
	snapshots := raft.NewDiscardSnapshotStore()
	if err := raft.BootstrapCluster(config, cached, store, snapshots, transport, raft.Configuration{Servers: servers}); err != nil {
		return err
	}
	b.nodes[i], err = raft.NewRaft(config, nothing{}, cached, store, snapshots, transport)
	return err
}

func (b *bolt) append(_ context.Context, _ int, payload []byte) error {
	return b.leader.Apply(payload, 0).Error()
}

func (b *bolt) close() error {
	var errs []error
	for _, n := range b.nodes {
		if n != nil {
			errs = append(errs, n.Shutdown().Error())
		}
	}
	for _, s := range b.stores {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// nothing is a state machine without a state.
type nothing struct{}

func (nothing) Apply(*raft.Log) any                  { return nil }
func (nothing) ApplyBatch(logs []*raft.Log) []any    { return make([]any, len(logs)) }
func (nothing) Snapshot() (raft.FSMSnapshot, error)  { return nothing{}, nil }
func (nothing) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }
func (nothing) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (nothing) Release()                             {}

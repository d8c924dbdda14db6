package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/lni/dragonboat/v3"
	"github.com/lni/dragonboat/v3/client"
	"github.com/lni/dragonboat/v3/config"
	"github.com/lni/dragonboat/v3/logger"
	"github.com/lni/dragonboat/v3/statemachine"
)

// boat is dragonboat with one group and a state machine that keeps nothing. It
// is called without a network protocol in between, at the leader.
type boat struct {
	hosts   [nodes]*dragonboat.NodeHost
	leader  *dragonboat.NodeHost
	session *client.Session
}

// boatGroup is the one group.
const boatGroup = 1

func openDragonboat(ctx context.Context, o options) (peer, error) {
	// Its words at level error are about connections that it closes at the end.
	for _, name := range []string{"config", "dragonboat", "grpc", "logdb", "raft", "raftpb", "rsm", "transport", "utils"} {
		logger.GetLogger(name).SetLevel(logger.CRITICAL)
	}
	addresses, err := freeAddresses(nodes)
	if err != nil {
		return nil, err
	}
	members := map[uint64]dragonboat.Target{}
	for i, address := range addresses {
		members[uint64(i+1)] = address
	}
	b := &boat{}
	for i, address := range addresses {
		b.hosts[i], err = dragonboat.NewNodeHost(config.NodeHostConfig{
			NodeHostDir: filepath.Join(o.dir, fmt.Sprintf("n%d", i+1)), RTTMillisecond: 10, RaftAddress: address,
		})
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
		err = b.hosts[i].StartCluster(members, false, newNoState, config.Config{
			NodeID: uint64(i + 1), ClusterID: boatGroup, ElectionRTT: 50, HeartbeatRTT: 10, CheckQuorum: true,
		})
		if err != nil {
			return nil, errors.Join(err, b.close())
		}
	}
	err = until(ctx, "a leader", func() bool {
		id, ok, err := b.hosts[0].GetLeaderID(boatGroup)
		if err == nil && ok {
			b.leader = b.hosts[id-1]
		}
		return b.leader != nil
	})
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	b.session = b.leader.GetNoOPSession(boatGroup)
	return b, nil
}

func (b *boat) append(ctx context.Context, _ int, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := b.leader.SyncPropose(ctx, b.session, payload)
		if !errors.Is(err, dragonboat.ErrSystemBusy) && !errors.Is(err, dragonboat.ErrClusterNotReady) {
			return err
		}
		time.Sleep(time.Millisecond)
	}
}

func (b *boat) close() error {
	for _, host := range b.hosts {
		if host != nil {
			host.Stop()
		}
	}
	return nil
}

// noState is a state machine without a state.
type noState struct{}

func newNoState(uint64, uint64) statemachine.IStateMachine { return noState{} }

func (noState) Update([]byte) (statemachine.Result, error) { return statemachine.Result{Value: 1}, nil }

func (noState) Lookup(any) (any, error) { return nil, nil }

func (noState) SaveSnapshot(io.Writer, statemachine.ISnapshotFileCollection, <-chan struct{}) error {
	return nil
}

func (noState) RecoverFromSnapshot(io.Reader, []statemachine.SnapshotFile, <-chan struct{}) error {
	return nil
}

func (noState) Close() error { return nil }

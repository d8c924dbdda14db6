package node

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"

	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/raft"
)

// openRestored refuses a directory to which a log has come back in part: a node on it
// would give places that are given already.
func (n *Node) openRestored(context.Context) error {
	if _, err := os.Stat(filepath.Join(n.dir, restoringFile)); err == nil {
		return fmt.Errorf("a restore into %s was cut off: run wallaby restore again, which goes on", n.dir)
	}
	return nil
}

func (n *Node) openGateway(context.Context) error {
	n.fallback = &fallback{}
	options := gateway.Options{
		Dir:      filepath.Join(n.dir, "gateway"),
		Signer:   n.authority,
		Now:      n.options.Now,
		Fallback: n.fallback,
		OnFatal:  n.fail,
		Logger:   n.options.Logger.With().Str("pkg", "gateway").Logger(),
	}
	if c := n.options.Cluster; c != nil && c.Chain.GenesisMS != 0 {
		options.GenesisMS, options.BlockIntervalMS = c.Chain.GenesisMS, c.Chain.IntervalMS
		seed := sha256.Sum256(n.scheduler.Owner())
		options.Seed = seed[:]
	}
	g, err := gateway.Open(options)
	if err != nil {
		return err
	}
	n.gateway = g
	n.onClose("gateway", func(context.Context) error { return g.Close() })
	return nil
}

func (n *Node) openLog(ctx context.Context) error {
	options := raft.Options{
		Dir:         filepath.Join(n.dir, "log"),
		Signer:      n.scheduler,
		BlockHeight: n.gateway.Height,
		Now:         n.options.Now,
		Logger:      n.options.Logger.With().Str("pkg", "log").Logger(),
		Fatal:       n.fail,
		Transport:   n.transport,
	}
	if c := n.options.Cluster; c != nil {
		options.Self, options.Voters = c.Self, c.founders()
		options.Mode, options.Operator, options.Operators = c.Mode, n.operator, c.operators()
		options.Evidence = n.keepEvidence
	}
	log, err := raft.Open(ctx, options)
	if err != nil {
		return err
	}
	n.log = log
	n.fallback.sources = append(n.fallback.sources, logItems{log})
	if n.transport != nil {
		n.fallback.sources = append(n.fallback.sources, peerItems{n})
	}
	n.onClose("log", func(context.Context) error { return log.Close() })
	return nil
}

func (n *Node) openEngine(ctx context.Context) error {
	drivers, err := n.openDrivers()
	if err != nil {
		return err
	}
	rules, err := machineRules(n.options.Machines, drivers)
	if err != nil {
		return err
	}
	n.drivers, n.machines = drivers, rules
	e, err := engine.Open(ctx, engine.Options{
		Log:                 n.log,
		DB:                  n.state.DB,
		Drivers:             drivers,
		Machines:            rules,
		Modules:             modules{n.gateway},
		Items:               items{n},
		Blocks:              n.blocks(),
		HotBytesMax:         n.options.HotMemoryBytes,
		Workers:             n.options.Workers,
		EvaluationTimeoutMS: n.options.EvaluationTimeoutMS,
		RootEvery:           n.options.RootEvery,
		Vouched:             n.vouched,
		AheadMessages:       n.options.AheadMessages,
		Fatal:               n.engineFailed,
		Now:                 n.options.Now,
		Logger:              n.options.Logger,
	})
	if err != nil {
		return err
	}
	n.engine = e
	n.onClose("engine", func(context.Context) error { return e.Close() })
	return nil
}

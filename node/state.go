package node

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/internal/kv"
)

// openState is the step of Open that opens the store of results.
func (n *Node) openState(context.Context) error {
	dir := n.stateDir()
	state, err := openState(dir, n.fail)
	if err != nil {
		return err
	}
	n.state = state
	n.onClose("results", func(context.Context) error { return state.Close() })
	return nil
}

func (n *Node) stateDir() string { return filepath.Join(n.dir, "state") }

// stateChecked is 1 when no table of the store of results is left to read through.
func (n *Node) stateChecked() int {
	select {
	case <-n.state.Checked():
		return 1
	default:
		return 0
	}
}

// engineFailed ends the node for a fault of the engine, which does not know where
// its store is.
func (n *Node) engineFailed(err error) {
	if errors.Is(err, engine.ErrDamaged) {
		err = stateError(n.stateDir(), err)
	}
	n.fail(err)
}

// openState opens the store of results, snapshots and outbox records. Its
// caches are small because a node on a laptop holds thousands of processes and
// reads most results once. It does not flush on every write: all it holds can
// be evaluated again from the log.
func openState(dir string, damage func(error)) (*kv.DB, error) {
	settings := badger.DefaultOptions(dir).
		WithMemTableSize(16 << 20).
		WithNumMemtables(2).
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(8 << 20).
		WithValueLogFileSize(128 << 20).
		WithNumCompactors(2).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithDetectConflicts(false)
	db, err := kv.Open(settings, func(err error) { damage(stateError(dir, err)) })
	if err != nil {
		return nil, stateError(dir, err)
	}
	return db, nil
}

func stateError(dir string, err error) error {
	return fmt.Errorf("results in %s: %w; they can be rebuilt from the log: move the directory away and start again", dir, err)
}

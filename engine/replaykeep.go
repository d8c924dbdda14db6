package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// replayKeepAfter is how long a replay runs before it keeps its state again.
const replayKeepAfter = 10 * time.Second

// keep stores the state that all machines have come to, and the hash of the results
// up to it, so that the replay can go on from there.
func (r *replayer) keep(entry aolog.Entry) error {
	o := &r.options
	if o.Keep == nil {
		return nil
	}
	if o.KeepAfter == 0 {
		o.KeepAfter = replayKeepAfter
	}
	now := r.engine.options.Now()
	if r.kept.IsZero() {
		r.kept = now
	}
	if now.Sub(r.kept) < o.KeepAfter {
		return nil
	}
	r.kept = now
	at := place{nonce: entry.Nonce}
	if err := r.compareRoots(at); err != nil {
		return err
	}
	if r.state.Divergence != nil {
		return errDiverged
	}
	if err := o.Keep(); err != nil {
		return err
	}
	hash := r.hashes[0]
	err := r.engine.store.db.Update(func(txn *badger.Txn) error {
		return txn.Set(placeKey(keyReplay, entry.Process, at), hash[:])
	})
	if err == nil {
		_, err = r.engine.snapshots.save(entry.Process, at, r.lives[0].machine)
	}
	if err != nil {
		return fmt.Errorf("keep the state of process %s at nonce %d: %w", entry.Process, entry.Nonce, err)
	}
	return nil
}

// resume puts all machines into the newest state that an earlier replay kept, if
// its results up to there are known, and gives the nonce to go on from.
func (r *replayer) resume(ctx context.Context, process ao.ID) (next uint64, err error) {
	if r.options.Keep == nil {
		return 0, nil
	}
	snapshots, err := r.engine.snapshots.list(process)
	if err != nil {
		return 0, err
	}
	for _, one := range snapshots {
		hash, err := r.engine.store.get(placeKey(keyReplay, process, one.at))
		if isMissing(err) || one.at.tick > 0 || one.at.nonce >= r.options.Have {
			continue
		}
		if err == nil {
			err = r.revive(ctx, process, one, ao.ID(hash))
		}
		if errors.Is(err, errSnapshot) {
			continue
		}
		return one.at.nonce + 1, err
	}
	return 0, nil
}

// revive exchanges the machines for ones in a state that was kept.
func (r *replayer) revive(ctx context.Context, process ao.ID, from snapshot, results ao.ID) error {
	for i, l := range r.lives {
		machine, err := r.engine.revive(l.module.code, r.engine.config(process, l.definition), from)
		if err != nil {
			return fmt.Errorf("restore the state at %s on %s: %w", from.at, r.state.Machines[i].VM, err)
		}
		if err := l.machine.Close(); err != nil {
			return errors.Join(err, machine.Close())
		}
		l.machine, r.hashes[i] = machine, results
	}
	r.state.Messages = from.at.nonce + 1
	return r.passOver(ctx, process, from.at.nonce)
}

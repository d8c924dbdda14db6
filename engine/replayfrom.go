package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// goOnFrom puts all machines into a state that was given, if that has its root, and
// gives the nonce to go on from. Which pushes were counted before is no part of a
// state, so a process that counts them cannot begin in one.
func (r *replayer) goOnFrom(ctx context.Context, process ao.ID, from ReplayFrom) (next uint64, err error) {
	if r.lives[0].authorities.Quorum > 0 {
		return 0, ao.Errorf(ao.CodeUnprocessable, "process %s has an Authority-Quorum: what it gets depends on its whole history", process)
	}
	for i, l := range r.lives {
		machine, err := l.module.code.New(ctx, r.engine.config(process, l.definition), from.State.Reader())
		if err != nil {
			return 0, fmt.Errorf("begin in the state at nonce %d on %s: %w", from.Nonce, r.state.Machines[i].VM, err)
		}
		if err := l.machine.Close(); err != nil {
			return 0, errors.Join(err, machine.Close())
		}
		l.machine = machine
		root, err := rootNow(machine)
		if err != nil {
			return 0, err
		}
		if root != from.Root {
			return 0, ao.Errorf(ao.CodeUnprocessable, "the state at nonce %d has root %s, not %s", from.Nonce, root, from.Root)
		}
	}
	return from.Nonce + 1, r.passOver(ctx, process, from.Nonce)
}

// passOver has all machines stand behind entries that led to their state.
func (r *replayer) passOver(ctx context.Context, process ao.ID, nonce uint64) error {
	return r.engine.options.Log.Range(ctx, process, 0, nonce, func(entry aolog.Entry) error {
		if _, err := r.withhold(ctx, entry, messageID(entry)); err != nil {
			return err
		}
		for _, l := range r.lives {
			l.step(entry)
		}
		return nil
	})
}

// show writes the state after a message to whoever wants it.
func (r *replayer) show(nonce uint64) error {
	if r.options.State == nil {
		return nil
	}
	w := r.options.State(nonce)
	if w == nil {
		return nil
	}
	if err := r.lives[0].machine.Snapshot(w); err != nil {
		return fmt.Errorf("read the state at nonce %d: %w", nonce, err)
	}
	return nil
}

package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// storedRoot is a root in the form in which it is stored: 32 bytes, and 32 of the
// fingerprint.
type storedRoot struct{ root, fingerprint ao.ID }

func (r storedRoot) encode() []byte { return append(r.root[:], r.fingerprint[:]...) }

func decodeStoredRoot(b []byte) (r storedRoot, err error) {
	if len(b) != 64 {
		return r, fmt.Errorf("stored state root has %d bytes, not 64", len(b))
	}
	return storedRoot{ao.ID(b[:32]), ao.ID(b[32:])}, nil
}

// noteRoot has the root of the state kept with the newest evaluation, if it is of a
// nonce whose root is wanted. Evaluations that were stored before get none.
func (e *Engine) noteRoot(l *live, b *batch, nonce uint64) error {
	if e.options.RootEvery == 0 || nonce%e.options.RootEvery != 0 || l.broken || len(b.items) == 0 {
		return nil
	}
	newest := &b.items[len(b.items)-1]
	if newest.at != (place{nonce: nonce}) {
		return nil
	}
	root, err := rootNow(l.machine)
	if isLost(err) {
		l.broken = true
		return err
	}
	if err != nil {
		// It is worked out when somebody asks for it.
		e.options.Logger.Warn().Str("pkg", "engine").Stringer("process", b.process).Stringer("place", newest.at).Err(err).Msg("the state root is not kept")
		return nil
	}
	newest.state = &storedRoot{root, fingerprint(l.definition)}
	return nil
}

func fingerprint(d *definition) ao.ID { return ao.ID(d.module.code.Info().Fingerprint) }

// Root gives the root of a process's newest state.
func (e *Engine) Root(ctx context.Context, process ao.ID) (root ao.StateRoot, err error) {
	copied, err := e.fork(ctx, process)
	if err != nil {
		return ao.StateRoot{}, err
	}
	defer func() { err = errors.Join(err, copied.machine.Close()) }()
	return e.stateRootOf(process, copied.last.place, copied.definition, copied.machine)
}

// rootOf works out the root of a machine's state.
func (e *Engine) stateRootOf(process ao.ID, at place, d *definition, machine vm.Process) (root ao.StateRoot, err error) {
	root = ao.StateRoot{Process: process, Nonce: at.nonce, Tick: at.tick, Fingerprint: fingerprint(d)}
	if root.Root, err = rootNow(machine); err != nil {
		return root, fmt.Errorf("process %s at %s: %w", process, at, err)
	}
	root.Snapshot, err = e.store.has(placeKey(keyManifest, process, at))
	return root, err
}

// RootAt gives the root of a process's state behind a nonce, or behind a tick of
// crons there. What is not stored is worked out from the nearest snapshot below.
func (e *Engine) RootAt(ctx context.Context, process ao.ID, nonce, tick uint64) (root ao.StateRoot, err error) {
	at := place{nonce, tick}
	if err := e.reached(ctx, process, at); err != nil {
		return root, err
	}
	root = ao.StateRoot{Process: process, Nonce: nonce, Tick: tick}
	value, err := e.store.get(placeKey(keyStateRoot, process, at))
	if err == nil {
		var stored storedRoot
		if stored, err = decodeStoredRoot(value); err != nil {
			return root, fmt.Errorf("process %s at %s: %w", process, at, err)
		}
		root.Root, root.Fingerprint = stored.root, stored.fingerprint
		root.Snapshot, err = e.store.has(placeKey(keyManifest, process, at))
		return root, err
	}
	if !isMissing(err) {
		return root, fmt.Errorf("read the state root of process %s at %s: %w", process, at, err)
	}
	err = e.inPast(ctx, process, at, func(_ context.Context, l *live) (err error) {
		root, err = e.stateRootOf(process, at, l.definition, l.machine)
		return err
	})
	return root, err
}

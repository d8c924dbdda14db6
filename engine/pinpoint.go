package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/vm"
)

// ReplayStates is what differs between the states of two machines, B being the one that
// the divergence is told of and A the one that it is told against.
type ReplayStates struct {
	RootA ao.ID `json:"rootA"`
	RootB ao.ID `json:"rootB"`
	diff.State
	// Globals are those of an aos process whose values differ.
	Globals []diff.Field `json:"globals,omitempty"`
}

// sinceBytesMax bounds the messages that are kept to be run again: when there are more,
// whole states are compared earlier.
const sinceBytesMax = 16 << 20

// since is what a replay needs to go back to where all machines last had one state.
type since struct {
	machines []vm.Process // in that state
	played   []played
	bytes    int
}

// played is a message that was run after that.
type played struct {
	at      place
	id      ao.ID
	message []byte
}

func (s *since) close(e *Engine) {
	for _, machine := range s.machines {
		if err := machine.Close(); err != nil {
			e.options.Logger.Warn().Str("pkg", "engine").Err(err).Msg("close a replayed process")
		}
	}
	*s = since{}
}

// note keeps a message, if a difference is to be traced back.
func (r *replayer) note(at place, id ao.ID, message []byte) {
	if r.options.Pinpoint && message != nil {
		r.since.played = append(r.since.played, played{at, id, message})
		r.since.bytes += len(message)
	}
}

// anchor notes that all machines have one state.
func (r *replayer) anchor(ctx context.Context) error {
	if !r.options.Pinpoint {
		return nil
	}
	r.since.close(r.engine)
	for i, l := range r.lives {
		machine, err := l.machine.Fork(ctx)
		if err != nil {
			return fmt.Errorf("copy the state on %s: %w", r.state.Machines[i].VM, err)
		}
		r.since.machines = append(r.since.machines, machine)
	}
	return nil
}

// pinpoint runs what came after the last state that was one again, and compares states
// after each message: they may have differed before any result did. Machines that
// are equal when they run it again are not deterministic: then only what differed stands.
func (r *replayer) pinpoint(ctx context.Context) error {
	if !r.options.Pinpoint || len(r.lives) < 2 {
		return nil
	}
	lives := make([]*live, len(r.lives))
	for i, l := range r.lives {
		lives[i] = &live{definition: l.definition, machine: r.since.machines[i]}
	}
	for _, p := range r.since.played {
		var firstResult []byte
		var firstRoot ao.ID
		for i, l := range lives {
			outcome, err := l.apply(ctx, p.message)
			if err != nil {
				return fmt.Errorf("%s on %s: %w", p.at, r.state.Machines[i].VM, err)
			}
			result := outcome.result.JSON()
			root, err := rootNow(l.machine)
			if err != nil {
				return fmt.Errorf("on %s: %w", r.state.Machines[i].VM, err)
			}
			if i == 0 {
				firstResult, firstRoot = result, root
			} else if string(result) != string(firstResult) || root != firstRoot {
				_ = r.diverge(p.at, p.id, i, string(result), r.state.Machines[0].VM, string(firstResult))
				return r.compareStates(ctx, lives[0], l, firstRoot, root)
			}
		}
	}
	return nil
}

// compareStates says what differs between two states.
func (r *replayer) compareStates(ctx context.Context, a, b *live, rootA, rootB ao.ID) error {
	states := &ReplayStates{RootA: rootA, RootB: rootB}
	r.state.Divergence.States = states
	if rootA == rootB {
		return nil
	}
	one, other := vm.NewState(), vm.NewState()
	if err := errors.Join(a.machine.Snapshot(one), b.machine.Snapshot(other)); err != nil {
		return fmt.Errorf("read the states: %w", err)
	}
	states.State = diff.States(one, other)
	states.Globals = diff.Fields(r.globals(ctx, a), r.globals(ctx, b))
	return nil
}

package engine

import (
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// shadow has a candidate take up a process's state before its next message, if one
// is wanted and does not run yet. Whatever goes wrong with a candidate costs the
// candidate, never the process.
func (e *Engine) shadow(id ao.ID, l *live) {
	if l.choice.Candidate == "" || l.candidate != nil || e.running.Err() != nil {
		return
	}
	candidate, err := e.startShadow(id, l)
	if err != nil && e.running.Err() != nil {
		return
	}
	if err != nil {
		e.refuse(id, l, fmt.Sprintf("it cannot take up the state behind %s: %v", l.last.place, err))
		return
	}
	l.candidate = candidate
}

func (e *Engine) startShadow(id ao.ID, l *live) (*live, error) {
	definition, err := e.defineOn(e.running, id, &l.choice.Candidate)
	if err != nil {
		return nil, err
	}
	var from vm.SnapshotReader
	if l.next != (place{}) {
		state := vm.NewState()
		if err := l.machine.Snapshot(state); err != nil {
			return nil, fmt.Errorf("read the state: %w", err)
		}
		from = state.Reader()
	}
	machine, err := definition.module.code.New(e.working, e.config(id, definition), from)
	if err != nil {
		return nil, err
	}
	return &live{definition: definition, machine: machine}, nil
}

// followChoice does what was chosen for a process since it was opened.
func (e *Engine) followChoice(p *process) {
	if p.live == nil {
		return
	}
	made := e.choices.of(p.id)
	if made.VM != p.live.choice.VM {
		e.putAway(p)
		return
	}
	if made != p.live.choice {
		e.closeCandidate(p.id, p.live)
		p.live.choice = made
	}
}

// compare runs a message on the candidate, too, after the process's own machine has.
// A candidate that has agreed often enough takes over.
func (e *Engine) compare(l *live, at place, message []byte, own outcome) {
	if l.candidate == nil {
		return
	}
	difference, err := e.difference(l, at, message, own)
	if err != nil && e.running.Err() != nil {
		return
	}
	if err != nil {
		difference = fmt.Sprintf("at %s: %v", at, err)
	}
	id := l.process.ID()
	if difference != "" {
		e.refuse(id, l, difference)
		return
	}
	if e.choices.agree(id) >= l.choice.Shadow {
		e.takeOver(id, at, l)
	}
}

// difference says in what a candidate differs after a message, or nothing.
func (e *Engine) difference(l *live, at place, message []byte, own outcome) (string, error) {
	other, err := l.candidate.apply(e.working, message)
	if err != nil {
		return "", err
	}
	if got, want := string(other.result.JSON()), string(own.result.JSON()); got != want || other.keep != own.keep {
		return fmt.Sprintf("its result at %s is %s, not %s", at, shorten(got), shorten(want)), nil
	}
	if l.broken || l.candidate.broken {
		return "", errors.New("a machine cannot go on")
	}
	want, err := rootNow(l.machine)
	if err != nil {
		return "", err
	}
	got, err := rootNow(l.candidate.machine)
	if err == nil && got != want {
		return fmt.Sprintf("its state after %s has root %s, not %s", at, got, want), nil
	}
	return "", err
}

// shortened is how much of a result a refusal shows.
const shortened = 300

func shorten(text string) string {
	if len(text) <= shortened {
		return text
	}
	return text[:shortened] + "…"
}

// rootNow gives the root of a machine's state.
func rootNow(machine vm.Process) (ao.ID, error) {
	state, err := stateroot.Of(machine)
	if err != nil {
		return ao.ID{}, err
	}
	return state.Root(), nil
}

// refuse gives a candidate up.
func (e *Engine) refuse(id ao.ID, l *live, why string) {
	e.options.Logger.Warn().Str("pkg", "engine").Stringer("process", id).Str("vm", l.choice.Candidate).Str("reason", why).
		Msg("the virtual machine is not taken: the process stays on its own")
	e.choose(id, l, choice{VM: l.choice.VM, Refused: l.choice.Candidate + ": " + why})
	e.closeCandidate(id, l)
}

// takeOver makes the candidate the process's machine.
func (e *Engine) takeOver(id ao.ID, at place, l *live) {
	e.options.Logger.Info().Str("pkg", "engine").Stringer("process", id).Str("vm", l.choice.Candidate).
		Stringer("place", at).Uint64("messages", l.choice.Shadow).Msg("the virtual machine has agreed on all messages and takes over")
	e.choose(id, l, choice{VM: l.choice.Candidate})
	l.machine, l.definition, l.candidate.machine = l.candidate.machine, l.candidate.definition, l.machine
	l.bytes = 0
	e.closeCandidate(id, l)
}

// choose stores a choice that a comparison came to. If it cannot be stored, the
// comparison is made again at the next start.
func (e *Engine) choose(id ao.ID, l *live, made choice) {
	if e.choices.of(id) != l.choice {
		return // an operator has chosen anew
	}
	if err := e.choices.set(id, made); err != nil {
		e.options.Logger.Error().Str("pkg", "engine").Err(err).Msg("keep the choice of a virtual machine")
		return
	}
	l.choice = made
}

func (e *Engine) closeCandidate(id ao.ID, l *live) {
	if l.candidate == nil {
		return
	}
	if err := l.candidate.machine.Close(); err != nil {
		e.options.Logger.Warn().Str("pkg", "engine").Stringer("process", id).Err(err).Msg("close the candidate")
	}
	l.candidate = nil
}

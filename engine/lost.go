package engine

import (
	"errors"
	"fmt"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// loss remembers where a process last lost its machine.
type loss struct {
	at    place
	known bool
}

// MachineFailure is a message that cost its virtual machine twice in a row, and so
// has no result yet.
type MachineFailure struct {
	Nonce  uint64 `json:"nonce"`
	Tick   uint64 `json:"tick,omitempty"` // of a cron behind Nonce
	Reason string `json:"reason"`         // of the last loss
	Times  uint64 `json:"times"`          // how often two in a row were lost there
	next   place  // the first one without a result, which is not before Nonce and Tick
}

// failuresMax bounds the failures that are remembered.
const failuresMax = 1000

// failures remembers for operators which processes wait before such a message. It
// is safe for concurrent use.
type failures struct {
	mu sync.Mutex
	of map[ao.ID]MachineFailure
}

func (f *failures) add(process ao.ID, at, next place, reason string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[ao.ID]MachineFailure{}
	}
	failure := f.of[process]
	if (place{failure.Nonce, failure.Tick}) != at {
		failure = MachineFailure{Nonce: at.nonce, Tick: at.tick}
	}
	failure.Reason, failure.next = reason, next
	failure.Times++
	for other := range f.of {
		if len(f.of) < failuresMax {
			break
		}
		delete(f.of, other)
	}
	f.of[process] = failure
}

// before gives the failure that a process waits before whose first place without a
// result is next; nil if there is none, or the process has gone on.
func (f *failures) before(process ao.ID, next place) *MachineFailure {
	f.mu.Lock()
	defer f.mu.Unlock()
	failure, ok := f.of[process]
	if !ok || failure.next != next {
		delete(f.of, process)
		return nil
	}
	return &failure
}

// lost deals with a machine that is gone: it crashed, hung or took too much. The
// process gets a new one and tries the same message once more. A message that
// costs its machine twice is a failure of the virtual machine and no result: the
// process waits before it, everybody who asks is told, and it is tried again
// later, as every process that cannot go on. It reports whether the process goes
// on at once.
func (e *Engine) lost(p *process, err error) (again bool, failure error) {
	gone, ok := errors.AsType[*vm.LostError](err)
	if !ok {
		return false, err
	}
	at := place{nonce: p.evaluated.next.message()}
	if p.live != nil {
		at = p.live.trying
		p.live.broken = true
	}
	e.counters.lost.Add(1)
	first := !p.loss.known || p.loss.at != at
	p.loss = loss{at: at, known: first}
	log := e.options.Logger.Warn().Str("pkg", "engine").Stringer("process", p.id).Stringer("place", at).Str("reason", gone.Reason)
	if first {
		log.Msg("the virtual machine was lost: the message is tried once more on a new one")
		return true, nil
	}
	e.counters.vmFailures.Add(1)
	e.failures.add(p.id, at, p.evaluated.next, gone.Reason)
	log.Msg("the virtual machine was lost twice at this message")
	return false, &ao.Error{
		Code:    ao.CodeUnavailable,
		Message: fmt.Sprintf("the virtual machine of process %s was lost twice at %s (%s): the message has no result yet and is tried again later", p.id, at, gone.Reason),
		Cause:   err,
	}
}

func isLost(err error) bool {
	_, ok := errors.AsType[*vm.LostError](err)
	return ok
}

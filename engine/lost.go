package engine

import (
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// loss remembers where a process last lost its machine.
type loss struct {
	at    place
	known bool
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
	log.Msg("the virtual machine was lost twice at this message")
	return false, &ao.Error{
		Code:    ao.CodeInternal,
		Message: fmt.Sprintf("the virtual machine of process %s was lost twice at %s (%s): the message has no result yet and is tried again later", p.id, at, gone.Reason),
		Cause:   err,
	}
}

func isLost(err error) bool {
	_, ok := errors.AsType[*vm.LostError](err)
	return ok
}

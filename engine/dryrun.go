package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// forkRequest asks a process's owner for a copy of the state once that has come to
// a goal.
type forkRequest struct {
	goal
	done chan forkAnswer // buffered
}

type forkAnswer struct {
	fork *fork
	err  error
}

// fork is a copy of a process's state for one use at a time.
type fork struct {
	*definition
	machine vm.Process
	reach           // up to where the state has come
	last    applied // what led to the state
	broken  bool    // it cannot be used again
	bytes   uint64  // its memory, while it is idle
}

// serveForks hands out copies to those whose goal has been reached.
func (e *Engine) serveForks(p *process) (lost error) {
	for _, request := range e.table.takeForks(p, p.live.reach) {
		if lost != nil {
			e.table.returnFork(p, request)
			continue
		}
		machine, err := p.live.machine.Fork(e.working)
		if isLost(err) {
			lost = err
			e.table.returnFork(p, request)
			continue
		}
		if err != nil {
			request.done <- forkAnswer{err: fmt.Errorf("copy the state of process %s: %w", p.id, err)}
			continue
		}
		request.done <- forkAnswer{fork: &fork{definition: p.live.definition, machine: machine, reach: p.live.reach, last: p.live.last}}
	}
	return lost
}

// fork gives a copy of a process's state at its present head, or later. The
// caller closes it.
func (e *Engine) fork(ctx context.Context, id ao.ID) (*fork, error) {
	head, err := e.head(ctx, id)
	if err != nil {
		return nil, err
	}
	if row, err := e.aheadOf(ctx, id, place{nonce: head.Nonce}); err != nil {
		return nil, err
	} else if row != nil {
		return e.forkAhead(ctx, id, place{nonce: head.Nonce})
	}
	request := &forkRequest{goal: newest(head), done: make(chan forkAnswer, 1)}
	e.table.request(id, request.goal, func(row *process) bool {
		row.forks = append(row.forks, request)
		return true
	})
	select {
	case answer := <-request.done:
		return answer.fork, answer.err
	case <-ctx.Done():
		if !e.table.dropFork(id, request) {
			if answer := <-request.done; answer.fork != nil {
				return nil, answer.fork.machine.Close()
			}
		}
		return nil, ctx.Err()
	}
}

// DryRun tries a message on a copy of a process's newest state, or of the state
// behind message to. Nothing is stored. A full queue gives CodeRateLimited.
func (e *Engine) DryRun(ctx context.Context, process ao.ID, message DryRunMessage, to *ao.ID) (ao.Result, error) {
	if to == nil {
		return e.dryRunNow(ctx, process, message, nil)
	}
	nonce, err := e.find(ctx, process, *to)
	if err != nil {
		return ao.Result{}, err
	}
	head, err := e.head(ctx, process)
	if err != nil {
		return ao.Result{}, err
	}
	if nonce == head.Nonce {
		result, err := e.dryRunNow(ctx, process, message, &nonce)
		if !errors.Is(err, errGoneOn) {
			return result, err
		}
	}
	return e.DryRunAt(ctx, process, message, nonce, 0)
}

// DryRunAt tries a message on a process's state behind a nonce, or behind a tick of
// crons there.
func (e *Engine) DryRunAt(ctx context.Context, process ao.ID, message DryRunMessage, nonce, tick uint64) (result ao.Result, err error) {
	if err := message.check(); err != nil {
		return ao.Result{}, err
	}
	e.counters.dryRuns.Add(1)
	err = e.copyPast(ctx, process, place{nonce, tick}, func(ctx context.Context, copied *fork) (err error) {
		result, err = e.tryOut(ctx, process, copied, message)
		return errors.Join(err, copied.machine.Close())
	})
	return result, err
}

var errGoneOn = errors.New("the process has gone on")

// dryRunNow tries a message on the newest state. If that is not behind a wanted
// nonce, it gives errGoneOn.
func (e *Engine) dryRunNow(ctx context.Context, process ao.ID, message DryRunMessage, wanted *uint64) (result ao.Result, err error) {
	if err := message.check(); err != nil {
		return ao.Result{}, err
	}
	leave, err := e.dryRuns.enter(ctx)
	if err != nil {
		return ao.Result{}, err
	}
	defer leave()
	e.counters.dryRuns.Add(1)
	result, err = e.dryRun(ctx, process, message, wanted, e.borrow)
	if isLost(err) {
		// The copy was of a machine that is gone; a fresh one is of a new machine.
		result, err = e.dryRun(ctx, process, message, wanted, e.fork)
	}
	return result, err
}

func (e *Engine) dryRun(ctx context.Context, process ao.ID, message DryRunMessage, wanted *uint64, get func(context.Context, ao.ID) (*fork, error)) (result ao.Result, err error) {
	copied, err := get(ctx, process)
	if err != nil {
		return ao.Result{}, err
	}
	defer func() {
		if closeErr := e.giveBack(copied); err == nil {
			err = closeErr
		}
	}()
	if wanted != nil && *wanted != copied.last.nonce {
		return ao.Result{}, errGoneOn
	}
	return e.tryOut(ctx, process, copied, message)
}

func (e *Engine) tryOut(ctx context.Context, process ao.ID, copied *fork, message DryRunMessage) (ao.Result, error) {
	// A client that goes away, and a node that stops, end the run.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.working, cancel)()
	return tryOut(ctx, process, copied, message)
}

func tryOut(ctx context.Context, process ao.ID, copied *fork, message DryRunMessage) (ao.Result, error) {
	l := &live{definition: copied.definition, machine: copied.machine}
	output, err := l.handle(ctx, appendDryRunMessage(nil, process, message, copied.last.timestampMS, copied.last.blockHeight))
	copied.broken = l.broken || isLost(err)
	if err == nil {
		var decoded outcome
		if decoded, err = decodeResponse(output.Response, output.GasUsed); err == nil {
			return decoded.result, nil
		}
		err = notJSON(err)
	}
	if failed, ok := decodeFailure(err); ok {
		return failed.result, nil
	}
	if ctx.Err() != nil {
		return ao.Result{}, ctx.Err()
	}
	return ao.Result{}, fmt.Errorf("dry run on process %s: %w", process, err)
}

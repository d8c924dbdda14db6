package engine

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// dryRunPool bounds dry runs, apart from evaluation, which they never delay.
type dryRunPool struct {
	slots   chan struct{} // one for each that may run
	places  int64         // how many may run or wait
	inHand  atomic.Int64
	closing chan struct{}

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func newDryRunPool(workers, queueMax int) *dryRunPool {
	return &dryRunPool{
		slots:   make(chan struct{}, workers),
		places:  int64(workers + queueMax),
		closing: make(chan struct{}),
	}
}

func (p *dryRunPool) count() int { return int(p.inHand.Load()) }

// close lets no more dry runs begin.
func (p *dryRunPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.closing)
}

func (p *dryRunPool) wait() { p.wg.Wait() }

// enter takes a slot, after waiting in the queue if that has room.
func (p *dryRunPool) enter(ctx context.Context) (func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosing()
	}
	if p.inHand.Add(1) > p.places {
		p.inHand.Add(-1)
		return nil, ao.Errorf(ao.CodeRateLimited, "Dry-Run enqueue limit exceeded: %d dry runs are waiting, try again later", p.places)
	}
	p.wg.Add(1)
	leave := func() { p.inHand.Add(-1); p.wg.Done() }
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; leave() }, nil
	case <-p.closing:
		leave()
		return nil, errClosing()
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

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
// at message to, as long as that is the newest. Nothing is stored. A full queue
// gives CodeRateLimited.
func (e *Engine) DryRun(ctx context.Context, process ao.ID, message DryRunMessage, to *ao.ID) (result ao.Result, err error) {
	if message.Owner == "" {
		return ao.Result{}, ao.Errorf(ao.CodeInvalid, "a dry run needs an Owner: the address that the message would come from")
	}
	leave, err := e.dryRuns.enter(ctx)
	if err != nil {
		return ao.Result{}, err
	}
	defer leave()
	e.counters.dryRuns.Add(1)
	var wanted *uint64
	if to != nil {
		nonce, err := e.find(ctx, process, *to)
		if err != nil {
			return ao.Result{}, err
		}
		wanted = &nonce
	}
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
		return ao.Result{}, ao.Errorf(ao.CodeUnprocessable,
			"a dry run at nonce %d is not possible: the process has gone on to nonce %d, and only its newest state is kept at hand",
			*wanted, copied.last.nonce)
	}
	return e.tryOut(ctx, process, copied, message)
}

func (e *Engine) tryOut(ctx context.Context, process ao.ID, copied *fork, message DryRunMessage) (ao.Result, error) {
	// A client that goes away, and a node that stops, end the run.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.working, cancel)()
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

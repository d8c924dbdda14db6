package raft

import (
	"context"
	"errors"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Promise has the process's group agree on a time; see log.Log. The leader says
// what time it is, so a promise holds whoever leads next.
func (n *Node) Promise(ctx context.Context, promise log.Promise) (log.Head, error) {
	head, err := n.Head(ctx, promise.Process)
	if err == nil && !promise.Skip && promise.UntilMS <= max(head.TimestampMS, head.PromisedMS) {
		return head, nil
	}
	if err := n.agree(ctx, promise.Process, log.Control{Promise: &promise}); err != nil {
		return log.Head{}, err
	}
	return n.Head(ctx, promise.Process)
}

// Watch has the process's group note whether its crons are driven; see log.Log.
func (n *Node) Watch(ctx context.Context, process ao.ID, on bool) (changed bool, err error) {
	if err := n.Sync(ctx, process); err != nil {
		return false, err
	}
	before, err := n.index.Watch(process)
	if err != nil || before.On == on {
		return false, err
	}
	return true, n.agree(ctx, process, log.Control{Watch: &log.Watch{Process: process, On: on}})
}

// Watches lists all that was said about whether a process's crons are driven; see
// log.Log.
func (n *Node) Watches(_ context.Context, process ao.ID) ([]log.Watch, error) {
	return n.index.Watches(process)
}

// Skips lists time that a process's crons leave out; see log.Log.
func (n *Node) Skips(_ context.Context, process ao.ID, nonce uint64) ([]log.Skip, error) {
	return n.index.Skips(process, nonce)
}

// Watched lists processes whose crons are driven; see log.Log.
func (n *Node) Watched(_ context.Context, after ao.ID, limit int) ([]ao.ID, error) {
	return n.index.Watched(after, limit)
}

// agree has whichever group orders a process take a control, and returns once
// this node has applied it. What it asks for may be asked for again.
func (n *Node) agree(ctx context.Context, process ao.ID, c log.Control) error {
	var last error
	for deadline := n.options.Now().Add(patience); n.options.Now().Before(deadline); {
		g, err := n.route(ctx, log.Proposal{Process: process, Message: process})
		if err == nil {
			if err = n.ask(ctx, askRequest{g.id, c}); err == nil {
				return n.Sync(ctx, process)
			}
		}
		if errors.Is(err, log.ErrClosed) {
			return ao.Errorf(ao.CodeUnavailable, "the scheduler is stopping: try again: %w", log.ErrClosed)
		}
		if !errors.Is(err, errMoved) {
			return err
		}
		last = err
		if err := n.pause(ctx); err != nil {
			return err
		}
	}
	return ao.Errorf(ao.CodeUnavailable, "no majority of the nodes orders process %s: try again: %w", process, last)
}

// completePromise makes a promise one for this leader's clock, and has what it signs
// next come after it.
func (p *pipeline) completePromise(promise *log.Promise, number uint64) error {
	promise.UntilMS = min(promise.UntilMS, p.node.options.Now().UnixMilli())
	return p.passTime(promise.Process, number, func(log.Head) log.Promise { return *promise })
}

// completeWatch has a watch count from now on, after all that was promised.
func (p *pipeline) completeWatch(w *log.Watch, number uint64) error {
	return p.passTime(w.Process, number, func(head log.Head) log.Promise {
		w.FromMS = max(head.TimestampMS, head.PromisedMS, p.node.options.Now().UnixMilli())
		return log.Promise{Process: w.Process, UntilMS: w.FromMS}
	})
}

func (p *pipeline) passTime(process ao.ID, number uint64, promise func(log.Head) log.Promise) error {
	if err := p.admits(process); err != nil {
		return err
	}
	head, started, err := p.head(process)
	switch {
	case err != nil:
		return err
	case !started:
		return moved("%w", errNotOrderedHere)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.heads[process] = speculative{head: head.Promised(promise(head)), flight: number}
	return nil
}

// promise moves a process's time on.
func (b *applyBatch) promise(promise log.Promise) (applyResult, error) {
	o, err := b.ordering(promise.Process)
	switch {
	case err != nil:
		return applyResult{}, err
	case !o.started || o.Sealed:
		return applyResult{refused: errNotOrderedHere}, nil
	}
	if skip, ok := promise.SkipOf(o.Head); ok {
		b.changes.Skips = append(b.changes.Skips, skip)
	}
	next := o.Ordering
	next.Head = next.Promised(promise)
	b.set(next)
	return applyResult{}, nil
}

// watch notes from when on a process's crons are driven, or are not. What an
// earlier epoch's group says, which a node may apply later, is not the newest.
func (b *applyBatch) watch(w log.Watch) (applyResult, error) {
	o, err := b.ordering(w.Process)
	switch {
	case err != nil:
		return applyResult{}, err
	case !o.started || o.Sealed:
		return applyResult{refused: errNotOrderedHere}, nil
	}
	next := o.Ordering
	next.Head = next.Promised(log.Promise{Process: w.Process, UntilMS: w.FromMS})
	b.set(next)
	before, err := b.fsm.index.Watch(w.Process)
	if before.FromMS > w.FromMS {
		b.changes.LateWatches = append(b.changes.LateWatches, w)
	} else {
		b.changes.Watches = append(b.changes.Watches, w)
	}
	return applyResult{}, err
}

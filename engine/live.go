package engine

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
)

// live is a process's instance and where it stands. Its owner alone uses it.
type live struct {
	*definition
	machine vm.Process
	reach                 // up to where the state has come
	message ao.Assignment // of the newest message before that
	last    applied       // of messages and ticks
	trying  place         // what was run last, whatever came of it
	ticks   *ticks        // behind the message; nil: not begun
	catchUp catchUp
	// broken says that the instance cannot go on and must be made anew.
	broken   bool
	vouched  bool   // it began at a state that others have signed
	since    effort // what going from the newest snapshot to here took
	count    uint64 // of what was applied since it was opened
	bytes    uint64 // memory in use at count measured
	measured uint64
	// choice is what it was opened for; candidate, if there is one, has applied
	// the same messages.
	choice    choice
	candidate *live
}

// applied is what a state was led to by.
type applied struct {
	place
	timestampMS int64
	blockHeight uint64
}

// open makes an instance of a process in the newest state that has a snapshot,
// at most as far as the evaluations reach.
func (e *Engine) open(p *process, next place) (*live, error) {
	chosen := e.choices.of(p.id)
	definition, err := e.define(e.running, p.id)
	if err != nil {
		return nil, err
	}
	l, err := e.openBefore(p.id, definition, next)
	if err == nil {
		l.choice = chosen
	}
	return l, err
}

// openBefore makes an instance in the newest state before a place that has a
// snapshot, or in the module's own.
func (e *Engine) openBefore(id ao.ID, definition *definition, next place) (*live, error) {
	config := e.config(id, definition)
	machine, last, err := e.restore(id, definition.module.code, config, next)
	if err != nil {
		return nil, fmt.Errorf("restore process %s: %w", id, err)
	}
	if machine == nil {
		if machine, err = definition.module.code.New(e.working, config, nil); err != nil {
			return nil, startFailure(id, err)
		}
		return &live{definition: definition, machine: machine}, nil
	}
	l := &live{definition: definition, machine: machine}
	if err := e.resume(l, id, last); err != nil {
		return nil, errors.Join(err, machine.Close())
	}
	return l, nil
}

// resume says what led to a state that was restored.
func (e *Engine) resume(l *live, id ao.ID, last place) error {
	entry, err := e.options.Log.Read(e.running, id, last.nonce)
	if err != nil {
		return fmt.Errorf("read process %s at nonce %d: %w", id, last.nonce, err)
	}
	l.step(entry)
	if last.tick > 0 {
		stored, err := e.store.record(id, last)
		if isMissing(err) {
			err = errMissing(id, last)
		}
		if err != nil {
			return err
		}
		l.next, l.last = last.after(), applied{last, stored.timestampMS, stored.blockHeight}
	}
	l.count = 0
	return nil
}

func (e *Engine) config(process ao.ID, d *definition) vm.Config {
	return configOf(process, d, &e.options)
}

func configOf(process ao.ID, d *definition, o *Options) vm.Config {
	return vm.Config{
		Process:          process,
		MemoryLimitBytes: d.limits.memoryBytes,
		OutputLimitBytes: o.OutputMaxBytes,
		TimeoutMS:        o.EvaluationTimeoutMS,
		Host:             o.Host,
	}
}

// startFailure says why a module cannot begin: its fault, unless the node is
// stopping.
func startFailure(process ao.ID, err error) error {
	code := ao.CodeUnprocessable
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case isLost(err):
		return err
	case errors.Is(err, vm.ErrMemoryLimit):
		code = ao.CodeTooLarge
	}
	return &ao.Error{Code: code, Message: fmt.Sprintf("process %s cannot start: %v", process, err), Cause: err}
}

// handle runs one message. A panic of a driver is an error: a guest that finds
// a driver's fault must not take the node down with it.
func (l *live) handle(ctx context.Context, message []byte) (output vm.Output, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			l.broken = true
			err = fmt.Errorf("virtual machine panicked: %v\n%s", fault, debug.Stack())
		}
	}()
	return l.machine.Handle(ctx, vm.Call{Message: message, Env: l.env, GasLimit: max(1, l.limits.gas)})
}

// apply runs one message and says what came of it. An error means that the
// message has no result yet: the instance is then broken, or untouched.
func (l *live) apply(ctx context.Context, message []byte) (outcome, error) {
	output, err := l.handle(ctx, message)
	if err == nil {
		var result outcome
		if result, err = decodeResponse(output.Response, output.GasUsed); err != nil {
			err = notJSON(err)
		} else if !result.keep {
			return result, nil
		} else {
			l.rollback(ctx)
			return result, nil
		}
	}
	failed, ok := decodeFailure(err)
	if !ok {
		l.broken = true
		return outcome{}, err
	}
	l.rollback(ctx)
	return failed, nil
}

// rollback undoes the last message; an instance that cannot is made anew.
func (l *live) rollback(ctx context.Context) {
	if l.broken {
		return
	}
	defer func() {
		if recover() != nil {
			l.broken = true
		}
	}()
	if err := l.machine.Rollback(ctx); err != nil {
		l.broken = true
	}
}

// follows checks that an entry is the next link of the process's hash chain.
func (l *live) follows(entry aolog.Entry) error {
	want := ao.FirstHashChain(entry.Process)
	if l.next.message() > 0 {
		want = ao.NextHashChain(l.message.ID, l.message.HashChain)
	}
	if entry.Nonce != l.next.message() || entry.HashChain != want {
		return fmt.Errorf("%w: process %s at nonce %d: entry has nonce %d and hash chain %s, the chain before it gives %s",
			aolog.ErrCorrupt, entry.Process, l.next.message(), entry.Nonce, entry.HashChain, want)
	}
	return nil
}

// step moves past an entry.
func (l *live) step(entry aolog.Entry) {
	at := place{nonce: entry.Nonce}
	l.reach = reach{next: at.after()}
	l.message, l.last, l.ticks = entry.Assignment, applied{at, entry.TimestampMS, entry.BlockHeight}, nil
	if l.crons == nil {
		l.timeMS = allTime
	}
	l.count++
}

// message builds what the guest gets for an entry.
func (e *Engine) message(b []byte, entry aolog.Entry) ([]byte, error) {
	return messageOf(e.running, b, entry, e.options.Items)
}

func messageOf(ctx context.Context, b []byte, entry aolog.Entry, items ItemSource) ([]byte, error) {
	if !entry.IsBare() {
		item, err := itemOf(entry)
		if err != nil {
			return nil, err
		}
		return appendItemMessage(b, entry, item), nil
	}
	tx, err := lookUp(ctx, entry, items, !slices.Contains(entry.Exclude, "Data"))
	if err != nil {
		return nil, err
	}
	return appendBareMessage(b, entry, tx), nil
}

// itemOf parses an entry's item, which was checked before it came into the log.
func itemOf(entry aolog.Entry) (*dataitem.Item, error) {
	item, err := entry.Item()
	if err != nil {
		return nil, fmt.Errorf("%w: item at nonce %d of process %s: %w", aolog.ErrCorrupt, entry.Nonce, entry.Process, err)
	}
	return item, nil
}

// lookUp finds what a bare assignment names.
func lookUp(ctx context.Context, entry aolog.Entry, items ItemSource, withData bool) (TxMeta, error) {
	if items == nil {
		return TxMeta{}, ao.Errorf(ao.CodeUnprocessable, "message %s was assigned without its content, which this node cannot look up", entry.Message)
	}
	tx, err := items.Item(ctx, entry.Message, withData)
	if err != nil {
		return TxMeta{}, fmt.Errorf("look up %s, assigned to process %s at nonce %d: %w", entry.Message, entry.Process, entry.Nonce, err)
	}
	return tx, nil
}

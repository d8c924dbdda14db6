package engine

import (
	"context"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
)

// Trials runs processes in memory, one message at a time and when it is told to. What
// a message comes to is what an Engine makes of it, but nothing is stored, and a
// process with an Authority-Quorum gets each push at once.
type Trials struct {
	options Options
	modules *moduleCache
}

// NewTrials takes of the options what has to do with modules, items, blocks and limits.
func NewTrials(options Options) *Trials {
	options = options.limited()
	return &Trials{options, newModuleCache(options)}
}

// Trial is one process. It is used by one goroutine at a time.
type Trial struct {
	options *Options
	live    *live
}

// Trialed is what a message or a tick of a cron came to.
type Trialed struct {
	Result ao.Result
	// Effects are what the result asks a messenger to do.
	Effects []Effect
	// Cron names the cron whose tick it was, e.g. "0-10-minutes"; "": a message's.
	Cron string
}

// Open makes a process in its module's initial state. Its first entry is to be given to
// Handle, too.
func (t *Trials) Open(ctx context.Context, first aolog.Entry) (*Trial, error) {
	item, err := itemOf(first)
	if err != nil {
		return nil, err
	}
	id, err := ao.ParseID(item.Tags.Get(ao.TagModule))
	if err != nil {
		return nil, ao.Errorf(ao.CodeUnprocessable, "process %s names no module: %w", first.Process, err)
	}
	module, err := t.modules.load(ctx, id, item.Tags.Get(ao.TagVM))
	if err != nil {
		return nil, err
	}
	definition, err := newDefinition(first, item, module, &t.options)
	if err != nil {
		return nil, err
	}
	machine, err := module.code.New(ctx, configOf(first.Process, definition, &t.options), nil)
	if err != nil {
		return nil, startFailure(first.Process, err)
	}
	return &Trial{&t.options, &live{definition: definition, machine: machine}}, nil
}

// Handle evaluates the next entry of the process's log.
func (t *Trial) Handle(ctx context.Context, entry aolog.Entry) (e Trialed, err error) {
	l := t.live
	if err := l.follows(entry); err != nil {
		return e, err
	}
	message, err := messageOf(ctx, nil, entry, t.options.Items)
	if err != nil {
		return e, err
	}
	root, err := rootOf(ctx, entry, messageID(entry), t.options.Items)
	if err != nil {
		return e, err
	}
	if e, err = t.apply(ctx, place{nonce: entry.Nonce}, message, root); err == nil {
		l.step(entry)
	}
	return e, err
}

// NextTick says when the next tick of the process's crons before a time is due.
func (t *Trial) NextTick(ctx context.Context, untilMS int64) (dueMS int64, due bool, err error) {
	ahead, err := t.ticks()
	if ahead == nil || err != nil {
		return 0, false, err
	}
	looked := *ahead
	next, due, err := looked.next(ctx, untilMS)
	return next.atMS, due, err
}

// Tick evaluates the next tick that is due before a time; false: there is none.
func (t *Trial) Tick(ctx context.Context, untilMS int64) (e Trialed, due bool, err error) {
	g, err := t.ticks()
	if g == nil || err != nil {
		return e, false, err
	}
	next, due, err := g.next(ctx, untilMS)
	if err != nil || !due {
		return e, false, err
	}
	at := place{t.live.next.nonce, next.number}
	if e, err = t.apply(ctx, at, appendTickMessage(nil, t.live.process, next), ao.ID{}); err != nil {
		return e, false, err
	}
	e.Cron = next.name
	t.live.stepTick(at, next)
	return e, true, nil
}

// ticks gives those behind the newest message; nil: the process has no crons, or no
// message yet.
func (t *Trial) ticks() (*ticks, error) {
	l := t.live
	if l.crons == nil || l.next.tick == 0 {
		return nil, nil
	}
	if l.ticks == nil {
		l.ticks = l.crons.ticksBehind(l.message, nil)
	}
	return l.ticks, nil
}

func (t *Trial) apply(ctx context.Context, at place, message []byte, root ao.ID) (e Trialed, err error) {
	done, err := t.live.apply(ctx, message)
	if err != nil {
		return e, fmt.Errorf("evaluate process %s at %s: %w", t.live.process.ID(), at, err)
	}
	e.Result = done.result
	e.Effects = effectsOf(done.result)
	for i := range e.Effects {
		e.Effects[i].Process, e.Effects[i].Root = t.live.process.ID(), root
		e.Effects[i].Nonce, e.Effects[i].Tick = at.nonce, at.tick
	}
	return e, nil
}

// DryRun tries a message on a copy of the process.
func (t *Trial) DryRun(ctx context.Context, message DryRunMessage) (result ao.Result, err error) {
	if err := message.check(); err != nil {
		return result, err
	}
	machine, err := t.live.machine.Fork(ctx)
	if err != nil {
		return result, fmt.Errorf("copy process %s: %w", t.live.process.ID(), err)
	}
	copied := &fork{definition: t.live.definition, machine: machine, last: t.live.last}
	result, err = tryOut(ctx, t.live.process.ID(), copied, message)
	if closing := machine.Close(); err == nil {
		err = closing
	}
	return result, err
}

// Machine describes what the process runs on.
func (t *Trial) Machine() (driver string, info vm.Info) {
	return t.live.module.driver, t.live.module.code.Info()
}

// Close frees the process.
func (t *Trial) Close() error { return t.live.machine.Close() }

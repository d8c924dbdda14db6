package trial

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Post gives an item its place in the log of its process. It is evaluated by Step.
func (w *World) Post(ctx context.Context, item *dataitem.Item) (aolog.Entry, error) {
	entry, _, err := sequenced{w.log, w}.Append(ctx, aolog.Proposal{Item: item})
	return entry, err
}

// Step evaluates the message that has waited longest and delivers what the process sends;
// false: none waits.
func (w *World) Step(ctx context.Context) (step Step, any bool, err error) {
	if len(w.waiting) == 0 {
		return step, false, nil
	}
	entry := w.waiting[0]
	step = Step{Process: entry.Process, TimeMS: entry.TimestampMS}
	if !entry.IsBare() {
		if step.Message, err = entry.Item(); err != nil {
			return step, false, err
		}
	}
	process, err := w.open(ctx, entry)
	if err != nil {
		w.waiting = w.waiting[1:]
		step.Failure = err
		return w.seen(step), true, ctx.Err()
	}
	// What a cron has to do before comes before.
	if step, due, err := w.tick(ctx, entry.Process, entry.TimestampMS); err != nil || due {
		return step, true, err
	}
	w.waiting = w.waiting[1:]
	if step.Trialed, err = process.Handle(ctx, entry); err != nil {
		return step, false, err
	}
	step.Undelivered = w.deliver(ctx, step.Effects)
	return w.seen(step), true, nil
}

func (w *World) seen(step Step) Step {
	if w.Watch != nil {
		w.Watch(step)
	}
	return step
}

// open gives the process of an entry, or why it could not start.
func (w *World) open(ctx context.Context, entry aolog.Entry) (*engine.Trial, error) {
	if process, ok := w.processes[entry.Process]; ok || entry.Nonce > 0 {
		if !ok {
			return nil, errors.New("the process could not start")
		}
		return process, nil
	}
	process, err := w.trials.Open(ctx, entry)
	if err != nil {
		return nil, err
	}
	w.processes[entry.Process] = process
	w.order = append(w.order, entry.Process)
	return process, nil
}

// tick evaluates the next tick of a process's crons that is due before a time.
func (w *World) tick(ctx context.Context, id ao.ID, untilMS int64) (step Step, due bool, err error) {
	step = Step{Process: id}
	process := w.processes[id]
	if step.TimeMS, due, err = process.NextTick(ctx, untilMS); err != nil || !due {
		return step, false, err
	}
	if step.Trialed, due, err = process.Tick(ctx, untilMS); err != nil || !due {
		return step, false, err
	}
	step.Undelivered = w.deliver(ctx, step.Effects)
	return w.seen(step), true, nil
}

// DryRun tries a message on a copy of a process.
func (w *World) DryRun(ctx context.Context, process ao.ID, message engine.DryRunMessage) (result ao.Result, err error) {
	trial := w.processes[process]
	if trial == nil {
		return result, ao.Errorf(ao.CodeNotFound, "process %s is not in this world", process)
	}
	return trial.DryRun(ctx, message)
}

// Run steps until nothing waits.
func (w *World) Run(ctx context.Context) (steps []Step, err error) {
	for {
		step, any, err := w.Step(ctx)
		if err != nil || !any {
			return steps, err
		}
		if steps = append(steps, step); len(steps) >= w.StepsMax {
			return steps, fmt.Errorf("after %d messages there are still %d that wait: the processes do not come to rest", len(steps), len(w.waiting))
		}
	}
}

// Advance lets time pass: what crons are due is evaluated when it is due, and whatever
// follows from it.
func (w *World) Advance(ctx context.Context, forMS int64) (steps []Step, err error) {
	if steps, err = w.Run(ctx); err != nil {
		return steps, err
	}
	for untilMS := w.nowMS + forMS; ; {
		first, dueMS := ao.ID{}, untilMS
		for _, id := range w.order {
			atMS, due, err := w.processes[id].NextTick(ctx, dueMS)
			if err != nil {
				return steps, err
			}
			if due {
				first, dueMS = id, atMS
			}
		}
		w.nowMS = max(w.nowMS, dueMS)
		if first.IsZero() {
			return steps, nil
		}
		step, _, err := w.tick(ctx, first, dueMS+1)
		if err != nil {
			return steps, err
		}
		more, err := w.Run(ctx)
		steps = append(append(steps, step), more...)
		if err == nil && len(steps) >= w.StepsMax*10 {
			err = fmt.Errorf("%d messages and ticks came of it: let less time pass", len(steps))
		}
		if err != nil {
			return steps, err
		}
	}
}

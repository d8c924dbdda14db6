package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Replay is what replaying a process on some machines came to.
type Replay struct {
	Process  ao.ID           `json:"process"`
	Machines []ReplayMachine `json:"machines"`
	// Messages is how many messages, ticks of crons among them, were run on every
	// machine; the results of all but the last were equal if there is a Divergence.
	Messages   uint64            `json:"messages"`
	Divergence *ReplayDivergence `json:"divergence,omitempty"`
	Done       bool              `json:"done"`
}

// ReplayMachine is one machine's part.
type ReplayMachine struct {
	VM string `json:"vm"`
	// Fingerprint names the module as the machine runs it.
	Fingerprint ao.ID   `json:"fingerprint"`
	Seconds     float64 `json:"seconds"` // spent on messages
	Results     ao.ID   `json:"results"` // SHA-256 over all results, in order
	Root        ao.ID   `json:"root"`    // of the state at the end
}

// ReplayDivergence is the first nonce at which a machine came to something else
// than the first machine, or than what this node has stored.
type ReplayDivergence struct {
	Nonce   uint64 `json:"nonce"`
	Tick    uint64 `json:"tick,omitempty"` // of crons behind the nonce
	Message ao.ID  `json:"message"`        // zero for a tick
	VM      string `json:"vm"`
	Result  string `json:"result"`
	Against string `json:"against"` // a machine's name, "stored", or whose claim it is
	Wanted  string `json:"wanted"`
	// States is what differs between the states of two machines after it, if that was
	// asked for.
	States *ReplayStates `json:"states,omitempty"`
}

const (
	replayMachinesMax = 8
	// replayProgress is how often a replay tells how far it is.
	replayProgress = 250 * time.Millisecond
	// replayRootEvery is after how many messages whole states are compared, too.
	replayRootEvery = 100
)

// Replay runs a process's whole log on several machines side by side, from its
// beginning, and compares every result with each other and with what is stored,
// and now and then the states. progress is called now and then and at the end;
// its error ends the replay. Nothing is stored.
func (e *Engine) Replay(ctx context.Context, process ao.ID, machines []string, progress func(Replay) error) error {
	return e.ReplayWith(ctx, process, ReplayOptions{Machines: machines, Progress: progress})
}

// ReplayWith is Replay with more to say about it.
func (e *Engine) ReplayWith(ctx context.Context, process ao.ID, o ReplayOptions) error {
	machines, progress := o.Machines, o.Progress
	if len(machines) == 0 || len(machines) > replayMachinesMax {
		return ao.Errorf(ao.CodeInvalid, "name one to %d virtual machines, not %d", replayMachinesMax, len(machines))
	}
	head, err := e.head(ctx, process)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.running, cancel)()
	r := &replayer{
		engine: e, options: o, seen: map[ao.ID]bool{}, tallies: map[ao.ID]tally{}, told: e.options.Now(), progress: progress,
	}
	r.state.Process = process
	defer r.close()
	for _, name := range machines {
		if err := r.open(ctx, process, name); err != nil {
			return err
		}
	}
	if err := r.anchor(ctx); err != nil {
		return err
	}
	from, err := r.resume(ctx, process)
	if err == nil && o.From != nil {
		from, err = r.goOnFrom(ctx, process, *o.From)
	}
	if err == nil && o.Begin != nil {
		err = o.Begin(from)
	}
	if err == nil {
		err = e.options.Log.Range(ctx, process, from, head.Nonce, func(entry aolog.Entry) error { return r.step(ctx, entry) })
	}
	if err == nil {
		err = r.passTime(ctx, head.PromisedMS)
	}
	if errors.Is(err, errDiverged) {
		err = nil
	}
	if err == nil && r.state.Divergence == nil {
		err = r.compareRoots(r.lives[0].last.place)
	}
	if err == nil && r.state.Divergence != nil {
		err = r.pinpoint(ctx)
	}
	if err != nil {
		return fmt.Errorf("replay process %s: %w", process, err)
	}
	r.state.Done = true
	return progress(r.tell())
}

var errDiverged = errors.New("machines came to different results")

// replayer is a replay in progress.
type replayer struct {
	engine   *Engine
	options  ReplayOptions
	lives    []*live
	hashes   []ao.ID
	state    Replay
	seen     map[ao.ID]bool
	tallies  map[ao.ID]tally
	told     time.Time
	kept     time.Time // when the state was kept last
	progress func(Replay) error
	since    since
}

func (r *replayer) open(ctx context.Context, process ao.ID, name string) error {
	definition, err := r.engine.defineOn(ctx, process, &name)
	if err != nil {
		return err
	}
	machine, err := definition.module.code.New(ctx, r.engine.config(process, definition), nil)
	if err != nil {
		return startFailure(process, err)
	}
	r.lives = append(r.lives, &live{definition: definition, machine: machine})
	r.hashes = append(r.hashes, ao.ID{})
	r.state.Machines = append(r.state.Machines, ReplayMachine{VM: name, Fingerprint: definition.module.code.Info().Fingerprint})
	return nil
}

func (r *replayer) close() {
	for _, l := range r.lives {
		if err := l.machine.Close(); err != nil {
			r.engine.options.Logger.Warn().Str("pkg", "engine").Err(err).Msg("close a replayed process")
		}
	}
	r.since.close(r.engine)
}

// step runs the ticks before an entry, and the entry, everywhere.
func (r *replayer) step(ctx context.Context, entry aolog.Entry) error {
	if err := r.passTime(ctx, entry.TimestampMS); err != nil {
		return err
	}
	id := messageID(entry)
	result, message, err := r.input(ctx, entry, id)
	if err != nil {
		return err
	}
	for _, l := range r.lives {
		if err := l.follows(entry); err != nil {
			return err
		}
	}
	first, err := r.run(ctx, place{nonce: entry.Nonce}, id, message, result)
	for _, l := range r.lives {
		l.step(entry)
	}
	if err == nil {
		err = r.result(entry, id, first)
	}
	if err == nil {
		err = r.show(entry.Nonce)
	}
	if err == nil {
		err = r.keep(entry)
	}
	return err
}

// passTime runs the ticks behind the newest message that are due before a time.
func (r *replayer) passTime(ctx context.Context, untilMS int64) error {
	l := r.lives[0]
	if l.crons == nil || l.next.tick == 0 || untilMS <= l.timeMS {
		return nil
	}
	ticks, err := r.engine.ticksFrom(ctx, l.crons, l.next, untilMS)
	if err != nil {
		return err
	}
	for {
		t, due, err := ticks.next(ctx, untilMS)
		if err != nil || !due {
			return err
		}
		at := place{l.next.nonce, t.number}
		if _, err := r.run(ctx, at, ao.ID{}, appendTickMessage(nil, l.process, t), nil); err != nil {
			return err
		}
		for _, one := range r.lives {
			one.stepTick(at, t)
		}
	}
}

// run runs a message everywhere and compares what comes of it. One that the process
// does not get is nil and has its result already.
func (r *replayer) run(ctx context.Context, at place, id ao.ID, message, result []byte) (first []byte, err error) {
	r.note(at, id, message)
	for i, l := range r.lives {
		if message != nil {
			begun := r.engine.options.Now()
			outcome, err := l.apply(ctx, message)
			if err != nil {
				return nil, fmt.Errorf("%s on %s: %w", at, r.state.Machines[i].VM, err)
			}
			r.state.Machines[i].Seconds += r.engine.options.Now().Sub(begun).Seconds()
			result = outcome.result.JSON()
		}
		r.hashes[i] = sha256.Sum256(append(r.hashes[i][:], result...))
		if i == 0 {
			first = result
		} else if string(result) != string(first) {
			return nil, r.diverge(at, id, i, string(result), r.state.Machines[0].VM, string(first))
		}
	}
	r.state.Messages++
	if stored, err := r.engine.store.record(r.state.Process, at); err == nil && string(stored.result) != string(first) {
		return nil, r.diverge(at, id, 0, string(first), "stored", string(stored.result))
	}
	if r.state.Messages%replayRootEvery == 0 || r.since.bytes > sinceBytesMax {
		if err := r.compareRoots(at); err != nil {
			return nil, err
		}
		if r.state.Divergence != nil {
			return nil, errDiverged
		}
		if err := r.anchor(ctx); err != nil {
			return nil, err
		}
	}
	if now := r.engine.options.Now(); now.Sub(r.told) > replayProgress {
		r.told = now
		return first, r.progress(r.tell())
	}
	return first, nil
}

// input gives an entry's message, or the result of one that the process does not
// get.
func (r *replayer) input(ctx context.Context, entry aolog.Entry, id ao.ID) (result, message []byte, err error) {
	if result, err = r.withhold(ctx, entry, id); err != nil || result != nil {
		return result, nil, err
	}
	message, err = r.engine.message(nil, entry)
	return nil, message, err
}

// withhold gives the result of a message that the process does not get, nil for one
// that it gets.
func (r *replayer) withhold(ctx context.Context, entry aolog.Entry, id ao.ID) (result []byte, err error) {
	if r.seen[id] {
		return emptyResult().JSON(), nil
	}
	push, err := r.engine.rule(ctx, r.lives[0].definition, entry, func(key ao.ID) (tally, error) { return r.tallies[key], nil })
	if err != nil {
		return nil, err
	}
	if push.change != nil {
		r.tallies[push.change.key] = push.change.tally
	}
	if push.why != "" {
		return withheldResult(push.why).JSON(), nil
	}
	r.seen[id] = true
	return nil, nil
}

func (r *replayer) diverge(at place, message ao.ID, machine int, result, against, wanted string) error {
	r.state.Divergence = &ReplayDivergence{
		Nonce: at.nonce, Tick: at.tick, Message: message, VM: r.state.Machines[machine].VM, Result: result, Against: against, Wanted: wanted,
	}
	return errDiverged
}

// compareRoots compares whole states after a place.
func (r *replayer) compareRoots(at place) error {
	for i, l := range r.lives {
		root, err := rootNow(l.machine)
		if err != nil {
			return fmt.Errorf("on %s: %w", r.state.Machines[i].VM, err)
		}
		r.state.Machines[i].Root = root
		if want := r.state.Machines[0].Root; root != want && r.state.Divergence == nil {
			_ = r.diverge(at, ao.ID{}, i, "state root "+root.String(), r.state.Machines[0].VM, "state root "+want.String())
		}
	}
	return nil
}

func (r *replayer) tell() Replay {
	state := r.state
	state.Machines = slices.Clone(state.Machines)
	for i := range state.Machines {
		state.Machines[i].Results = r.hashes[i]
	}
	return state
}

package trial

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/memory"
	"github.com/wallaby-ao/wallaby/messenger"
	"github.com/wallaby-ao/wallaby/vm"
)

// BeginMS is the time at which every world begins: 2026-01-01 00:00:00 UTC.
const BeginMS = 1767225600000

// StepsMaxDefault is how many messages may follow from one before a world is said not to
// come to rest.
const StepsMaxDefault = 10_000

// messageTimeoutMS ends a message that runs on and on.
const messageTimeoutMS = 20_000

// World has processes in it and a clock. It is used by one goroutine at a time.
type World struct {
	// Watch is told of every step; nil: nobody is.
	Watch func(Step)
	// StepsMax is StepsMaxDefault unless it is set.
	StepsMax int

	nowMS     int64
	units     dataitem.Signer // of scheduler and messenger
	log       *memory.Log
	trials    *engine.Trials
	modules   map[ao.ID]engine.Module
	items     map[ao.ID]*dataitem.Item
	processes map[ao.ID]*engine.Trial
	order     []ao.ID // of processes
	waiting   []aolog.Entry
	mail      map[string][]*dataitem.Item // by the address it is for
	people    map[string]dataitem.Signer
	sent      uint64
}

// Step is one message, or one tick of a cron, that a process has evaluated.
type Step struct {
	Process ao.ID
	// Message is what was evaluated; nil: a cron's tick, or an assignment by name.
	Message *dataitem.Item
	TimeMS  int64
	engine.Trialed
	// Undelivered says what of the effects could not be delivered, and why.
	Undelivered []error
	// Failure says why there is no result: the process cannot start.
	Failure error
}

// NewWorld makes an empty world whose processes run on the drivers.
func NewWorld(drivers ...vm.Driver) (*World, error) {
	w := &World{
		StepsMax: StepsMaxDefault, nowMS: BeginMS, modules: map[ao.ID]engine.Module{}, items: map[ao.ID]*dataitem.Item{}, processes: map[ao.ID]*engine.Trial{},
		mail: map[string][]*dataitem.Item{}, people: map[string]dataitem.Signer{},
	}
	units, err := keyOf("units")
	if err != nil {
		return nil, err
	}
	w.units = units
	w.log = memory.New(units, w.Now)
	w.log.Rand = rand.NewChaCha8(sha256.Sum256([]byte("wallaby trial")))
	w.log.Height = heightAt
	w.trials = engine.NewTrials(engine.Options{Drivers: drivers, Modules: w, Items: w, Blocks: chain{}, EvaluationTimeoutMS: messageTimeoutMS})
	return w, nil
}

// Close frees the processes.
func (w *World) Close() error {
	var all []error
	for _, process := range w.processes {
		all = append(all, process.Close())
	}
	return errors.Join(append(all, w.log.Close())...)
}

// Now is the world's time.
func (w *World) Now() time.Time { return time.UnixMilli(w.nowMS) }

// Processes lists them in the order in which they came.
func (w *World) Processes() []ao.ID { return w.order }

// Waiting is how many messages wait for their turn.
func (w *World) Waiting() int { return len(w.waiting) }

// AddModule takes a module that was signed.
func (w *World) AddModule(item *dataitem.Item) ao.ID {
	w.modules[item.ID()] = engine.Module{ID: item.ID(), Owner: item.Address(), Tags: item.Tags, Bytes: item.Data}
	return item.ID()
}

// Module gives one; see engine.ModuleSource.
func (w *World) Module(_ context.Context, id ao.ID) (engine.Module, error) {
	module, ok := w.modules[id]
	if !ok {
		return module, ao.Errorf(ao.CodeNotFound, "module %s is not in this trial", id)
	}
	return module, nil
}

// Item gives what was sent to anybody; see engine.ItemSource.
func (w *World) Item(_ context.Context, id ao.ID, _ bool) (engine.TxMeta, error) {
	item, ok := w.items[id]
	if !ok {
		return engine.TxMeta{}, ao.Errorf(ao.CodeNotFound, "message %s is not in this trial", id)
	}
	meta := engine.TxMeta{ID: id, Signature: item.Signature, Owner: item.Address(), OwnerKey: item.Owner, Tags: item.Tags, Data: item.Data}
	if target := item.TargetID(); !target.IsZero() {
		meta.Target = target.String()
	}
	meta.Anchor, meta.HasAnchor = item.AnchorText()
	return meta, nil
}

// Standing says that what was sent can be assigned; see log.Weave.
func (w *World) Standing(_ context.Context, id ao.ID) (standing aolog.Standing, known bool, err error) {
	item, ok := w.items[id]
	if !ok {
		return standing, false, nil
	}
	return aolog.Standing{Confirmations: 1 << 20, DataBytes: uint64(len(item.Data)), Whole: true}, true, nil
}

// PutItem takes what is for nobody's process; see messenger.Uploader.
func (w *World) PutItem(_ context.Context, item *dataitem.Item) (bool, error) {
	w.items[item.ID()] = item
	to := item.Tags.Get("Target") // of an address that is no id
	if target := item.TargetID(); !target.IsZero() {
		to = target.String()
	}
	w.mail[to] = append(w.mail[to], item)
	return true, nil
}

// Mail lists what was sent to an address that is no process's, oldest first.
func (w *World) Mail(address string) []*dataitem.Item { return w.mail[address] }

// A world has no schedulers but its own; see messenger.Directory.
type alone struct{ messenger.Directory }

func (alone) Own(string) bool                                    { return true }
func (alone) SchedulerOf(context.Context, ao.ID) (string, error) { return "", nil }

// deliver has a messenger carry effects, and gives what failed.
func (w *World) deliver(ctx context.Context, effects []engine.Effect) (failed []error) {
	for _, effect := range effects {
		_, err := messenger.Carry(ctx, messenger.Options{Log: sequenced{w.log, w}, Signer: w.units, Uploader: w, Directory: alone{}, Weave: w, Now: w.Now}, effect)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s %d: %w", effect.Kind, effect.Index+1, err))
		}
	}
	return failed
}

// sequenced is the log as messengers see it: what they append waits for its turn.
type sequenced struct {
	*memory.Log
	world *World
}

// Append gives a proposal its place; see log.Log.
func (s sequenced) Append(ctx context.Context, proposal aolog.Proposal) (aolog.Entry, bool, error) {
	s.world.nowMS++ // no two messages have the same time
	entry, known, err := s.Log.Append(ctx, proposal)
	if err == nil && !known {
		s.world.waiting = append(s.world.waiting, entry)
		if proposal.Item != nil {
			s.world.items[proposal.Item.ID()] = proposal.Item
		}
	}
	return entry, known, err
}

package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Engine evaluates every process of a log. It is safe for concurrent use.
type Engine struct {
	options   Options
	store     *store
	outbox    *Outbox
	modules   *moduleCache
	snapshots *snapshotStore
	dryRuns   *pool
	past      *past
	forks     *forkCache
	choices   *choices
	failures  failures
	counters  counters
	places    places
	passed    passed
	ahead     ahead

	// running ends when Close begins: no new message is started. working ends
	// when Close has waited long enough for messages in hand.
	running context.Context
	stop    context.CancelFunc
	working context.Context
	abort   context.CancelFunc

	table     *table
	wg        sync.WaitGroup
	closeOnce sync.Once
	closeErr  error
	fatalOnce sync.Once
}

// Open starts an engine: it takes up the log where it left off and evaluates
// in the background.
func Open(ctx context.Context, options Options) (*Engine, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &store{db: options.DB}
	e := &Engine{
		options:   options,
		store:     s,
		modules:   newModuleCache(options),
		snapshots: newSnapshotStore(s, options.SnapshotBytesMax),
		dryRuns:   newPool("Dry-Run enqueue limit exceeded", options.DryRunWorkers, options.DryRunQueueMax),
		past:      newPast(options.HotBytesMax / 4),
		forks:     &forkCache{countMax: options.DryRunWorkers, bytesMax: options.HotBytesMax / 4},
		table:     newTable(options.QueueMax),
		places:    places{reached: map[uint32]aolog.Position{}},
		passed:    passed{places: map[ao.ID]passedTicks{}},
		ahead:     ahead{rows: map[ao.ID]*aheadRow{}},
	}
	if e.outbox, err = openOutbox(s); err != nil {
		return nil, err
	}
	if e.choices, err = openChoices(s); err != nil {
		return nil, err
	}
	if err := e.snapshots.recover(); err != nil {
		return nil, fmt.Errorf("tidy snapshots: %w", err)
	}
	positions := map[uint32]aolog.Position{}
	for _, group := range options.Log.Groups() {
		if positions[group], err = s.position(group); err != nil {
			return nil, err
		}
	}
	background := context.WithoutCancel(ctx)
	e.working, e.abort = context.WithCancel(background)
	e.running, e.stop = context.WithCancel(e.working)
	for range options.Workers {
		e.wg.Go(e.work)
	}
	for group, position := range positions {
		e.wg.Go(func() { e.follow(group, position) })
	}
	e.wg.Go(e.keepPlace)
	return e, nil
}

// Close stops the engine: messages in hand are finished, what would be costly
// to replay is snapshotted, and everything is put away.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		e.stop()
		e.table.close()
		e.dryRuns.close()
		e.past.pool.close()
		grace := time.AfterFunc(time.Duration(e.options.CloseGraceMS)*time.Millisecond, e.abort)
		e.wg.Wait()
		e.dryRuns.wait()
		e.past.pool.wait()
		e.closeErr = errors.Join(closeForks(e.forks.close()), e.past.close())
		for _, p := range e.table.everything() {
			e.putAway(p)
			p.fail(errClosing())
		}
		grace.Stop()
		e.abort()
		e.closeErr = errors.Join(e.closeErr, e.savePlace())
	})
	return e.closeErr
}

// Outbox gives the effects of results that wait for delivery.
func (e *Engine) Outbox() *Outbox { return e.outbox }

// Evaluated gives the newest nonce of a process that has been evaluated.
func (e *Engine) Evaluated(process ao.ID) (nonce uint64, ok bool) {
	next, err := e.store.next(process)
	if err != nil || next.message() == 0 {
		return 0, false
	}
	return next.message() - 1, true
}

// Stored gives an evaluation if it has been made, and when this node made it; 0
// when that is not known. It does not wait.
func (e *Engine) Stored(process ao.ID, nonce uint64) (evaluation Evaluation, atMS int64, ok bool, err error) {
	return e.StoredTick(process, nonce, 0)
}

// StoredTick is Stored for a tick of a cron behind a message; 0 is the message.
func (e *Engine) StoredTick(process ao.ID, nonce, tick uint64) (evaluation Evaluation, atMS int64, ok bool, err error) {
	at := place{nonce, tick}
	found, err := e.store.record(process, at)
	if isMissing(err) {
		return Evaluation{}, 0, false, nil
	}
	if err != nil {
		return Evaluation{}, 0, false, fmt.Errorf("read evaluation of process %s at %s: %w", process, at, err)
	}
	evaluation, err = found.evaluation(process, at)
	return evaluation, found.evaluatedMS, err == nil, err
}

// Result gives the evaluation of a message, an assignment, or, by the
// process's own id, of the process itself. It waits until that is evaluated.
func (e *Engine) Result(ctx context.Context, process, id ao.ID) (Evaluation, error) {
	nonce, err := e.find(ctx, process, id)
	if err != nil {
		return Evaluation{}, err
	}
	return e.ResultAt(ctx, process, nonce)
}

// ResultAt gives the evaluation of a process at a nonce. It waits until that is
// evaluated; on a node that answers from a checkpoint meanwhile, until the messages
// behind that are. When it cannot be evaluated, for example because the module is not
// published, the error says why, nothing is stored, and a later call tries
// again.
func (e *Engine) ResultAt(ctx context.Context, process ao.ID, nonce uint64) (Evaluation, error) {
	if evaluation, _, ok, err := e.Stored(process, nonce); ok || err != nil {
		return evaluation, err
	}
	head, err := e.head(ctx, process)
	if err != nil {
		return Evaluation{}, err
	}
	if nonce > head.Nonce {
		return Evaluation{}, ao.Errorf(ao.CodeNotFound, "process %s has no nonce %d: its newest is %d", process, nonce, head.Nonce)
	}
	if evaluation, ok, err := e.resultAhead(ctx, process, nonce); ok || err != nil {
		return evaluation, err
	}
	if err := e.table.await(ctx, process, goal{nonce: head.Nonce}, goal{nonce: nonce}); err != nil {
		return Evaluation{}, err
	}
	evaluation, _, ok, err := e.Stored(process, nonce)
	if err == nil && !ok {
		err = errMissing(process, place{nonce: nonce})
		e.fatal(err)
	}
	return evaluation, err
}

// find gives the nonce of an id within a process.
func (e *Engine) find(ctx context.Context, process, id ao.ID) (uint64, error) {
	if id == process {
		_, err := e.head(ctx, process)
		return 0, err
	}
	nonce, err := e.options.Log.Find(ctx, process, id)
	switch {
	case errors.Is(err, aolog.ErrEntryUnknown), errors.Is(err, aolog.ErrProcessUnknown):
		if _, err := e.head(ctx, process); err != nil {
			return 0, err
		}
		return 0, ao.Errorf(ao.CodeNotFound, "message %s is not in the log of process %s", id, process)
	case err != nil:
		return 0, fmt.Errorf("find %s in process %s: %w", id, process, err)
	}
	return nonce, nil
}

// ErrDamaged is wrapped by what Options.Fatal is told when the store misses what
// the engine has put there. All of it can be evaluated again from the log.
var ErrDamaged = errors.New("the store of results is damaged")

func errMissing(process ao.ID, at place) error {
	return fmt.Errorf("%w: it has lost the evaluation of process %s at %s", ErrDamaged, process, at)
}

// fatal reports a fault after which the node must not go on.
func (e *Engine) fatal(err error) {
	e.options.Logger.Error().Err(err).Str("pkg", "engine").Msg("the engine cannot go on")
	e.fatalOnce.Do(func() {
		if e.options.Fatal != nil {
			e.options.Fatal(err)
		}
	})
}

func errClosing() error {
	return ao.Errorf(ao.CodeUnavailable, "the node is stopping: ask again when it is back")
}

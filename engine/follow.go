package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// places remembers up to where each group was followed.
type places struct {
	mu      sync.Mutex
	reached map[uint32]aolog.Position
	saved   map[uint32]aolog.Position
}

func (p *places) note(group uint32, position aolog.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reached[group] = position
}

// unsaved gives the positions if they changed since they were saved.
func (p *places) unsaved() map[uint32]aolog.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	if maps.Equal(p.reached, p.saved) {
		return nil
	}
	return maps.Clone(p.reached)
}

func (p *places) save(positions map[uint32]aolog.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.saved = positions
}

// follow hands every new entry of a group to the process table.
func (e *Engine) follow(group uint32, after aolog.Position) {
	err := e.options.Log.Follow(e.running, group, after, func(position aolog.Position, entry aolog.Entry) error {
		if !e.table.extend(entry.Process, goal{nonce: entry.Nonce}) {
			return context.Canceled
		}
		e.places.note(group, position)
		return nil
	})
	if e.running.Err() == nil && !errors.Is(err, aolog.ErrClosed) {
		e.fatal(fmt.Errorf("follow group %d of the log: %w", group, err))
	}
}

// saveInterval is how much following may have to be done again after a crash.
const saveInterval = time.Second

// keepPlace saves the place in the log from time to time, and tries again what
// could not be evaluated.
func (e *Engine) keepPlace() {
	save := time.NewTicker(saveInterval)
	defer save.Stop()
	retry := time.NewTicker(time.Duration(e.options.RetryMS) * time.Millisecond)
	defer retry.Stop()

	// What was behind when the engine stopped comes first, all of it.
	var cursor ao.ID
	for e.retry(&cursor) {
		continue
	}
	for {
		var err error
		select {
		case <-e.running.Done():
			return
		case <-save.C:
			err = e.savePlace()
		case <-retry.C:
			e.retry(&cursor)
		}
		if err != nil {
			e.options.Logger.Error().Str("pkg", "engine").Err(err).Msg("save the place in the log")
		}
	}
}

// savePlace stores how far the log was followed. Processes whose evaluation
// has not come as far are marked, so that a restart takes them up.
func (e *Engine) savePlace() error {
	positions := e.places.unsaved()
	if positions == nil {
		return nil
	}
	lagging := e.table.lagging()
	if err := e.store.keepPositions(lagging, positions); err != nil {
		e.table.unmark(lagging)
		return fmt.Errorf("save the place in the log: %w", err)
	}
	e.places.save(positions)
	return nil
}

// retryMax bounds how many processes are tried again at once.
const retryMax = 64

// retry takes up the next processes that are marked as behind. It reports
// false at the end of the list, and then begins anew.
func (e *Engine) retry(cursor *ao.ID) bool {
	marked, err := e.store.lagging(*cursor, retryMax)
	if err != nil {
		e.options.Logger.Error().Str("pkg", "engine").Err(err).Msg("list processes that are behind")
		return false
	}
	for _, id := range marked {
		head, err := e.options.Log.Head(e.running, id)
		if err != nil {
			// A mark without a process is left from another log; it does no harm.
			continue
		}
		if !e.table.extend(id, goal{head.Nonce, head.PromisedMS}) {
			return false
		}
	}
	if len(marked) < retryMax {
		*cursor = ao.ID{}
		return false
	}
	*cursor = marked[len(marked)-1]
	return true
}

package engine

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
)

// forkCache keeps copies that dry runs are done with. Reads come in bursts on
// one state: with a copy at hand they cost its owner nothing, and no memory is
// copied.
type forkCache struct {
	countMax int
	bytesMax uint64

	mu     sync.Mutex
	idle   []*fork // oldest first
	bytes  uint64
	closed bool
}

// take gives a copy of a process's state that has come to a goal, if there is one.
// Copies of its older states are of no more use and come back to be closed.
func (c *forkCache) take(process ao.ID, wanted goal) (found *fork, stale []*fork) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.idle = slices.DeleteFunc(c.idle, func(f *fork) bool {
		switch {
		case f.process.ID() != process:
			return false
		case !f.covers(wanted):
			stale = append(stale, f)
		case found == nil:
			found = f
		default:
			return false
		}
		c.bytes -= f.bytes
		return true
	})
	return found, stale
}

// put keeps a copy that is as it was. What there is no room for comes back to
// be closed.
func (c *forkCache) put(f *fork) (surplus []*fork) {
	f.bytes = f.machine.ResidentBytes()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || f.bytes > c.bytesMax {
		return []*fork{f}
	}
	c.idle = append(c.idle, f)
	c.bytes += f.bytes
	for len(c.idle) > c.countMax || c.bytes > c.bytesMax {
		surplus = append(surplus, c.idle[0])
		c.bytes -= c.idle[0].bytes
		c.idle = slices.Delete(c.idle, 0, 1)
	}
	return surplus
}

// close gives back everything and keeps nothing more.
func (c *forkCache) close() (all []*fork) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	all, c.idle, c.bytes = c.idle, nil, 0
	return all
}

// borrow gives a copy of a process's newest state, which giveBack takes.
func (e *Engine) borrow(ctx context.Context, process ao.ID) (*fork, error) {
	head, err := e.head(ctx, process)
	if err != nil {
		return nil, err
	}
	found, stale := e.forks.take(process, newest(head))
	if err := closeForks(stale); err != nil {
		return nil, errors.Join(err, closeForks([]*fork{found}))
	}
	if found != nil {
		return found, nil
	}
	return e.fork(ctx, process)
}

// giveBack takes a copy that a dry run is done with.
func (e *Engine) giveBack(f *fork) error {
	if f.broken || e.working.Err() != nil || f.machine.Rollback(e.working) != nil {
		return closeForks([]*fork{f})
	}
	return closeForks(e.forks.put(f))
}

func closeForks(forks []*fork) (err error) {
	for _, f := range forks {
		if f != nil {
			err = errors.Join(err, f.machine.Close())
		}
	}
	return err
}

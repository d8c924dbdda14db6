package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
)

// phase says who may touch a process.
type phase uint8

const (
	idle    phase = iota // nobody
	queued               // nobody: it stands in the queue once
	running              // one worker, its owner for now
)

// process is one row of the table. The table's lock guards the upper part; the
// owner alone uses live and loss.
type process struct {
	id    ao.ID
	phase phase
	again bool // work came while it was running
	known bool // evaluated and behind were read from the store
	// evaluated is how far the process has come, and want how far it is to come.
	evaluated reach
	want      goal
	behind    bool // the store has a mark that the process is behind
	waiters   []waiter
	forks     []*forkRequest
	bytes     uint64 // memory of live
	used      uint64 // when it last ran, in runs of the whole table

	live *live
	loss loss
}

// waiter wants to know when a goal is reached or cannot be.
type waiter struct {
	goal
	done chan error // buffered
}

// table holds the processes that are hot, have work, or are waited for; all
// others cost nothing but disk.
type table struct {
	queueMax int

	mu     sync.Mutex
	cond   *sync.Cond // work, room in the queue, or the end
	rows   map[ao.ID]*process
	queue  []*process
	runs   uint64
	bytes  uint64
	closed bool
	// changed has, for those who watch a process, what is closed when it comes further.
	changed map[ao.ID]chan struct{}
}

func newTable(queueMax int) *table {
	t := &table{queueMax: queueMax, rows: map[ao.ID]*process{}, changed: map[ao.ID]chan struct{}{}}
	t.cond = sync.NewCond(&t.mu)
	return t
}

// close wakes everybody; no worker gets more work.
func (t *table) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	t.cond.Broadcast()
}

// everything gives all rows once the workers are gone.
func (t *table) everything() (rows []*process) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.rows {
		rows = append(rows, p)
	}
	return rows
}

// extend says how far a process is to be evaluated. It waits while the queue is
// full, and reports false once the table is closed.
func (t *table) extend(id ao.ID, want goal) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) >= t.queueMax && !t.closed {
		t.cond.Wait()
	}
	if t.closed {
		return false
	}
	p := t.row(id)
	p.want = p.want.raise(want)
	if !p.known || !p.evaluated.covers(p.want) {
		t.enqueue(p)
	}
	return true
}

// await returns when a goal is reached, or with the reason why it cannot be.
func (t *table) await(ctx context.Context, id ao.ID, want, reached goal) error {
	w := waiter{goal: reached, done: make(chan error, 1)}
	if !t.request(id, want, func(p *process) bool {
		if p.known && p.evaluated.covers(reached) {
			return false
		}
		p.waiters = append(p.waiters, w)
		return true
	}) {
		return nil
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		t.forget(id, w.done)
		return ctx.Err()
	}
}

// request lets fn leave a wish with a process and sees to it that a worker
// comes by. A wish is bounded by its caller, not by the queue: it must not wait
// behind a replay.
func (t *table) request(id ao.ID, want goal, fn func(*process) bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := t.row(id)
	p.want = p.want.raise(want)
	wanted := fn(p)
	if t.closed {
		p.fail(errClosing())
	} else if wanted {
		t.enqueue(p)
	}
	t.dropIfUnused(p)
	return wanted
}

// visit has a worker come by, who sees what has changed about a process.
func (t *table) visit(id ao.ID) {
	t.request(id, goal{}, func(*process) bool { return true })
}

// forget removes a waiter that gave up.
func (t *table) forget(id ao.ID, done chan error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.rows[id]
	if !ok {
		return
	}
	p.waiters = slices.DeleteFunc(p.waiters, func(w waiter) bool { return w.done == done })
	t.dropIfUnused(p)
}

func (t *table) row(id ao.ID) *process {
	p, ok := t.rows[id]
	if !ok {
		p = &process{id: id}
		t.rows[id] = p
	}
	return p
}

func (t *table) enqueue(p *process) {
	switch p.phase {
	case idle:
		p.phase = queued
		t.queue = append(t.queue, p)
		t.cond.Broadcast()
	case running:
		p.again = true
	}
}

// take gives the next process to its new owner, or nil at the end.
func (t *table) take() *process {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.queue) == 0 && !t.closed {
		t.cond.Wait()
	}
	if t.closed {
		return nil
	}
	p := t.queue[0]
	t.queue[0] = nil
	t.queue = t.queue[1:]
	t.cond.Broadcast()
	t.own(p)
	return p
}

func (t *table) own(p *process) {
	p.phase, p.again = running, false
	t.runs++
	p.used = t.runs
}

// giveBack ends ownership; more says that the owner knows of more work.
func (t *table) giveBack(p *process, bytes uint64, more bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.bytes += bytes - p.bytes
	p.bytes = bytes
	p.phase = idle
	if (more || p.again) && !t.closed {
		t.enqueue(p)
	}
	t.dropIfUnused(p)
}

// dropIfUnused forgets a process about which the store knows as much: it is
// evaluated up to its head, or marked as behind.
func (t *table) dropIfUnused(p *process) {
	settled := p.known && (p.evaluated.covers(p.want) || p.behind)
	if settled && p.phase == idle && p.live == nil && len(p.waiters) == 0 && len(p.forks) == 0 {
		delete(t.rows, p.id)
	}
}

// coldest makes the caller the owner of the hot process that has been idle
// longest, if the instances are more than countMax or together hold more than
// budget. The one that ran last stays even then: its next message would only
// bring it back.
func (t *table) coldest(budget uint64, countMax int) *process {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.bytes <= budget && len(t.rows) <= countMax {
		return nil
	}
	var oldest *process
	var newest uint64
	hot := 0
	for _, p := range t.rows {
		if p.bytes == 0 {
			continue
		}
		hot++
		newest = max(newest, p.used)
		if p.phase == idle && (oldest == nil || p.used < oldest.used) {
			oldest = p
		}
	}
	if t.bytes <= budget && hot <= countMax || oldest == nil || oldest.used == newest {
		return nil
	}
	oldest.phase, oldest.again = running, false
	return oldest
}

// advance says how far a process has come, and wakes those who waited for that.
func (t *table) advance(p *process, evaluated reach) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.known, p.evaluated = true, evaluated
	waiting := p.waiters[:0]
	for _, w := range p.waiters {
		if evaluated.covers(w.goal) {
			w.done <- nil
		} else {
			waiting = append(waiting, w)
		}
	}
	clear(p.waiters[len(waiting):])
	p.waiters = waiting
	if changed, ok := t.changed[p.id]; ok {
		close(changed)
		delete(t.changed, p.id)
	}
}

// watch gives a channel that is closed when a process comes further.
func (t *table) watch(id ao.ID) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changed[id] == nil {
		t.changed[id] = make(chan struct{})
	}
	return t.changed[id]
}

// mark says whether the store has a mark that the process is behind.
func (t *table) mark(p *process, behind bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.behind = behind
}

// goal gives how far a process has come and how far it is to come, and whether it
// is marked as behind.
func (t *table) goal(p *process) (evaluated reach, want goal, behind bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return p.evaluated, p.want, p.behind
}

// lagging marks all processes that are behind and gives those that were not
// marked before: the caller puts the marks into the store.
func (t *table) lagging() (processes []ao.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.rows {
		if !p.behind && (!p.known || !p.evaluated.covers(p.want)) {
			p.behind = true
			processes = append(processes, p.id)
		}
	}
	return processes
}

// unmark takes back what lagging did: the marks did not get into the store.
func (t *table) unmark(processes []ao.ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range processes {
		if p, ok := t.rows[id]; ok {
			p.behind = false
		}
	}
}

// takeForks gives the wishes for a copy that a state can grant which has come so
// far.
func (t *table) takeForks(p *process, applied reach) (ready []*forkRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	waiting := p.forks[:0]
	for _, f := range p.forks {
		if applied.covers(f.goal) {
			ready = append(ready, f)
		} else {
			waiting = append(waiting, f)
		}
	}
	clear(p.forks[len(waiting):])
	p.forks = waiting
	return ready
}

// returnFork takes a wish for a fork back that could not be served.
func (t *table) returnFork(p *process, request *forkRequest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.forks = append(p.forks, request)
}

func (t *table) wantsFork(p *process) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(p.forks) > 0
}

// dropFork takes a wish back; it reports false when that is too late and an
// answer comes.
func (t *table) dropFork(id ao.ID, request *forkRequest) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	p, ok := t.rows[id]
	if !ok {
		return false
	}
	before := len(p.forks)
	p.forks = slices.DeleteFunc(p.forks, func(f *forkRequest) bool { return f == request })
	return len(p.forks) < before
}

// refuse tells everybody who waits for a process why it cannot go on.
func (t *table) refuse(p *process, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.fail(err)
}

// fail answers all wishes with an error; the table's lock is held, or nobody
// else is left.
func (p *process) fail(err error) {
	for _, w := range p.waiters {
		w.done <- err
	}
	for _, f := range p.forks {
		f.done <- forkAnswer{err: err}
	}
	p.waiters, p.forks = nil, nil
}

package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/wallaby-ao/wallaby/ao"
)

// pool bounds work that is done for those who ask, apart from evaluation, which it
// never delays.
type pool struct {
	busy    string        // begins what those are told for whom there is no place
	slots   chan struct{} // one for each that may run
	places  int64         // how many may run or wait
	inHand  atomic.Int64
	closing chan struct{}

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func newPool(busy string, workers, queueMax int) *pool {
	return &pool{
		busy:    busy,
		slots:   make(chan struct{}, workers),
		places:  int64(workers + queueMax),
		closing: make(chan struct{}),
	}
}

func (p *pool) count() int { return int(p.inHand.Load()) }

// close lets no more begin.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	close(p.closing)
}

func (p *pool) wait() { p.wg.Wait() }

// enter takes a slot, after waiting in the queue if that has room.
func (p *pool) enter(ctx context.Context) (func(), error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosing()
	}
	if p.inHand.Add(1) > p.places {
		p.inHand.Add(-1)
		return nil, ao.Errorf(ao.CodeRateLimited, "%s: %d are waiting, try again later", p.busy, p.places)
	}
	p.wg.Add(1)
	leave := func() { p.inHand.Add(-1); p.wg.Done() }
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; leave() }, nil
	case <-p.closing:
		leave()
		return nil, errClosing()
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

package raft

import (
	"context"
	"fmt"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// pipeline turns proposals into committed entries. Signing needs the id of the
// assignment before, committing needs a flush: so it keeps a head that is ahead
// of what is committed, signs on top of that, and has several batches on their
// way at once.
//
//	append: check, verify (all cores) ─► queue ─► propose: place, sign ─► Raft
//	                                                 finish: answer ◄──────┘
type pipeline struct {
	node   *Node
	group  *group
	queue  chan *pending
	inHand chan flight
	stop   chan struct{}
	wait   sync.WaitGroup
	landed *sync.Cond // a batch has landed

	mu struct {
		sync.Mutex
		closed bool
		// leading is set while this node leads the group and has applied all
		// that was committed before.
		leading bool
		term    uint64 // in which it leads
		heads   map[ao.ID]speculative
		keys    map[[2]ao.ID]*pending
		// shards are those whose new processes another group is to take.
		shards map[[2]int]bool
		// stale is set when a batch failed: heads are dropped before the next.
		stale bool
		// flying is how many batches Raft has.
		flying int
	}
}

// speculative is a head that is signed but perhaps not yet committed.
type speculative struct {
	head   log.Head
	flight uint64 // the batch that made it
	sealed bool   // nothing may follow it in this group
}

// pending is a proposal on its way, or a control.
type pending struct {
	proposal log.Proposal
	control  *log.Control // a seal gets its head when its turn has come
	keys     []ao.ID
	attempts int
	done     chan struct{}
	entry    log.Entry
	// duplicate says that entry was there before; err that there is none.
	duplicate bool
	err       error
}

// process gives the process that a request is about, zero for none.
func (p *pending) process() ao.ID {
	switch {
	case p.control == nil:
		return p.proposal.Process
	case p.control.Seal != nil:
		return p.control.Seal.Head.Process
	case p.control.Promise != nil:
		return p.control.Promise.Process
	}
	return ao.ID{}
}

func (p *pending) finish(entry log.Entry, duplicate bool, err error) {
	p.entry, p.duplicate, p.err = entry, duplicate, err
	close(p.done)
}

// flight is a batch that Raft has.
type flight struct {
	number  uint64
	data    []byte
	future  hraft.ApplyFuture
	waiting []*pending
}

// The bounds of a batch and of how many are on their way. A few large batches
// cost fewer flushes than many small ones.
const (
	batchMessagesMax = 512
	batchBytesMax    = 4 << 20
	flightsMax       = 3
	attemptsMax      = 5
)

func startPipeline(g *group) *pipeline {
	n := g.node
	p := &pipeline{
		node:   n,
		group:  g,
		queue:  make(chan *pending, n.options.QueueMax),
		inHand: make(chan flight, flightsMax),
		stop:   make(chan struct{}),
	}
	p.landed = sync.NewCond(&p.mu)
	p.mu.heads = map[ao.ID]speculative{}
	p.mu.keys = map[[2]ao.ID]*pending{}
	p.mu.shards = map[[2]int]bool{}
	p.wait.Go(p.propose)
	p.wait.Go(p.finish)
	return p
}

// append gives a prepared proposal its place. An error that wraps errMoved says
// that this node does not lead the group, or no longer: the proposal may be
// committed or not, and asking again does no harm.
func (p *pipeline) append(ctx context.Context, proposal log.Proposal) (log.Entry, bool, error) {
	request := &pending{proposal: proposal, keys: proposal.DedupeKeys(), done: make(chan struct{})}
	if err := p.enqueue(request); err != nil {
		return log.Entry{}, false, err
	}
	select {
	case <-request.done:
		return request.entry, request.duplicate, request.err
	case <-ctx.Done():
		return log.Entry{}, false, ctx.Err()
	}
}

// agree has the group take a control, and returns once it is committed. An error
// that wraps errMoved says that it may be asked again.
func (p *pipeline) agree(ctx context.Context, c log.Control) error {
	request := &pending{control: &c, done: make(chan struct{})}
	if err := p.enqueue(request); err != nil {
		return err
	}
	select {
	case <-request.done:
		return request.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lead opens the pipeline: this node leads in a term and has applied what came
// before.
func (p *pipeline) lead(term uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.leading, p.mu.term, p.mu.stale = true, term, true
}

// follow shuts it: another node may lead. What waits is told so.
func (p *pipeline) follow() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.leading, p.mu.stale = false, true
}

func (p *pipeline) leads() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.leading
}

// leadsIn is leads, and gives the term.
func (p *pipeline) leadsIn() (term uint64, leads bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.term, p.mu.leading
}

func (p *pipeline) enqueue(request *pending) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed {
		return ao.Errorf(ao.CodeUnavailable, "the scheduler is stopping: try again: %w", log.ErrClosed)
	}
	if err := p.node.failed(); err != nil {
		return ao.Errorf(ao.CodeUnavailable, "the scheduler's log has stopped: %w", err)
	}
	if !p.mu.leading {
		return errMoved
	}
	select {
	case p.queue <- request:
		return nil
	default:
		return ao.Errorf(ao.CodeRateLimited, "the scheduler has %d messages in its queue: try again in a moment", cap(p.queue))
	}
}

// close finishes what is in the queue.
func (p *pipeline) close() {
	p.mu.Lock()
	p.mu.closed = true
	p.mu.Unlock()
	close(p.stop)
	p.wait.Wait()
}

// finish answers the requests of each batch when it is committed.
func (p *pipeline) finish() {
	for f := range p.inHand {
		p.land(f)
		p.mu.Lock()
		p.mu.flying--
		p.mu.Unlock()
		p.landed.Broadcast()
	}
}

func (p *pipeline) land(f flight) {
	err := f.future.Error()
	p.group.proposed.remove(f.data)
	results, ok := f.future.Response().([]applyResult)
	if err == nil && (!ok || len(results) != len(f.waiting)) {
		err = fmt.Errorf("batch of %d was applied as %v", len(f.waiting), f.future.Response())
	}
	p.release(f, err != nil)
	for i, request := range f.waiting {
		switch {
		case err != nil:
			request.finish(log.Entry{}, false, moved("%w", err))
		case results[i].refused != nil && request.control != nil:
			request.finish(log.Entry{}, false, moved("%w", results[i].refused))
		case request.control != nil:
			request.finish(log.Entry{}, results[i].duplicate, nil)
		case results[i].refused != nil:
			p.again(request, results[i].refused)
		case results[i].duplicate:
			p.answerDuplicate(request)
		default:
			request.finish(results[i].entry, false, nil)
		}
	}
}

// release forgets what the pipeline remembered for a batch: from now on the
// index answers.
func (p *pipeline) release(f flight, failed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.stale = p.mu.stale || failed
	for _, request := range f.waiting {
		process := request.process()
		for _, key := range request.keys {
			if id := [2]ao.ID{process, key}; p.mu.keys[id] == request {
				delete(p.mu.keys, id)
			}
		}
		if p.mu.heads[process].flight == f.number {
			delete(p.mu.heads, process)
		}
	}
}

// again puts a refused request back in the queue: the head it was signed on was
// never committed.
func (p *pipeline) again(request *pending, reason error) {
	p.mu.Lock()
	p.mu.stale = true
	p.mu.Unlock()
	request.attempts++
	if request.attempts < attemptsMax {
		if p.enqueue(request) == nil {
			return
		}
	}
	request.finish(log.Entry{}, false, ao.Errorf(ao.CodeUnavailable, "the scheduler could not place the message: try again: %w", reason))
}

func (p *pipeline) answerDuplicate(request *pending) {
	process := request.proposal.Process
	for _, key := range request.keys {
		if nonce, err := p.node.index.Find(process, key); err == nil {
			entry, err := p.node.read(process, nonce)
			request.finish(entry, true, err)
			return
		}
	}
	request.finish(log.Entry{}, false, ao.Errorf(ao.CodeInternal, "a duplicate of %s vanished", request.proposal.Message))
}

// dropStaleHeads forgets all heads after a failure, so that the next batch
// builds on what is committed. It first waits for the batches on their way:
// those that still fit move the committed heads.
func (p *pipeline) dropStaleHeads() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mu.stale {
		return
	}
	for p.mu.flying > 0 {
		p.landed.Wait()
	}
	clear(p.mu.heads)
	clear(p.mu.shards)
	p.mu.stale = false
}

// refuse answers every request of a batch that could not be signed.
func (p *pipeline) refuse(byProcess map[ao.ID][]*pending, controls []*pending, err error) {
	p.mu.Lock()
	p.mu.stale = true
	p.mu.Unlock()
	for _, requests := range byProcess {
		p.release(flight{waiting: requests}, true)
		for _, request := range requests {
			request.finish(log.Entry{}, false, err)
		}
	}
	for _, request := range controls {
		request.finish(log.Entry{}, false, err)
	}
}

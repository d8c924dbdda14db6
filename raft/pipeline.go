package raft

import (
	"context"
	"errors"
	"fmt"
	"sync"

	hraft "github.com/hashicorp/raft"
	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/procs"
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
		heads   map[ao.ID]speculative
		keys    map[[2]ao.ID]*pending
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
}

// pending is a proposal on its way.
type pending struct {
	proposal log.Proposal
	keys     []ao.ID
	attempts int
	done     chan struct{}
	entry    log.Entry
	// duplicate says that entry was there before; err that there is none.
	duplicate bool
	err       error
}

func (p *pending) finish(entry log.Entry, duplicate bool, err error) {
	p.entry, p.duplicate, p.err = entry, duplicate, err
	close(p.done)
}

// flight is a batch that Raft has.
type flight struct {
	number  uint64
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

// lead opens the pipeline: this node leads and has applied what came before.
func (p *pipeline) lead() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.leading, p.mu.stale = true, true
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

// propose takes what waits, gives it places, signs it and hands it to Raft.
func (p *pipeline) propose() {
	defer close(p.inHand)
	for number := uint64(1); ; number++ {
		batch := p.gather()
		if batch == nil {
			return
		}
		if !p.leads() {
			for _, request := range batch {
				request.finish(log.Entry{}, false, errMoved)
			}
			continue
		}
		if data, waiting := p.prepare(batch, number); len(waiting) > 0 {
			p.mu.Lock()
			p.mu.flying++
			p.mu.Unlock()
			p.inHand <- flight{number, p.group.raft.Apply(data, 0), waiting}
		}
	}
}

// gather waits for one proposal and takes those behind it; nil when the
// pipeline is closed and empty.
func (p *pipeline) gather() []*pending {
	var first *pending
	select {
	case first = <-p.queue:
	default:
		select {
		case first = <-p.queue:
		case <-p.stop:
			select {
			case first = <-p.queue:
			default:
				return nil
			}
		}
	}
	batch := []*pending{first}
	for size := itemBytes(first); len(batch) < batchMessagesMax && size < batchBytesMax; {
		select {
		case next := <-p.queue:
			batch = append(batch, next)
			size += itemBytes(next)
		default:
			return batch
		}
	}
	return batch
}

func itemBytes(p *pending) int {
	if p.proposal.Item == nil {
		return 0
	}
	return len(p.proposal.Item.Bytes())
}

// prepare answers duplicates and strangers, and signs the rest: one process
// after the other in order, different processes on all cores.
func (p *pipeline) prepare(batch []*pending, number uint64) (data []byte, waiting []*pending) {
	p.dropStaleHeads()
	order := make([]ao.ID, 0, len(batch))
	byProcess := map[ao.ID][]*pending{}
	for _, request := range batch {
		if p.settled(request) {
			continue
		}
		process := request.proposal.Process
		if byProcess[process] == nil {
			order = append(order, process)
		}
		byProcess[process] = append(byProcess[process], request)
	}
	signed := make([][]log.Entry, len(order))
	var group errgroup.Group
	group.SetLimit(procs.Cores())
	for i, process := range order {
		group.Go(func() (err error) {
			signed[i], err = p.sign(process, byProcess[process], number)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		p.refuse(byProcess, ao.Errorf(ao.CodeInternal, "sign an assignment: %w", err))
		return nil, nil
	}
	for i, process := range order {
		for j, entry := range signed[i] {
			data = log.AppendEntry(data, entry)
			waiting = append(waiting, byProcess[process][j])
		}
	}
	return data, waiting
}

// settled answers a request that needs no place: its message has one, or is
// getting one, or its process is unknown. What is on its way is looked up first:
// a batch leaves there only when the index has it.
func (p *pipeline) settled(request *pending) bool {
	process := request.proposal.Process
	if p.joins(request) {
		return true
	}
	for _, key := range request.keys {
		nonce, err := p.node.index.Find(process, key)
		if err == nil {
			entry, err := p.node.Read(context.Background(), process, nonce)
			request.finish(entry, true, err)
			return true
		}
		if !errors.Is(err, log.ErrEntryUnknown) {
			request.finish(log.Entry{}, false, err)
			return true
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	spawning := p.mu.keys[[2]ao.ID{process, process}] != nil
	if _, known := p.mu.heads[process]; !known && !spawning && !request.proposal.IsProcess() {
		if _, err := p.node.index.Head(process); err != nil {
			if errors.Is(err, log.ErrProcessUnknown) {
				err = ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler: spawn it first, or post to the scheduler that has it", process)
			}
			request.finish(log.Entry{}, false, err)
			return true
		}
	}
	for _, key := range request.keys {
		p.mu.keys[[2]ao.ID{process, key}] = request
	}
	return false
}

// joins lets a request wait for the same message that is on its way.
func (p *pipeline) joins(request *pending) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range request.keys {
		first := p.mu.keys[[2]ao.ID{request.proposal.Process, key}]
		if first == nil || first == request {
			continue
		}
		p.wait.Go(func() {
			<-first.done
			request.finish(first.entry, true, first.err)
		})
		return true
	}
	return false
}

// sign gives the requests of one process their places, each on top of the one
// before.
func (p *pipeline) sign(process ao.ID, requests []*pending, number uint64) ([]log.Entry, error) {
	head, started, err := p.head(process)
	if err != nil {
		return nil, err
	}
	entries := make([]log.Entry, 0, len(requests))
	options := p.node.options
	for _, request := range requests {
		assignment := log.Sequencer{}.Step(head, started, request.proposal, options.Now().UnixMilli(), options.BlockHeight())
		anchor, err := p.node.randomAnchor()
		if err != nil {
			return nil, err
		}
		entry, err := log.SignEntry(assignment, request.proposal.Item, anchor, options.Signer)
		if err != nil {
			return nil, err
		}
		entries = append(entries, entry)
		head, started = log.HeadOf(entry), true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.heads[process] = speculative{head, number}
	return entries, nil
}

func (p *pipeline) head(process ao.ID) (head log.Head, started bool, err error) {
	p.mu.Lock()
	ahead, ok := p.mu.heads[process]
	p.mu.Unlock()
	if ok {
		return ahead.head, true, nil
	}
	head, err = p.node.index.Head(process)
	if errors.Is(err, log.ErrProcessUnknown) {
		return head, false, nil
	}
	return head, err == nil, err
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
	results, ok := f.future.Response().([]applyResult)
	if err == nil && (!ok || len(results) != len(f.waiting)) {
		err = fmt.Errorf("batch of %d was applied as %v", len(f.waiting), f.future.Response())
	}
	p.release(f, err != nil)
	for i, request := range f.waiting {
		switch {
		case err != nil:
			request.finish(log.Entry{}, false, moved("%w", err))
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
		process := request.proposal.Process
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
			entry, err := p.node.Read(context.Background(), process, nonce)
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
	p.mu.stale = false
}

// refuse answers every request of a batch that could not be signed.
func (p *pipeline) refuse(byProcess map[ao.ID][]*pending, err error) {
	p.mu.Lock()
	p.mu.stale = true
	p.mu.Unlock()
	for _, requests := range byProcess {
		p.release(flight{waiting: requests}, true)
		for _, request := range requests {
			request.finish(log.Entry{}, false, err)
		}
	}
}

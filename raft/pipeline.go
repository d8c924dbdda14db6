package raft

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

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

// propose takes what waits, gives it places, signs it and hands it to Raft.
func (p *pipeline) propose() {
	defer close(p.inHand)
	for number := uint64(1); ; number++ {
		batch := p.gather()
		if batch == nil {
			return
		}
		term, leads := p.leadsIn()
		if !leads {
			for _, request := range batch {
				request.finish(log.Entry{}, false, errMoved)
			}
			continue
		}
		if data, parts, waiting := p.prepare(batch, number); len(waiting) > 0 {
			p.mu.Lock()
			p.mu.flying++
			p.mu.Unlock()
			p.group.proposed.add(data, term, parts)
			p.inHand <- flight{number, data, p.group.raft.Apply(data, 0), waiting}
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
// after the other in order, different processes on all cores. Controls come after
// the messages that came with them.
func (p *pipeline) prepare(batch []*pending, number uint64) (data []byte, parts []part, waiting []*pending) {
	p.dropStaleHeads()
	order := make([]ao.ID, 0, len(batch))
	byProcess := map[ao.ID][]*pending{}
	var controls []*pending
	for _, request := range batch {
		if request.control != nil {
			controls = append(controls, request)
			continue
		}
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
	var (
		group errgroup.Group
		next  atomic.Int64
	)
	for range min(procs.Cores(), len(order)) {
		group.Go(func() (err error) {
			for i := next.Add(1) - 1; i < int64(len(order)) && err == nil; i = next.Add(1) - 1 {
				signed[i], err = p.sign(order[i], byProcess[order[i]], number)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		p.refuse(byProcess, controls, ao.Errorf(ao.CodeInternal, "sign an assignment: %w", err))
		return nil, nil, nil
	}
	size := 0
	for _, entries := range signed {
		for _, entry := range entries {
			size += log.EntryBytes(entry)
		}
	}
	data = make([]byte, 0, size)
	for i, process := range order {
		for j, entry := range signed[i] {
			start := len(data)
			data = log.AppendEntry(data, entry)
			request := byProcess[process][j]
			parts = append(parts, part{Frame: log.Frame{Entry: entry, Size: len(data) - start}, keys: request.keys})
			waiting = append(waiting, request)
		}
	}
	for _, request := range controls {
		if err := p.complete(request.control, number); err != nil {
			request.finish(log.Entry{}, false, err)
			continue
		}
		start := len(data)
		data = log.AppendControl(data, *request.control)
		parts = append(parts, part{Frame: log.Frame{Control: request.control, Size: len(data) - start}})
		waiting = append(waiting, request)
	}
	return data, parts, waiting
}

// complete puts the head that a seal ends its process at into the seal. From here
// on this leader takes nothing more for the process.
func (p *pipeline) complete(c *log.Control, number uint64) error {
	if s := c.ShardSeal; s != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.shards[[2]int{s.Voters, s.Number}] = true
		return nil
	}
	if c.Seal == nil {
		return nil
	}
	process := c.Seal.Head.Process
	if err := p.admits(process); err != nil {
		return err
	}
	head, started, err := p.head(process)
	switch {
	case err != nil:
		return err
	case !started:
		return moved("%w", errNotOrderedHere)
	case head.Epoch != c.Seal.Head.Epoch:
		return ao.Errorf(ao.CodeConflict, "process %s is in epoch %d, not %d", process, head.Epoch, c.Seal.Head.Epoch)
	}
	c.Seal.Head = head
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.heads[process] = speculative{head: head, flight: number, sealed: true}
	return nil
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
			entry, err := p.node.read(process, nonce)
			request.finish(entry, true, err)
			return true
		}
		if !errors.Is(err, log.ErrEntryUnknown) {
			request.finish(log.Entry{}, false, err)
			return true
		}
	}
	if err := p.admitsRequest(request); err != nil {
		request.finish(log.Entry{}, false, err)
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range request.keys {
		p.mu.keys[[2]ao.ID{process, key}] = request
	}
	return false
}

// admitsRequest says why this group cannot order a request, or nil.
func (p *pipeline) admitsRequest(request *pending) error {
	process := request.proposal.Process
	p.mu.Lock()
	spawning := p.mu.keys[[2]ao.ID{process, process}] != nil
	p.mu.Unlock()
	if spawning {
		return nil
	}
	err := p.admits(process)
	if !errors.Is(err, log.ErrProcessUnknown) {
		return err
	}
	if !request.proposal.IsProcess() {
		return errUnknown(process)
	}
	mode, err := p.node.modeOf(request.proposal.Item)
	if err != nil {
		return err
	}
	shard, err := p.node.shard(mode.Voters, process)
	p.mu.Lock()
	sealed := shard.Sealed || p.mu.shards[[2]int{shard.Voters, shard.Number}]
	p.mu.Unlock()
	if err == nil && (sealed || shard.Group != p.group.id) {
		return moved("group %d takes new processes of shard %d", shard.Group, shard.Number)
	}
	return err
}

// admits says why this group cannot order a known process, or nil. It gives
// ErrProcessUnknown when nobody orders it.
func (p *pipeline) admits(process ao.ID) error {
	p.mu.Lock()
	ahead, ok := p.mu.heads[process]
	p.mu.Unlock()
	switch {
	case ahead.sealed:
		return moved("process %s is being handed over", process)
	case ok:
		return nil
	}
	// Of what came before this epoch all must be here: who has said what is only
	// known then.
	own, whole, err := p.node.index.OrderingIn(process, p.group.id)
	if errors.Is(err, log.ErrProcessUnknown) {
		if _, err = p.node.index.Ordering(process); err == nil {
			return moved("%w", errNotOrderedHere)
		}
		return err
	}
	if err == nil && (own.Sealed || !whole) {
		return moved("process %s is being handed over", process)
	}
	return err
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
	p.mu.heads[process] = speculative{head: head, flight: number}
	return entries, nil
}

func (p *pipeline) head(process ao.ID) (head log.Head, started bool, err error) {
	p.mu.Lock()
	ahead, ok := p.mu.heads[process]
	p.mu.Unlock()
	if ok {
		return ahead.head, true, nil
	}
	own, _, err := p.node.index.OrderingIn(process, p.group.id)
	if errors.Is(err, log.ErrProcessUnknown) {
		return head, false, nil
	}
	return own.Head, err == nil, err
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

package raft

import (
	"errors"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/log"
)

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

// complete puts into a control what only its turn tells: into a seal the head that
// its process ends at here, after which this leader takes nothing more for it.
func (p *pipeline) complete(c *log.Control, number uint64) error {
	if s := c.ShardSeal; s != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.mu.shards[[2]int{s.Voters, s.Number}] = true
		return nil
	}
	if c.Promise != nil {
		return p.completePromise(c.Promise, number)
	}
	if c.Watch != nil {
		return p.completeWatch(c.Watch, number)
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

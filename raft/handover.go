package raft

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// handovers moves processes and shards from group to group. The group that has
// one seals it: from then on that group takes nothing more for it, whatever
// happens. The leader of the group named in the seal opens it from exactly that
// head, as a new epoch. Whoever leads then finds what waits, so a crash at any
// step only makes it take longer.
type handovers struct {
	// order is held by groups that apply a batch, by one alone if it begins or
	// ends an epoch: only then do groups change what others have written.
	order sync.RWMutex

	node   *Node
	waking chan struct{}
	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// openInterval is after how long an opening that failed is tried again.
const openInterval = time.Second

func newHandovers(n *Node) *handovers { return &handovers{node: n, waking: make(chan struct{}, 1)} }

// start begins to open what waits.
func (h *handovers) start() {
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	if h.node.alone() {
		return
	}
	h.wait.Go(func() {
		ticker := time.NewTicker(openInterval)
		defer ticker.Stop()
		for {
			select {
			case <-h.waking:
			case <-ticker.C:
			case <-ctx.Done():
				return
			}
			if err := h.openAll(ctx); err != nil && ctx.Err() == nil {
				h.node.options.Logger.Debug().Err(err).Msg("a process waits to be opened")
			}
		}
	})
}

func (h *handovers) close() {
	if h.cancel != nil {
		h.cancel()
	}
	h.wait.Wait()
}

// wake has what waits looked at now.
func (h *handovers) wake() {
	select {
	case h.waking <- struct{}{}:
	default:
	}
}

func (h *handovers) shard(voters, number int) (log.Shard, error) {
	return h.node.shardNumber(voters, number)
}

// openMax bounds how many processes are opened at once.
const openMax = 256

// openAll opens what waits for the groups that this node leads.
func (h *handovers) openAll(ctx context.Context) error {
	shards, err := h.node.index.Shards()
	if err != nil {
		return err
	}
	var errs []error
	for _, g := range h.node.groups {
		if !g.pipeline.leads() {
			continue
		}
		for _, shard := range shards {
			if shard.Sealed && shard.To == g.id {
				next := log.Shard{Voters: shard.Voters, Number: shard.Number, Group: g.id, Version: shard.Version + 1}
				errs = append(errs, g.pipeline.agree(ctx, log.Control{ShardOpening: &next}))
			}
		}
		openings, err := h.node.index.Waiting(g.id, openMax)
		errs = append(errs, err)
		var all errgroup.Group
		for _, opening := range openings {
			all.Go(func() error { return g.pipeline.agree(ctx, log.Control{Opening: &opening}) })
		}
		errs = append(errs, all.Wait())
		if len(openings) == openMax {
			h.wake()
		}
	}
	return errors.Join(errs...)
}

// Order is a signed wish to have a process ordered otherwise.
type Order struct {
	Process ao.ID
	Mode    log.Mode
	// Epoch is the one that the order begins, so that it counts once.
	Epoch uint64
	Item  []byte // the signed item
}

// SetSequencing has a process ordered in another mode, from its next epoch on. It
// returns when that has begun; after an error it may have, and can be asked
// again. Whoever signed the order was checked before.
func (n *Node) SetSequencing(ctx context.Context, order Order) error {
	if err := n.offers(order.Mode); err != nil {
		return err
	}
	if err := n.Sync(ctx, order.Process); err != nil {
		return err
	}
	ordering, err := n.index.Ordering(order.Process)
	switch {
	case errors.Is(err, log.ErrProcessUnknown):
		return errUnknown(order.Process)
	case err != nil:
		return err
	case ordering.Epoch >= order.Epoch && ordering.Mode == order.Mode && !ordering.Sealed:
		return nil
	case ordering.Epoch+1 != order.Epoch && !(ordering.Sealed && ordering.Epoch+2 == order.Epoch):
		return ao.Errorf(ao.CodeConflict, "the order is for epoch %d, and process %s is in epoch %d: sign a new one", order.Epoch, order.Process, ordering.Epoch)
	case ordering.Mode == order.Mode:
		return ao.Errorf(ao.CodeConflict, "process %s is ordered by %s already", order.Process, order.Mode)
	}
	shard, err := n.shard(order.Mode.Voters, order.Process)
	if err != nil {
		return err
	}
	seal := log.Seal{Head: log.Head{Process: order.Process, Epoch: order.Epoch - 1}, Mode: order.Mode, To: shard.Group, Order: order.Item}
	return n.move(ctx, seal)
}

// move seals a process and waits until the next group has opened it.
func (n *Node) move(ctx context.Context, seal log.Seal) error {
	process, epoch := seal.Head.Process, seal.Head.Epoch
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	to, err := n.group(seal.To)
	if err != nil {
		return err
	}
	// A group without a leader would keep what it cannot open.
	if err := to.awaitLeader(ctx); err != nil {
		return fmt.Errorf("group %d cannot take process %s over: %w", seal.To, process, err)
	}
	var last error
	for {
		ordering, err := n.index.Ordering(process)
		switch {
		case err != nil:
			return err
		case ordering.Epoch > epoch:
			return nil
		case !ordering.Sealed:
			if err := n.seal(ctx, ordering.Group, seal); err != nil && !errors.Is(err, errMoved) {
				return err
			} else if err != nil {
				last = err
			}
		}
		if err := n.pause(ctx); err != nil {
			return ao.Errorf(ao.CodeUnavailable, "process %s is not handed over yet: ask again: %w", process, errors.Join(err, last))
		}
	}
}

// awaitLeader waits until somebody leads the group who can be reached.
func (g *group) awaitLeader(ctx context.Context) error {
	for deadline := g.node.options.Now().Add(patience); ; {
		err := g.sync(ctx)
		if err == nil || ao.CodeOf(err) != ao.CodeUnavailable || !g.node.options.Now().Before(deadline) {
			return err
		}
		if err := g.node.pause(ctx); err != nil {
			return err
		}
	}
}

// askRequest asks a group's leader for a control.
type askRequest struct {
	Group uint32      `json:"group"`
	Ask   log.Control `json:"ask"`
}

func (n *Node) seal(ctx context.Context, group uint32, seal log.Seal) error {
	return n.ask(ctx, askRequest{group, log.Control{Seal: &seal}})
}

// ask has a group's leader agree to a control that any node may ask for.
func (n *Node) ask(ctx context.Context, r askRequest) error {
	g, err := n.group(r.Group)
	if err != nil {
		return err
	}
	if g.pipeline.leads() {
		return g.pipeline.agree(ctx, r.Ask)
	}
	leader := g.leader()
	if leader == "" || leader == n.options.Self || n.options.Transport == nil {
		return moved("nobody leads group %d", r.Group)
	}
	body, err := json.Marshal(r)
	if err == nil {
		_, err = n.options.Transport.Call(ctx, leader, callSeal, body)
	}
	return err
}

// mayAsk reports whether a control is one that other nodes ask for.
func mayAsk(c log.Control) bool {
	return c.Seal != nil || c.ShardSeal != nil || c.Promise != nil || c.Watch != nil
}

// serveHandover answers other nodes.
func (n *Node) serveHandover(t *Transport) {
	t.Handle(callSeal, func(ctx context.Context, _ string, body []byte) ([]byte, error) {
		var r askRequest
		if err := json.Unmarshal(body, &r); err != nil || !mayAsk(r.Ask) {
			return nil, ao.Errorf(ao.CodeInvalid, "a request to a group: %w", err)
		}
		g, err := n.group(r.Group)
		if err != nil {
			return nil, err
		}
		return nil, g.pipeline.agree(ctx, r.Ask)
	})
}

// MoveShard has another group order the processes of a shard, those there are one
// after the other. It can be asked again until it returns nil.
func (n *Node) MoveShard(ctx context.Context, voters, number int, to uint32, progress func(string)) error {
	if n.placement.setOf(to) != voters || number < 0 || number >= shardsCount {
		return ao.Errorf(ao.CodeInvalid, "shard %d of the groups of %d voters cannot go to group %d: there are %d shards, and groups %v", number, voters, to, shardsCount, n.placement.groups())
	}
	if err := n.moveNewProcesses(ctx, voters, number, to); err != nil {
		return err
	}
	progress(fmt.Sprintf("group %d takes the new processes of shard %d", to, number))
	if err := n.syncAll(ctx); err != nil {
		return err
	}
	moved := 0
	for after := (ao.ID{}); ; {
		page, err := n.index.Orderings(after, openMax)
		if err != nil {
			return err
		}
		for _, o := range page {
			after = o.Process
			if o.Mode.Voters != voters || shardOf(o.Process) != number || o.Group == to {
				continue
			}
			if err := n.move(ctx, log.Seal{Head: o.Head, Mode: o.Mode, To: to}); err != nil {
				return err
			}
			moved++
		}
		if len(page) < openMax {
			progress(fmt.Sprintf("%d processes moved", moved))
			return nil
		}
	}
}

func (n *Node) moveNewProcesses(ctx context.Context, voters, number int, to uint32) error {
	for {
		shard, err := n.shardNumber(voters, number)
		if err != nil {
			return err
		}
		if shard.Group == to && !shard.Sealed {
			return nil
		}
		if g, err := n.group(shard.Group); err == nil && g.isAway() {
			return ao.Errorf(ao.CodeUnavailable, "node %v orders shard %d alone and cannot be reached: start it first", g.currentVoters(), number)
		}
		if !shard.Sealed {
			shard.To = to
			if err := n.ask(ctx, askRequest{shard.Group, log.Control{ShardSeal: &shard}}); err != nil && !errors.Is(err, errMoved) {
				return err
			}
		}
		if err := n.pause(ctx); err != nil {
			return err
		}
	}
}

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

// cosigner gathers operators' signatures under the order of a group's cosigned
// processes, while this node leads the group. One signature covers all that came
// since the one before.
type cosigner struct {
	group  *group
	waking chan struct{}

	mu struct {
		sync.Mutex
		processes map[ao.ID]bool // to be looked at
	}
}

func newCosigner(g *group) *cosigner {
	c := &cosigner{group: g, waking: make(chan struct{}, 1)}
	c.mu.processes = map[ao.ID]bool{}
	return c
}

// note has a process looked at.
func (c *cosigner) note(process ao.ID) {
	c.mu.Lock()
	c.mu.processes[process] = true
	c.mu.Unlock()
	select {
	case c.waking <- struct{}{}:
	default:
	}
}

func (c *cosigner) take() (list []ao.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for process := range c.mu.processes {
		list = append(list, process)
	}
	clear(c.mu.processes)
	return list
}

// cosignMax bounds how many processes wait for signatures at once.
const cosignMax = 64

// run gathers signatures until ctx ends.
func (c *cosigner) run(ctx context.Context) {
	for {
		select {
		case <-c.waking:
		case <-ctx.Done():
			return
		}
		var all errgroup.Group
		all.SetLimit(cosignMax)
		for _, process := range c.take() {
			all.Go(func() error {
				err := c.gather(ctx, process)
				if err != nil && c.group.pipeline.leads() {
					c.note(process)
				}
				return err
			})
		}
		if err := all.Wait(); err != nil && ctx.Err() == nil {
			c.group.node.options.Logger.Debug().Err(err).Uint32("group", c.group.id).Msg("too few signatures of operators yet")
			if c.group.node.pause(ctx) != nil {
				return
			}
		}
	}
}

// gather has a process's newest place signed, and the group keep the signatures.
func (c *cosigner) gather(ctx context.Context, process ao.ID) error {
	g := c.group
	o, whole, err := g.node.index.OrderingIn(process, g.id)
	if err != nil || o.Counts() > o.Nonce || !g.pipeline.leads() {
		return err
	}
	if !whole {
		return errMoved
	}
	entry, err := g.node.read(process, o.Nonce)
	if err != nil {
		return err
	}
	items, err := c.ask(ctx, attestRequest{g.id, log.StatementOf(o.Head), entry.AssignmentBytes}, o.Mode.Cosigners)
	if err != nil {
		return err
	}
	return g.pipeline.agree(ctx, log.Control{Attested: &log.Attested{
		Process: process, Epoch: o.Epoch, First: o.Attested, Nonce: o.Nonce, Items: items,
	}})
}

// attestRequest asks a node's operator for a signature.
type attestRequest struct {
	Group      uint32        `json:"group"` // that orders the process
	Statement  log.Statement `json:"statement"`
	Assignment []byte        `json:"assignment"`
}

// attestTimeout bounds how long an operator is waited for.
const attestTimeout = 2 * time.Second

// ask asks the operators of all voters, and gives as many signatures as are
// wanted.
func (c *cosigner) ask(ctx context.Context, r attestRequest, want int) (items [][]byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, attestTimeout)
	defer cancel()
	n, voters := c.group.node, c.group.currentVoters()
	type answer struct {
		item []byte
		err  error
	}
	answers := make(chan answer, len(voters))
	for _, node := range voters {
		// Nobody waits for the slowest but the group when it closes.
		c.group.wait.Go(func() {
			item, err := n.attestationOf(ctx, node, r)
			answers <- answer{item, err}
		})
	}
	var errs []error
	for range voters {
		if a := <-answers; a.err != nil {
			errs = append(errs, a.err)
		} else if items = append(items, a.item); len(items) == want {
			return items, nil
		}
	}
	return nil, fmt.Errorf("%d of %d signatures: %w", len(items), want, errors.Join(errs...))
}

// attestationOf gets a node's signature and checks that it is its operator's.
func (n *Node) attestationOf(ctx context.Context, node string, r attestRequest) ([]byte, error) {
	var item []byte
	var err error
	if node == n.options.Self {
		item, err = n.attest(ctx, r)
	} else {
		var body []byte
		if body, err = json.Marshal(r); err == nil {
			item, err = n.options.Transport.Call(ctx, node, callAttest, body)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("node %s: %w", node, err)
	}
	said, operator, err := log.ParseAttestation(item)
	switch {
	case err != nil:
		return nil, fmt.Errorf("node %s: %w", node, err)
	case said != r.Statement:
		return nil, fmt.Errorf("node %s signed something else", node)
	case operator != n.operatorOf(node):
		return nil, fmt.Errorf("node %s signed with the key of %s, not of its operator %s", node, operator, n.operatorOf(node))
	}
	return item, nil
}

// attest signs a statement once this node has that very entry in its own log: an
// operator says only what it can show.
func (n *Node) attest(ctx context.Context, r attestRequest) ([]byte, error) {
	s := r.Statement
	if n.options.Operator == nil {
		return nil, ao.Errorf(ao.CodeUnprocessable, "node %s has no operator's key", n.options.Self)
	}
	g, err := n.group(r.Group)
	if err != nil {
		return nil, err
	}
	for {
		reached := g.progress.reached()
		entry, err := n.read(s.Process, s.Nonce)
		switch {
		case err == nil && log.StatementOf(log.HeadOf(entry)) != s:
			if n.options.Evidence != nil && entry.ID != s.Assignment {
				n.options.Evidence(entry.AssignmentBytes, r.Assignment)
			}
			return nil, ao.Errorf(ao.CodeConflict, "node %s has assignment %s at nonce %d of %s", n.options.Self, entry.ID, s.Nonce, s.Process)
		case err == nil:
			item, err := s.Sign(n.options.Operator)
			if err != nil {
				return nil, err
			}
			return item.Bytes(), nil
		case !isUnknown(err):
			return nil, err
		}
		if _, err := g.progress.wait(ctx, reached+1); err != nil {
			return nil, err
		}
	}
}

// serveCosigning answers other nodes.
func (n *Node) serveCosigning(t *Transport) {
	t.Handle(callAttest, func(ctx context.Context, _ string, body []byte) ([]byte, error) {
		var r attestRequest
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, ao.Errorf(ao.CodeInvalid, "a request for an attestation: %w", err)
		}
		ctx, cancel := context.WithTimeout(ctx, attestTimeout)
		defer cancel()
		return n.attest(ctx, r)
	})
}

// awaitAttested waits until an entry counts: in a cosigned epoch that takes
// enough signatures. Of a message that came again, and that another group has taken
// since, only that group knows.
func (g *group) awaitAttested(ctx context.Context, entry log.Entry) error {
	for {
		reached := g.progress.reached()
		o, _, err := g.node.index.OrderingIn(entry.Process, g.id)
		switch {
		case errors.Is(err, log.ErrProcessUnknown), err == nil && o.Epoch < entry.Epoch:
			return moved("%w", errNotOrderedHere)
		case err != nil || o.Epoch > entry.Epoch || o.Counts() > entry.Nonce:
			return err
		}
		if !g.pipeline.leads() {
			return moved("the lead changed while operators signed")
		}
		g.cosigner.note(entry.Process)
		if err := g.awaitProgress(ctx, reached+1); err != nil {
			return err
		}
	}
}

// awaitProgress waits for the group to apply an index, but not for ever: the
// lead may go, and with it what was waited for.
func (g *group) awaitProgress(ctx context.Context, index uint64) error {
	waiting, cancel := context.WithTimeout(ctx, attestTimeout)
	defer cancel()
	_, err := g.progress.wait(waiting, index)
	if errors.Is(err, context.DeadlineExceeded) {
		return ctx.Err()
	}
	return err
}

// Attestations lists the signatures of operators under a process's order at
// nonces from..to, at most limit.
func (n *Node) Attestations(process ao.ID, from, to uint64, limit int) ([]log.Attested, error) {
	return n.index.Attestations(process, from, to, limit)
}

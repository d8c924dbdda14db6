package raft

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Import takes entries of this scheduler into the log as they are, each behind the
// one before it in its process: what an empty log gets back from where it was
// settled. A node does this while it is alone and before it appends anything, since
// nobody else may give these places meanwhile.
func (n *Node) Import(ctx context.Context, entries []log.Entry) error {
	if !n.alone() {
		return errors.New("entries are imported by a node that is alone, and this one is one of several")
	}
	g := n.groups[n.placement.groups()[0]]
	var data []byte
	for _, entry := range entries {
		if g.pipeline.ahead(entry.Process) {
			return fmt.Errorf("process %s has been appended to since the node was started", entry.Process)
		}
		data = log.AppendEntry(data, entry)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	future := g.raft.Apply(data, 0)
	if err := future.Error(); err != nil {
		return fmt.Errorf("import entries: %w", err)
	}
	results, ok := future.Response().([]applyResult)
	if !ok || len(results) != len(entries) {
		return fmt.Errorf("import entries: %d were applied as %v", len(entries), future.Response())
	}
	for i, result := range results {
		e := entries[i]
		switch {
		case result.refused != nil:
			return ao.Errorf(ao.CodeConflict, "entry %d of process %s does not fit the log: %w", e.Nonce, e.Process, result.refused)
		case result.duplicate:
			return ao.Errorf(ao.CodeConflict, "entry %d of process %s assigns a message that has a place", e.Nonce, e.Process)
		}
	}
	return nil
}

// ahead reports whether the pipeline has given a process places in this run.
func (p *pipeline) ahead(process ao.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.mu.heads[process]
	return ok
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/vm"
)

// client speaks to the unit; what it asks of a scheduler or gateway goes to the node
// that it was named by.
func (u unit) client() *connect.Client {
	client := connect.New(u.node)
	client.CU = u.base
	return client
}

// diffStates compares the states of two nodes by their roots, once their results are
// compared: behind the newest message that both have, or behind the first whose results
// differ. States may have parted before any result showed it; the first root that
// differs is found by bisection.
func diffStates(ctx context.Context, d *difference, one, other unit) error {
	if d.First != nil && d.First.What != "results" {
		return nil // of two histories there are no states to compare
	}
	last := d.Compared - 1
	parted, err := firstRoot(ctx, one, other, last)
	if ao.CodeOf(err) == ao.CodeNotFound {
		d.note("the states were not compared: one of the two does not tell their roots")
		return nil
	}
	if err != nil {
		return err
	}
	if parted == nil {
		return nil
	}
	if d.First == nil {
		message, _, err := one.result(ctx, parted.nonce)
		if err != nil {
			return err
		}
		d.Compared = parted.nonce + 1
		d.First = &firstNonce{Nonce: parted.nonce, Message: message, What: "states"}
	} else if parted.nonce < d.First.Nonce {
		d.note(fmt.Sprintf("their states part at nonce %d already", parted.nonce))
	}
	states := &engine.ReplayStates{RootA: parted.a, RootB: parted.b}
	if err := compareMemories(ctx, states, one, other, parted.nonce); err != nil {
		return err
	}
	d.First.States = states
	return nil
}

// note adds a remark.
func (d *difference) note(text string) {
	if d.Remark != "" {
		d.Remark += "; "
	}
	d.Remark += text
}

// partedRoots are the first that differ.
type partedRoots struct {
	nonce uint64
	a, b  ao.ID
}

// firstRoot finds the first nonce with different roots at or before last, if they differ
// at last: states that have parted stay apart.
func firstRoot(ctx context.Context, one, other unit, last uint64) (*partedRoots, error) {
	differ := func(nonce uint64) (*partedRoots, error) {
		a, err := one.client().Root(ctx, one.process, &connect.Place{Nonce: nonce})
		if err != nil {
			return nil, fmt.Errorf("ask %s for a state root: %w", one.base, err)
		}
		b, err := other.client().Root(ctx, other.process, &connect.Place{Nonce: nonce})
		if err != nil {
			return nil, fmt.Errorf("ask %s for a state root: %w", other.base, err)
		}
		if a.Root == b.Root {
			return nil, nil
		}
		return &partedRoots{nonce, a.Root, b.Root}, nil
	}
	found, err := differ(last)
	for from := uint64(0); err == nil && found != nil && from < found.nonce; {
		middle := from + (found.nonce-from)/2
		var earlier *partedRoots
		if earlier, err = differ(middle); earlier != nil {
			found = earlier
		} else {
			from = middle + 1
		}
	}
	return found, err
}

// compareMemories says which pages and Lua globals differ behind a nonce.
func compareMemories(ctx context.Context, states *engine.ReplayStates, one, other unit, nonce uint64) error {
	a, err := one.memory(ctx, nonce)
	if err != nil {
		return err
	}
	b, err := other.memory(ctx, nonce)
	if err != nil {
		return err
	}
	states.State = diff.States(a, b)
	states.Globals = diff.Fields(one.globals(ctx, nonce), other.globals(ctx, nonce))
	return nil
}

// memory gets a state's memory.
func (u unit) memory(ctx context.Context, nonce uint64) (*vm.State, error) {
	state := vm.NewState()
	pages := &pageWriter{state: state}
	if _, err := u.client().State(ctx, u.process, &connect.Place{Nonce: nonce}, pages); err != nil {
		return nil, err
	}
	return state, errors.Join(pages.flush(), state.Memory(pages.total))
}

// pageWriter cuts a memory into the pages of a state, without those that are zero.
type pageWriter struct {
	state *vm.State
	page  []byte
	index uint32
	total uint64
}

var _ io.Writer = (*pageWriter)(nil)

// Write takes the next bytes.
func (w *pageWriter) Write(b []byte) (int, error) {
	written := len(b)
	w.total += uint64(written)
	for len(b) > 0 {
		take := min(len(b), vm.PageBytes-len(w.page))
		w.page = append(w.page, b[:take]...)
		if b = b[take:]; len(w.page) == vm.PageBytes {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
	}
	return written, nil
}

func (w *pageWriter) flush() error {
	page := w.page
	w.page = w.page[:0]
	w.index++
	for _, b := range page {
		if b != 0 {
			return w.state.Page(w.index-1, page)
		}
	}
	return nil
}

// globals gives the Lua globals of an aos process; nil if it is none, or its owner is
// not known.
func (u unit) globals(ctx context.Context, nonce uint64) []byte {
	client := u.client()
	list, err := client.Schedule(ctx, u.process, 0, 1)
	if err != nil {
		return nil
	}
	owner, err := list.Owner(u.process)
	if err != nil {
		return nil
	}
	code := engine.GlobalsCode
	result, err := client.DryRunAt(ctx, u.process, &connect.Place{Nonce: nonce}, connect.DryRunRequest{
		Owner: owner, Data: &code, Tags: dataitem.Tags{{Name: "Action", Value: "Eval"}},
	})
	if err != nil {
		return nil
	}
	return engine.ParseGlobals(result)
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/engine"
)

// diffDigests compares two nodes, or a node and a replay, by digests of their results.
func (a *app) diffDigests(ctx context.Context, d *difference, one, other *account, f diffFlags) (err error) {
	accounts := [2]*account{one, other}
	var sides [2]digester
	for i, side := range accounts {
		if side.file != nil {
			continue
		}
		node := strings.TrimRight(side.name, "/")
		u := unit{node, computeUnit(ctx, node), d.Process}
		if _, err := u.newest(ctx); err != nil && one.file == nil && other.file == nil {
			return fmt.Errorf("%w: a unit without digests can be compared with a history, result by result", err)
		} else if err != nil {
			return a.diffClaims(ctx, d, one, other, f)
		}
		sides[i] = u
	}
	var root ao.ID // of the state at the end of a replay
	for i, side := range accounts {
		if side.file == nil {
			continue
		}
		kept, openErr := newReplayed()
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, kept.close()) }()
		state, err := a.replayAccount(ctx, side, f, engine.ReplayOptions{Machines: []string{side.machine}, Result: kept.add})
		if err != nil {
			return err
		}
		root, sides[i] = state.Machines[0].Root, kept
	}
	if err := firstOf(ctx, d, sides[0], sides[1]); err != nil {
		return err
	}
	unitA, okA := sides[0].(unit)
	unitB, okB := sides[1].(unit)
	switch {
	case okA && okB:
		return diffStates(ctx, d, unitA, unitB)
	case okA:
		return diffRoot(ctx, d, one.name, unitA, sides[1], root)
	case okB:
		return diffRoot(ctx, d, other.name, unitB, sides[0], root)
	}
	return nil
}

// diffRoot compares the state at the end of a replay with a node's, if all results are
// equal.
func diffRoot(ctx context.Context, d *difference, name string, u unit, replay digester, root ao.ID) error {
	last, err := replay.newest(ctx)
	if err != nil || d.First != nil || d.Compared != last+1 {
		return err
	}
	own, err := u.client().Root(ctx, u.process, &connect.Place{Nonce: last})
	if ao.CodeOf(err) == ao.CodeNotFound {
		d.note("the states were not compared: " + name + " does not tell their roots")
		return nil
	}
	if err != nil {
		return err
	}
	// What crons did behind the last message is in the replay's state, and in no result.
	if newest, err := u.client().Root(ctx, u.process, nil); err == nil && newest.Nonce == last && newest.Root == root {
		return nil
	}
	if own.Root != root {
		message, _, err := replay.result(ctx, last)
		if err != nil {
			return err
		}
		d.note("the results are equal, and the states are not: compare two nodes, or histories on two machines, to find where they part")
		d.First = &firstNonce{Nonce: last, Message: message, What: "states", States: &engine.ReplayStates{RootA: root, RootB: own.Root}}
	}
	return nil
}

func firstOf(ctx context.Context, d *difference, one, other digester) error {
	lastA, err := one.newest(ctx)
	if err != nil {
		return err
	}
	lastB, err := other.newest(ctx)
	if err != nil {
		return err
	}
	if lastA != lastB {
		d.Remark = fmt.Sprintf("%s has messages to nonce %d, %s to nonce %d", d.A, lastA, d.B, lastB)
	}
	nonce, found, err := diff.First(ctx, one, other, min(lastA, lastB))
	if err != nil {
		return err
	}
	d.Compared = min(lastA, lastB) + 1
	if !found {
		return nil
	}
	d.Compared = nonce + 1
	message, resultA, err := one.result(ctx, nonce)
	if err != nil {
		return err
	}
	messageB, resultB, err := other.result(ctx, nonce)
	if err != nil {
		return err
	}
	d.First = &firstNonce{Nonce: nonce, Message: message, What: "results", Fields: diff.Fields(resultA, resultB)}
	if message != messageB {
		d.First.What = "histories"
		d.First.Fields = append([]diff.Field{{Path: "message", A: message.String(), B: messageB.String()}}, d.First.Fields...)
	}
	return nil
}

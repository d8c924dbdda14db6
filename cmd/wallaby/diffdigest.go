package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
		u := unit{computeUnit(ctx, strings.TrimRight(side.name, "/")), d.Process}
		if _, err := u.newest(ctx); err != nil && one.file == nil && other.file == nil {
			return fmt.Errorf("%w: a unit without digests can be compared with a history, result by result", err)
		} else if err != nil {
			return a.diffClaims(ctx, d, one, other, f)
		}
		sides[i] = u
	}
	for i, side := range accounts {
		if side.file == nil {
			continue
		}
		kept, openErr := newReplayed()
		if openErr != nil {
			return openErr
		}
		defer func() { err = errors.Join(err, kept.close()) }()
		if _, err := a.replayAccount(ctx, side, f, engine.ReplayOptions{Machines: []string{side.machine}, Result: kept.add}); err != nil {
			return err
		}
		sides[i] = kept
	}
	return firstOf(ctx, d, sides[0], sides[1])
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

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/engine"
)

// diffHistories compares two histories, and if they are one, what two machines make of
// it.
func (a *app) diffHistories(ctx context.Context, d *difference, one, other *account, f diffFlags) error {
	lastA, lastB := one.file.End().Head, other.file.End().Head
	last := min(lastA, lastB)
	nonce, found, err := firstPlace(one, other, last)
	if err != nil {
		return err
	}
	d.Compared = last + 1
	if found {
		return d.places(one, other, nonce)
	}
	if lastA != lastB {
		d.Remark = fmt.Sprintf("%s goes on to nonce %d, %s to nonce %d", d.A, lastA, d.B, lastB)
	}
	if one.machine == other.machine {
		return nil
	}
	shorter := one
	if lastB < lastA {
		shorter = other
	}
	state, err := a.replayAccount(ctx, shorter, f, engine.ReplayOptions{Machines: []string{one.machine, other.machine}, Pinpoint: true})
	if err != nil {
		return err
	}
	if at := state.Divergence; at != nil {
		d.Compared = state.Messages
		d.First = &firstNonce{
			Nonce: at.Nonce, Tick: at.Tick, Message: at.Message, What: "results", States: at.States,
			Fields: diff.Fields([]byte(at.Wanted), []byte(at.Result)),
		}
		if len(d.First.Fields) == 0 {
			d.First.What = "states"
		}
	}
	return nil
}

// firstPlace finds the first nonce with different assignments: an assignment carries the
// hash of all before, so from there on all differ.
func firstPlace(one, other *account, last uint64) (nonce uint64, found bool, err error) {
	same := func(nonce uint64) (bool, error) {
		a, err := one.place(nonce)
		if err != nil {
			return false, err
		}
		b, err := other.place(nonce)
		return a["assignment"] == b["assignment"], err
	}
	if ok, err := same(last); err != nil || ok {
		return 0, false, err
	}
	from, to := uint64(0), last
	for from < to {
		middle := from + (to-from)/2
		ok, err := same(middle)
		if err != nil {
			return 0, false, err
		}
		if ok {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from, true, nil
}

// dataShownBytes is how much of a message is told.
const dataShownBytes = 200

// place tells what a history has at a nonce.
func (s *account) place(nonce uint64) (map[string]any, error) {
	r, ok, err := s.file.Entry(nonce)
	if err == nil && !ok {
		err = errors.New("it is missing")
	}
	if err != nil {
		return nil, fmt.Errorf("%s, nonce %d: %w", s.name, nonce, err)
	}
	e, err := r.Entry()
	if err != nil {
		return nil, fmt.Errorf("%s, nonce %d: %w", s.name, nonce, err)
	}
	place := map[string]any{
		"assignment": e.ID, "message": e.Message, "epoch": e.Epoch, "timestamp": e.TimestampMS, "blockHeight": e.BlockHeight, "hashChain": e.HashChain,
	}
	if item, err := e.Item(); !e.IsBare() && err == nil {
		place["owner"], place["tags"], place["data"] = item.Address(), item.Tags, string(item.Data[:min(len(item.Data), dataShownBytes)])
	}
	return place, nil
}

// places tells where two histories part.
func (d *difference) places(one, other *account, nonce uint64) error {
	a, err := one.place(nonce)
	if err != nil {
		return err
	}
	b, err := other.place(nonce)
	if err != nil {
		return err
	}
	message, _ := a["message"].(ao.ID)
	d.Compared = nonce + 1
	d.First = &firstNonce{Nonce: nonce, Message: message, What: "histories", Fields: diff.Fields(encodePlace(a), encodePlace(b))}
	return nil
}

func encodePlace(place map[string]any) []byte {
	b, _ := json.Marshal(place) // texts, numbers and ids
	return b
}

package engine

import (
	"context"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/diff"
)

// ResultsDigest commits to the results of a stretch of messages, so that two nodes, or a
// node and a replay, find where they differ without telling all results. What crons gave
// is left out.
type ResultsDigest struct {
	Process ao.ID  `json:"process"`
	From    uint64 `json:"from"`
	To      uint64 `json:"to"`
	Digest  ao.ID  `json:"digest"`
	Newest  uint64 `json:"newest"` // nonce of the newest message there is
	// Message and Result are those of a single place. The result's bytes are those that
	// the digest is of, which JSON in JSON would not keep.
	Message *ao.ID `json:"message,omitempty"`
	Result  []byte `json:"result,omitempty"`
}

// Digest gives the digest of the results with from <= nonce <= to. It waits for their
// evaluation.
func (e *Engine) Digest(ctx context.Context, process ao.ID, from, to uint64) (ResultsDigest, error) {
	d := ResultsDigest{Process: process, From: from, To: to}
	if from > to || to-from >= diff.SpanMax {
		return d, ao.Errorf(ao.CodeInvalid, "a digest is of 1 to %d results, not of nonces %d to %d", diff.SpanMax, from, to)
	}
	head, err := e.head(ctx, process)
	if err != nil {
		return d, err
	}
	d.Newest = head.Nonce
	last, err := e.ResultAt(ctx, process, to)
	if err != nil {
		return d, err
	}
	var digest diff.Digest
	next := from
	err = e.store.messages(ctx, process, from, to, func(at place, r record) error {
		if at.nonce != next {
			return errMissing(process, place{nonce: next})
		}
		next++
		digest = digest.Add(r.result)
		return nil
	})
	if err == nil && next != to+1 {
		err = errMissing(process, place{nonce: next})
	}
	if err != nil {
		return d, fmt.Errorf("digest results of process %s: %w", process, err)
	}
	d.Digest = ao.ID(digest)
	if from == to {
		d.Message, d.Result = &last.Message, last.Result.JSON()
	}
	return d, nil
}

// messages calls fn for the stored evaluations of messages, and not of crons, with
// from <= nonce <= to. The record is valid only during the call.
func (s *store) messages(ctx context.Context, process ao.ID, from, to uint64, fn func(place, record) error) error {
	return s.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: idKey(keyRecord, process), PrefetchValues: true, PrefetchSize: 100})
		defer iterator.Close()
		for iterator.Seek(placeKey(keyRecord, process, place{nonce: from})); iterator.Valid(); iterator.Next() {
			_, at := splitPlaceKey(iterator.Item().Key())
			if at.nonce > to {
				return nil
			}
			if at.tick > 0 {
				continue
			}
			err := iterator.Item().Value(func(value []byte) error {
				r, err := decodeRecord(value)
				if err != nil {
					return err
				}
				return fn(at, r)
			})
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

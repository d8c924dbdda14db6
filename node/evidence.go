package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// evidencePrefix begins the keys of contradictions: process, nonce.
const evidencePrefix = "evidence/"

// Contradict says whether two signed assignments give one place of a process to
// different things: proof, for everybody, that their signer gave two orders. It
// needs nothing but the two.
func Contradict(one, other *dataitem.Item) (c aohttp.Contradiction, contradicts bool, err error) {
	for _, item := range []*dataitem.Item{one, other} {
		if err := item.Verify(); err != nil {
			return c, false, ao.Errorf(ao.CodeInvalid, "assignment %s proves nothing: %w", item.ID(), err)
		}
	}
	a, err := ao.ParseAssignment(one)
	if err != nil {
		return c, false, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	b, err := ao.ParseAssignment(other)
	if err != nil {
		return c, false, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	c = aohttp.Contradiction{Process: a.Process, Nonce: a.Nonce, Scheduler: one.Address(), One: one.Bytes(), Other: other.Bytes()}
	same := a.Process == b.Process && a.Nonce == b.Nonce && bytes.Equal(one.Owner, other.Owner)
	// Two signatures under one wording give two ids; the order is the same.
	differs := a.Message != b.Message || a.HashChain != b.HashChain || a.Epoch != b.Epoch || a.TimestampMS != b.TimestampMS || a.BlockHeight != b.BlockHeight
	return c, same && differs, nil
}

// Accuse compares a signed assignment with the one in this log.
func (s sequencing) Accuse(ctx context.Context, item *dataitem.Item) (bool, error) {
	assignment, err := ao.ParseAssignment(item)
	if err != nil {
		return false, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	entry, err := s.node.log.Linearizable().Read(ctx, assignment.Process, assignment.Nonce)
	if err != nil {
		return false, ao.Errorf(ao.CodeNotFound, "this scheduler has no nonce %d of process %s to compare with: %w", assignment.Nonce, assignment.Process, err)
	}
	own, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil {
		return false, fmt.Errorf("own assignment: %w", err)
	}
	c, contradicts, err := Contradict(own, item)
	if err != nil || !contradicts {
		return false, err
	}
	return true, s.node.putEvidence(c)
}

// keepEvidence keeps two assignments that a node of the cluster was shown.
func (n *Node) keepEvidence(one, other []byte) {
	a, err := dataitem.Parse(one)
	if err != nil {
		return
	}
	b, err := dataitem.Parse(other)
	if err != nil {
		return
	}
	c, contradicts, err := Contradict(a, b)
	if err == nil && contradicts {
		err = n.putEvidence(c)
	}
	if err != nil {
		n.options.Logger.Error().Err(err).Msg("keep evidence")
	}
}

func (n *Node) putEvidence(c aohttp.Contradiction) error {
	value, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode evidence: %w", err)
	}
	key := binary.BigEndian.AppendUint64(append([]byte(evidencePrefix), c.Process[:]...), c.Nonce)
	if err := n.state.Update(func(txn *badger.Txn) error { return txn.Set(key, value) }); err != nil {
		return fmt.Errorf("keep evidence: %w", err)
	}
	n.options.Logger.Error().Stringer("process", c.Process).Uint64("nonce", c.Nonce).Str("scheduler", c.Scheduler).
		Msg("a scheduler has signed two orders: wallaby evidence shows them")
	return nil
}

// evidenceMax bounds what is listed.
const evidenceMax = 1000

// Evidence lists contradictions that were kept.
func (s sequencing) Evidence(context.Context) ([]aohttp.Contradiction, error) {
	list := []aohttp.Contradiction{}
	err := s.node.state.View(func(txn *badger.Txn) error {
		options := badger.DefaultIteratorOptions
		options.Prefix = []byte(evidencePrefix)
		it := txn.NewIterator(options)
		defer it.Close()
		for it.Rewind(); it.Valid() && len(list) < evidenceMax; it.Next() {
			var c aohttp.Contradiction
			if err := it.Item().Value(func(b []byte) error { return json.Unmarshal(b, &c) }); err != nil {
				return err
			}
			list = append(list, c)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list evidence: %w", err)
	}
	return list, nil
}

package log

import (
	"bytes"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Sequencer gives messages their places. It is pure: the same head, proposal
// and time give the same draft, and it keeps nothing between calls.
type Sequencer struct {
	// Owner is the scheduler's public key: entries signed by another do not
	// pass Check. A state machine leaves it empty, because a node whose key was
	// changed must still take, at every replay, what it took before.
	Owner []byte
}

// Step gives the assignment that follows head, unsigned and without an id.
// started is false for a process that has no entry yet, and head is then
// ignored. Timestamps rise strictly within a process, whatever the clock does, and
// heights never fall.
func (s Sequencer) Step(head Head, started bool, proposal Proposal, nowMS int64, blockHeight uint64) ao.Assignment {
	a := ao.Assignment{
		Process:     proposal.Process,
		Message:     proposal.Message,
		Exclude:     proposal.Exclude,
		BlockHeight: blockHeight,
		TimestampMS: nowMS,
	}
	if !started {
		a.HashChain = ao.FirstHashChain(a.Process)
		return a
	}
	a.Epoch = head.Epoch
	a.Nonce = head.Nonce + 1
	a.HashChain = ao.NextHashChain(head.Assignment, head.HashChain)
	a.TimestampMS = max(nowMS, head.TimestampMS+1, head.PromisedMS+1)
	// The next leader may know of fewer blocks.
	a.BlockHeight = max(blockHeight, head.BlockHeight)
	return a
}

// Check says why an entry cannot follow head, or nil. It is what every replica
// asks of an entry before it takes it, so that a leader that lost its place
// cannot put two messages in one.
func (s Sequencer) Check(head Head, started bool, entry Entry) error {
	want := s.Step(head, started, Proposal{Process: entry.Process, Message: entry.Message}, entry.TimestampMS, entry.BlockHeight)
	switch {
	case entry.Nonce != want.Nonce:
		return fmt.Errorf("nonce %d where %d follows", entry.Nonce, want.Nonce)
	case entry.Epoch != want.Epoch:
		return fmt.Errorf("epoch %d where %d goes on", entry.Epoch, want.Epoch)
	case entry.HashChain != want.HashChain:
		return fmt.Errorf("hash chain %s where %s follows", entry.HashChain, want.HashChain)
	case entry.TimestampMS != want.TimestampMS:
		return fmt.Errorf("timestamp %d is not after %d", entry.TimestampMS, max(head.TimestampMS, head.PromisedMS))
	case started && entry.Message.IsZero():
		return fmt.Errorf("a second assignment of the process itself")
	case !started && !entry.Message.IsZero():
		return fmt.Errorf("a message before its process")
	}
	return s.checkOwner(entry)
}

func (s Sequencer) checkOwner(entry Entry) error {
	if len(s.Owner) == 0 {
		return nil
	}
	signed, err := dataitem.Parse(entry.AssignmentBytes)
	if err != nil {
		return fmt.Errorf("assignment: %w", err)
	}
	if !bytes.Equal(signed.Owner, s.Owner) {
		return fmt.Errorf("assignment is signed by %s, not by this scheduler", signed.Address())
	}
	return nil
}

// HeadOf gives the head that an entry makes.
func HeadOf(entry Entry) Head {
	return Head{
		Process: entry.Process, Epoch: entry.Epoch, Nonce: entry.Nonce,
		Assignment: entry.ID, HashChain: entry.HashChain, TimestampMS: entry.TimestampMS, BlockHeight: entry.BlockHeight,
	}
}

// Prepare checks a proposal's item and signature and fills in which process
// and message it is about. Refusals are *ao.Error.
func (p Proposal) Prepare() (Proposal, error) {
	prepared, err := p.Trust()
	if err != nil || p.Item == nil || p.Own {
		return prepared, err
	}
	if err := p.Item.Verify(); err != nil {
		return p, ao.Errorf(ao.CodeInvalid, "item %s cannot be accepted: %w", p.Item.ID(), err)
	}
	return prepared, nil
}

// Trust is Prepare for an item whose signature need not be verified.
func (p Proposal) Trust() (Proposal, error) {
	if p.Item == nil {
		if p.Process.IsZero() || p.Message.IsZero() {
			return p, ao.Errorf(ao.CodeInvalid, "an assignment names a process and a message")
		}
		return p, nil
	}
	kind, process, err := ao.CheckItem(p.Item)
	if err != nil {
		return p, err
	}
	p.Process, p.Message, p.Exclude = process, p.Item.ID(), nil
	if kind == ao.KindProcess {
		p.Message = ao.ID{}
	}
	return p, nil
}

// SignEntry turns an assignment into a signed entry. The anchor is random so
// that two schedulers with one key never make the same id by accident.
func SignEntry(a ao.Assignment, item *dataitem.Item, anchor [32]byte, signer dataitem.Signer) (Entry, error) {
	signed, err := dataitem.Create(dataitem.Draft{Anchor: anchor[:], Tags: a.Tags()}, signer)
	if err != nil {
		return Entry{}, fmt.Errorf("sign assignment %d of %s: %w", a.Nonce, a.Process, err)
	}
	a.ID = signed.ID()
	entry := Entry{Assignment: a, AssignmentBytes: signed.Bytes()}
	if item != nil {
		entry.ItemBytes = item.Bytes()
	}
	return entry, nil
}

// IsProcess reports whether a prepared proposal starts a process.
func (p Proposal) IsProcess() bool { return p.Message.IsZero() }

package raft

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Head gives the newest place of a process; see log.Log.
func (n *Node) Head(_ context.Context, process ao.ID) (log.Head, error) {
	ordering, err := n.index.Ordering(process)
	if err != nil {
		return log.Head{}, err
	}
	return n.headOf(ordering)
}

// headOf gives the newest place that counts: in a cosigned epoch places without
// enough signatures do not yet.
func (n *Node) headOf(o log.Ordering) (log.Head, error) {
	if o.Counts() > o.Nonce {
		return o.Head, nil
	}
	if o.Counts() == 0 {
		return log.Head{}, log.ErrProcessUnknown
	}
	nonce := o.Counts() - 1
	entry, err := n.read(o.Process, nonce)
	return log.HeadOf(entry), err
}

// Read gives one entry; see log.Log.
func (n *Node) Read(_ context.Context, process ao.ID, nonce uint64) (log.Entry, error) {
	ordering, err := n.index.Ordering(process)
	if err != nil {
		return log.Entry{}, err
	}
	if nonce >= ordering.Counts() {
		return log.Entry{}, log.ErrEntryUnknown
	}
	return n.read(process, nonce)
}

// read gives one entry, whether it counts or not.
func (n *Node) read(process ao.ID, nonce uint64) (log.Entry, error) {
	place, err := n.index.Place(process, nonce)
	if err != nil {
		return log.Entry{}, err
	}
	return n.entryAt(place, process, nonce)
}

// entryAt reads an entry and checks that it is the one that was asked for: the
// index is derived and may be wrong, the entry says itself what it is.
func (n *Node) entryAt(place log.Place, process ao.ID, nonce uint64) (log.Entry, error) {
	b, err := n.ledger.ReadAt(place.Location, int(place.Length))
	if err != nil {
		return log.Entry{}, err
	}
	entry, _, err := log.DecodeEntry(b)
	if err != nil {
		return entry, fmt.Errorf("entry %d of %s in %s at byte %d: %w", nonce, process, n.ledger.SegmentPath(place.Location), place.Offset, err)
	}
	if entry.Process != process || entry.Nonce != nonce {
		return entry, fmt.Errorf("%w: the log index takes entry %d of %s for %d of %s", log.ErrCorrupt, entry.Nonce, entry.Process, nonce, process)
	}
	return entry, nil
}

// rangePage is how many places are looked up at once.
const rangePage = 256

// Range calls fn for a stretch of a process's entries; see log.Log.
func (n *Node) Range(ctx context.Context, process ao.ID, from, to uint64, fn func(log.Entry) error) error {
	head, err := n.Head(ctx, process)
	if err != nil {
		return err
	}
	for to = min(to, head.Nonce); from <= to; {
		places, err := n.index.Places(process, from, to, rangePage)
		if err != nil {
			return err
		}
		if len(places) == 0 {
			return fmt.Errorf("%w: the log index of %s lacks nonce %d", log.ErrCorrupt, process, from)
		}
		for _, place := range places {
			if err := ctx.Err(); err != nil {
				return err
			}
			entry, err := n.entryAt(place, process, from)
			if err != nil {
				return err
			}
			if err := fn(entry); err != nil {
				return err
			}
			from++
		}
	}
	return nil
}

// Find gives the nonce of an id within a process; see log.Log.
func (n *Node) Find(_ context.Context, process, id ao.ID) (uint64, error) {
	nonce, err := n.index.Find(process, id)
	if err != nil {
		return 0, err
	}
	return nonce, n.counts(process, nonce)
}

// Locate gives the process and nonce of an id; see log.Log.
func (n *Node) Locate(_ context.Context, id ao.ID) (ao.ID, uint64, error) {
	process, nonce, err := n.index.Locate(id)
	if err != nil {
		return process, nonce, err
	}
	return process, nonce, n.counts(process, nonce)
}

// counts gives ErrEntryUnknown for a place that is not for others to see yet.
func (n *Node) counts(process ao.ID, nonce uint64) error {
	ordering, err := n.index.Ordering(process)
	if errors.Is(err, log.ErrProcessUnknown) || err == nil && nonce >= ordering.Counts() {
		return log.ErrEntryUnknown
	}
	return err
}

// NonceAfter gives the first nonce with a later timestamp; see log.Log.
func (n *Node) NonceAfter(ctx context.Context, process ao.ID, timestampMS int64) (uint64, error) {
	head, err := n.Head(ctx, process)
	if err != nil {
		return 0, err
	}
	return n.index.NonceAfter(head, timestampMS)
}

// Processes lists heads; see log.Log.
func (n *Node) Processes(_ context.Context, after ao.ID, limit int) ([]log.Head, error) {
	orderings, err := n.index.Orderings(after, limit)
	if err != nil {
		return nil, err
	}
	heads := make([]log.Head, 0, len(orderings))
	for _, ordering := range orderings {
		head, err := n.headOf(ordering)
		if errors.Is(err, log.ErrProcessUnknown) {
			continue
		}
		if err != nil {
			return nil, err
		}
		heads = append(heads, head)
	}
	return heads, nil
}

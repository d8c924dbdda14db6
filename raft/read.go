package raft

import (
	"context"
	"errors"
	"fmt"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Head gives the newest place of a process; see log.Log.
func (n *Node) Head(_ context.Context, process ao.ID) (log.Head, error) { return n.index.Head(process) }

// Read gives one entry; see log.Log.
func (n *Node) Read(_ context.Context, process ao.ID, nonce uint64) (log.Entry, error) {
	place, err := n.index.Place(process, nonce)
	if errors.Is(err, log.ErrEntryUnknown) {
		if _, err := n.index.Head(process); err != nil {
			return log.Entry{}, err
		}
	}
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
	head, err := n.index.Head(process)
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
	return n.index.Find(process, id)
}

// Locate gives the process and nonce of an id; see log.Log.
func (n *Node) Locate(_ context.Context, id ao.ID) (ao.ID, uint64, error) { return n.index.Locate(id) }

// NonceAfter gives the first nonce with a later timestamp; see log.Log.
func (n *Node) NonceAfter(_ context.Context, process ao.ID, timestampMS int64) (uint64, error) {
	head, err := n.index.Head(process)
	if err != nil {
		return 0, err
	}
	return n.index.NonceAfter(head, timestampMS)
}

// Processes lists heads; see log.Log.
func (n *Node) Processes(_ context.Context, after ao.ID, limit int) ([]log.Head, error) {
	return n.index.Heads(after, limit)
}

// Follow calls fn for every entry of the group; see log.Log.
func (n *Node) Follow(ctx context.Context, group uint32, after log.Position, fn func(log.Position, log.Entry) error) error {
	g := n.groups[group]
	if g == nil {
		return fmt.Errorf("this node has no group %d", group)
	}
	next := max(after.Index, 1)
	for {
		applied, err := g.progress.wait(ctx, next)
		if err != nil {
			return err
		}
		for ; next <= applied; next++ {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := n.followIndex(group, next, after, fn); err != nil {
				return err
			}
		}
	}
}

// followIndex calls fn for the entries of one Raft entry that lie after a
// position and that the state machine took.
func (n *Node) followIndex(group uint32, index uint64, after log.Position, fn func(log.Position, log.Entry) error) error {
	record, location, err := n.ledger.Record(group, index)
	if err != nil {
		return fmt.Errorf("read Raft entry %d: %w", index, err)
	}
	entry := new(hraft.Log)
	if err := decodeLog(record, entry); err != nil {
		return err
	}
	if entry.Type != hraft.LogCommand {
		return nil
	}
	location.Offset += dataOffset(entry)
	position := log.Position{Index: index}
	for data := entry.Data; len(data) > 0; {
		e, size, err := log.DecodeEntry(data)
		if err != nil {
			return fmt.Errorf("read Raft entry %d: %w", index, err)
		}
		place := log.Place{Location: location, Length: uint32(size), TimestampMS: e.TimestampMS}
		position.Offset++
		location.Offset += int64(size)
		data = data[size:]
		if index == after.Index && position.Offset <= after.Offset {
			continue
		}
		known, err := n.index.Place(e.Process, e.Nonce)
		if err != nil && !errors.Is(err, log.ErrEntryUnknown) {
			return err
		}
		if known != place {
			continue
		}
		if err := fn(position, e); err != nil {
			return err
		}
	}
	return nil
}

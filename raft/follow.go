package raft

import (
	"context"
	"errors"
	"fmt"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Follow calls fn for every entry of the group; see log.Log. An entry comes when
// all before it in its process are here and it counts.
func (n *Node) Follow(ctx context.Context, group uint32, after log.Position, fn func(log.Position, log.Entry) error) error {
	g := n.groups[group]
	if g == nil {
		return fmt.Errorf("this node has no group %d", group)
	}
	f := follower{node: n, group: group, after: after, fn: fn}
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
			if err := f.index(ctx, next); err != nil {
				return err
			}
		}
	}
}

// follower reads one group in commit order.
type follower struct {
	node     *Node
	group    uint32
	after    log.Position
	fn       func(log.Position, log.Entry) error
	position log.Position // of what comes now
}

// index calls fn for the entries of one Raft entry that lie after a position and
// that the state machine took.
func (f *follower) index(ctx context.Context, index uint64) error {
	record, location, err := f.node.ledger.Record(f.group, index)
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
	f.position = log.Position{Index: index}
	for data := entry.Data; len(data) > 0; {
		frame, err := log.DecodeFrame(data)
		if err != nil {
			return fmt.Errorf("read Raft entry %d: %w", index, err)
		}
		switch {
		case frame.Control == nil:
			place := log.Place{Location: location, Length: uint32(frame.Size), TimestampMS: frame.Entry.TimestampMS}
			err = f.entry(ctx, frame.Entry, place)
		case frame.Control.Attested != nil:
			err = f.attested(ctx, *frame.Control.Attested)
		}
		if err != nil {
			return err
		}
		location.Offset += int64(frame.Size)
		data = data[frame.Size:]
	}
	return nil
}

// next counts a place, and reports whether it was followed before.
func (f *follower) next() (again bool) {
	f.position.Offset++
	return f.position.Index == f.after.Index && f.position.Offset <= f.after.Offset
}

// entry passes an entry on, unless it counts only when it is attested.
func (f *follower) entry(ctx context.Context, e log.Entry, place log.Place) error {
	if f.next() {
		return nil
	}
	known, err := f.node.index.Place(e.Process, e.Nonce)
	if err != nil && !errors.Is(err, log.ErrEntryUnknown) {
		return err
	}
	if known != place {
		return nil
	}
	cosigned, err := f.awaitWhole(ctx, e.Process, e.Epoch)
	if err != nil || cosigned {
		return err
	}
	return f.fn(f.position, e)
}

// awaitWhole waits until all before an epoch is here, and reports whether the
// epoch is a cosigned one.
func (f *follower) awaitWhole(ctx context.Context, process ao.ID, epoch uint64) (cosigned bool, err error) {
	for {
		newest, err := f.node.index.Ordering(process)
		switch {
		case err == nil && newest.Epoch == epoch:
			return newest.Mode.Cosigners > 0, nil
		case err == nil && newest.Epoch > epoch:
			next, err := f.node.index.Epoch(process, epoch+1)
			return next.Before.Cosigners > 0, err
		case err != nil && !errors.Is(err, log.ErrProcessUnknown):
			return false, err
		}
		if err := f.node.pause(ctx); err != nil {
			return false, err
		}
	}
}

// attested passes on the entries that signatures make count.
func (f *follower) attested(ctx context.Context, a log.Attested) error {
	known, err := f.node.index.Attested(a.Process, a.Nonce)
	if errors.Is(err, log.ErrEntryUnknown) || err == nil && known.Index != f.position.Index {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := f.awaitWhole(ctx, a.Process, a.Epoch); err != nil {
		return err
	}
	for nonce := a.First; nonce <= a.Nonce; nonce++ {
		if f.next() {
			continue
		}
		entry, err := f.node.read(a.Process, nonce)
		if err != nil {
			return fmt.Errorf("attested entry %d of %s: %w", nonce, a.Process, err)
		}
		if err := f.fn(f.position, entry); err != nil {
			return err
		}
	}
	return nil
}

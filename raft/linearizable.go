package raft

import (
	"context"
	"errors"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// Linearizable gives a view of the log whose reads see everything that was
// acknowledged before them, by whichever node. They cost a round trip to the
// group's leader and one to a majority, and fail with CodeUnavailable without
// one. The node itself answers reads with what it has applied.
func (n *Node) Linearizable() log.Log {
	if n.alone() {
		return n
	}
	return linearizable{n}
}

type linearizable struct{ *Node }

// Head gives the newest place of a process; see log.Log.
func (l linearizable) Head(ctx context.Context, process ao.ID) (log.Head, error) {
	if err := l.Sync(ctx, process); err != nil {
		return log.Head{}, err
	}
	return l.Node.Head(ctx, process)
}

// Read gives one entry; see log.Log. What is there never changes, so only what
// is not there is worth a round trip.
func (l linearizable) Read(ctx context.Context, process ao.ID, nonce uint64) (log.Entry, error) {
	entry, err := l.Node.Read(ctx, process, nonce)
	if !isUnknown(err) {
		return entry, err
	}
	if err := l.Sync(ctx, process); err != nil {
		return entry, err
	}
	return l.Node.Read(ctx, process, nonce)
}

// Range calls fn for a stretch of a process's entries; see log.Log.
func (l linearizable) Range(ctx context.Context, process ao.ID, from, to uint64, fn func(log.Entry) error) error {
	if err := l.Sync(ctx, process); err != nil {
		return err
	}
	return l.Node.Range(ctx, process, from, to, fn)
}

// Find gives the nonce of an id within a process; see log.Log.
func (l linearizable) Find(ctx context.Context, process, id ao.ID) (uint64, error) {
	nonce, err := l.Node.Find(ctx, process, id)
	if !isUnknown(err) {
		return nonce, err
	}
	if err := l.Sync(ctx, process); err != nil {
		return 0, err
	}
	return l.Node.Find(ctx, process, id)
}

// Locate gives the process and nonce of an id; see log.Log. The item itself is
// what is sought: a bare assignment of it may have come here first.
func (l linearizable) Locate(ctx context.Context, id ao.ID) (ao.ID, uint64, error) {
	process, nonce, err := l.Node.Locate(ctx, id)
	if err == nil {
		var entry log.Entry
		if entry, err = l.Node.Read(ctx, process, nonce); err == nil && (entry.ID == id || !entry.IsBare()) {
			return process, nonce, nil
		}
	}
	if err != nil && !isUnknown(err) {
		return process, nonce, err
	}
	failed := l.syncAll(ctx)
	if process, nonce, err = l.Node.Locate(ctx, id); err != nil && failed != nil {
		err = failed
	}
	return process, nonce, err
}

// NonceAfter gives the first nonce with a later timestamp; see log.Log.
func (l linearizable) NonceAfter(ctx context.Context, process ao.ID, timestampMS int64) (uint64, error) {
	if err := l.Sync(ctx, process); err != nil {
		return 0, err
	}
	return l.Node.NonceAfter(ctx, process, timestampMS)
}

// Processes lists heads; see log.Log. While a node that orders some alone cannot
// be reached, those are as this node knows them.
func (l linearizable) Processes(ctx context.Context, after ao.ID, limit int) ([]log.Head, error) {
	if err := l.syncReachable(ctx); err != nil {
		return nil, err
	}
	return l.Node.Processes(ctx, after, limit)
}

func isUnknown(err error) bool {
	return errors.Is(err, log.ErrEntryUnknown) || errors.Is(err, log.ErrProcessUnknown)
}

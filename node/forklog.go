package node

import (
	"context"
	"errors"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// forkLog is a process's log up to a nonce, with other messages at some places.
// Every place keeps its assignment, with nonce, time and hash chain: so what differs in
// the results follows from the messages alone. Nothing can be appended.
type forkLog struct {
	aolog.Log // of the node
	process   ao.ID
	head      aolog.Head
	replaced  map[uint64]replacement
}

// replacement is a message in the place of another.
type replacement struct {
	id    ao.ID
	bytes []byte
}

// Head gives the last place that the fork has.
func (l *forkLog) Head(_ context.Context, process ao.ID) (aolog.Head, error) {
	return l.head, l.known(process)
}

func (l *forkLog) known(process ao.ID) error {
	if process != l.process {
		return aolog.ErrProcessUnknown
	}
	return nil
}

// change puts another message into an entry, if there is one for its place.
func (l *forkLog) change(entry aolog.Entry) aolog.Entry {
	if other, ok := l.replaced[entry.Nonce]; ok {
		entry.Message, entry.ItemBytes, entry.Exclude = other.id, other.bytes, nil
	}
	return entry
}

// Read gives one entry; see log.Log.
func (l *forkLog) Read(ctx context.Context, process ao.ID, nonce uint64) (aolog.Entry, error) {
	if err := l.known(process); err != nil {
		return aolog.Entry{}, err
	}
	if nonce > l.head.Nonce {
		return aolog.Entry{}, aolog.ErrEntryUnknown
	}
	entry, err := l.Log.Read(ctx, process, nonce)
	return l.change(entry), err
}

// Range calls fn for a stretch of entries; see log.Log.
func (l *forkLog) Range(ctx context.Context, process ao.ID, from, to uint64, fn func(aolog.Entry) error) error {
	if err := l.known(process); err != nil {
		return err
	}
	return l.Log.Range(ctx, process, from, min(to, l.head.Nonce), func(entry aolog.Entry) error { return fn(l.change(entry)) })
}

// Find gives the nonce of an id; see log.Log.
func (l *forkLog) Find(ctx context.Context, process, id ao.ID) (uint64, error) {
	if err := l.known(process); err != nil {
		return 0, err
	}
	for nonce, other := range l.replaced {
		if other.id == id {
			return nonce, nil
		}
	}
	nonce, err := l.Log.Find(ctx, process, id)
	if err != nil {
		return 0, err
	}
	entry, err := l.Read(ctx, process, nonce)
	if err == nil && entry.ID != id && entry.Message != id && process != id {
		err = aolog.ErrEntryUnknown // it was replaced
	}
	return nonce, err
}

// NonceAfter gives the first nonce with a later timestamp; see log.Log.
func (l *forkLog) NonceAfter(ctx context.Context, process ao.ID, timestampMS int64) (uint64, error) {
	if err := l.known(process); err != nil {
		return 0, err
	}
	nonce, err := l.Log.NonceAfter(ctx, process, timestampMS)
	return min(nonce, l.head.Nonce+1), err
}

var errForkIsClosed = errors.New("a fork takes no messages")

// Append refuses.
func (l *forkLog) Append(context.Context, aolog.Proposal) (aolog.Entry, bool, error) {
	return aolog.Entry{}, false, errForkIsClosed
}

// Promise refuses.
func (l *forkLog) Promise(context.Context, aolog.Promise) (aolog.Head, error) {
	return aolog.Head{}, errForkIsClosed
}

// Watch refuses.
func (l *forkLog) Watch(context.Context, ao.ID, bool) (bool, error) { return false, errForkIsClosed }

// Groups names none: nothing comes to follow.
func (l *forkLog) Groups() []uint32 { return nil }

// Close does nothing: the log is the node's.
func (l *forkLog) Close() error { return nil }

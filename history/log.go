package history

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Log presents a history file as the log of its one process, to read. Nothing can
// be appended, and following it gives nothing. It answers what a replay asks.
type Log struct {
	file  *File
	head  aolog.Head
	skips map[uint64][]aolog.Skip
	items map[ao.ID]int64 // where items of bare assignments begin

	blocks []Block
	times  uint64 // of how many places the file says what time passed behind them
	timed  bool   // it says so of the newest
}

var _ aolog.Log = (*Log)(nil)

// NewLog makes a log of a file, which must have the process's entries from its
// beginning on.
func NewLog(file *File) (*Log, error) { return NewLogFrom(file, 0) }

// NewLogFrom makes a log of a file that has the process itself and its entries from
// a nonce on.
func NewLogFrom(file *File, from uint64) (*Log, error) {
	process := file.header.Process
	l := &Log{file: file, skips: map[uint64][]aolog.Skip{}, items: map[ao.ID]int64{}}
	if left := max(from, 1) - 1; file.end.Entries+left != file.end.Head+1 {
		return nil, ao.Errorf(ao.CodeUnprocessable, "the history has %d entries and ends at nonce %d: some are missing", file.end.Entries, file.end.Head)
	}
	first, err := l.Read(context.Background(), process, 0)
	if err != nil {
		return nil, fmt.Errorf("read the beginning of process %s: %w", process, err)
	}
	if !first.Message.IsZero() {
		return nil, ao.Errorf(ao.CodeUnprocessable, "the history of process %s does not begin with the process itself, but with message %s", process, first.Message)
	}
	last, err := l.Read(context.Background(), process, file.end.Head)
	if err != nil {
		return nil, fmt.Errorf("read the end of process %s: %w", process, err)
	}
	l.head = aolog.HeadOf(last)
	if err := l.readTime(); err != nil {
		return nil, err
	}
	err = file.Others(KindSkip, func(r Record) error {
		s, err := r.Skip()
		l.skips[s.Nonce] = append(l.skips[s.Nonce], s)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = file.Others(KindItem, func(r Record) error {
		item, err := r.Item()
		if err == nil {
			l.items[item.ID()] = r.Offset
		}
		return err
	})
	return l, err
}

// Item gives an item that a bare assignment names.
func (l *Log) Item(_ context.Context, id ao.ID) (*dataitem.Item, error) {
	offset, ok := l.items[id]
	if !ok {
		return nil, ao.Errorf(ao.CodeNotFound, "item %s was assigned by name and is not in the history", id)
	}
	r, err := l.file.at(offset)
	if err != nil {
		return nil, err
	}
	return r.Item()
}

// entry reads a record of the log.
func (l *Log) entry(r Record) (aolog.Entry, error) {
	if r.Kind == KindClaim {
		return aolog.Entry{}, ao.Errorf(ao.CodeUnprocessable, "the assignment at nonce %d is known from hearsay alone, which cannot be replayed", r.Nonce)
	}
	e, err := r.Entry()
	if err == nil && (e.Process != l.file.header.Process || e.Nonce != r.Nonce) {
		err = fmt.Errorf("it is of nonce %d of process %s", e.Nonce, e.Process)
	}
	if err != nil {
		return e, fmt.Errorf("%w: %w", aolog.ErrCorrupt, &Damage{Offset: r.Offset, Kind: r.Kind, Nonce: r.Nonce, Reason: err.Error()})
	}
	return e, nil
}

func (l *Log) known(process ao.ID) error {
	if process != l.file.header.Process {
		return aolog.ErrProcessUnknown
	}
	return nil
}

// Head gives the newest place; see log.Log.
func (l *Log) Head(_ context.Context, process ao.ID) (aolog.Head, error) {
	return l.head, l.known(process)
}

// Read gives one entry; see log.Log.
func (l *Log) Read(ctx context.Context, process ao.ID, nonce uint64) (e aolog.Entry, err error) {
	err = l.Range(ctx, process, nonce, nonce, func(found aolog.Entry) error {
		e = found
		return errEnough
	})
	switch {
	case errors.Is(err, errEnough):
		return e, nil
	case err == nil:
		return e, aolog.ErrEntryUnknown
	}
	return e, err
}

// Range calls fn for a stretch of entries; see log.Log.
func (l *Log) Range(ctx context.Context, process ao.ID, from, to uint64, fn func(aolog.Entry) error) error {
	if err := l.known(process); err != nil {
		return err
	}
	return l.file.Entries(from, to, func(r Record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := l.entry(r)
		if err != nil {
			return err
		}
		return fn(e)
	})
}

// Find gives the nonce of an id; see log.Log.
func (l *Log) Find(ctx context.Context, process, id ao.ID) (nonce uint64, err error) {
	err = l.Range(ctx, process, 0, l.head.Nonce, func(e aolog.Entry) error {
		if e.ID == id || e.Message == id || e.Message.IsZero() && e.Process == id {
			nonce = e.Nonce
			return errEnough
		}
		return nil
	})
	switch {
	case errors.Is(err, errEnough):
		return nonce, nil
	case err == nil:
		return 0, aolog.ErrEntryUnknown
	}
	return 0, err
}

// Locate gives the place of an id; see log.Log.
func (l *Log) Locate(ctx context.Context, id ao.ID) (ao.ID, uint64, error) {
	nonce, err := l.Find(ctx, l.file.header.Process, id)
	return l.file.header.Process, nonce, err
}

// NonceAfter gives the first nonce with a later timestamp; see log.Log.
func (l *Log) NonceAfter(ctx context.Context, process ao.ID, timestampMS int64) (uint64, error) {
	nonce := l.head.Nonce + 1
	err := l.Range(ctx, process, 0, l.head.Nonce, func(e aolog.Entry) error {
		if e.TimestampMS > timestampMS {
			nonce = e.Nonce
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return nonce, err
}

// Processes lists the one process; see log.Log.
func (l *Log) Processes(_ context.Context, after ao.ID, limit int) ([]aolog.Head, error) {
	if process := l.file.header.Process; limit < 1 || string(process[:]) <= string(after[:]) {
		return nil, nil
	}
	return []aolog.Head{l.head}, nil
}

func errReadOnly() error {
	return ao.Errorf(ao.CodeUnavailable, "a history file cannot be changed")
}

// Append refuses.
func (l *Log) Append(context.Context, aolog.Proposal) (aolog.Entry, bool, error) {
	return aolog.Entry{}, false, errReadOnly()
}

// Promise refuses.
func (l *Log) Promise(context.Context, aolog.Promise) (aolog.Head, error) {
	return aolog.Head{}, errReadOnly()
}

// Skips lists what crons leave out behind a place; see log.Log.
func (l *Log) Skips(_ context.Context, process ao.ID, nonce uint64) ([]aolog.Skip, error) {
	return l.skips[nonce], l.known(process)
}

// Watch refuses.
func (l *Log) Watch(context.Context, ao.ID, bool) (bool, error) { return false, errReadOnly() }

// Watches lists nothing: whose crons are driven changes no result.
func (l *Log) Watches(context.Context, ao.ID) ([]aolog.Watch, error) { return nil, nil }

// Watched lists nothing.
func (l *Log) Watched(context.Context, ao.ID, int) ([]ao.ID, error) { return nil, nil }

// Groups names none: nothing comes to follow.
func (l *Log) Groups() []uint32 { return nil }

// Follow waits for the end of ctx.
func (l *Log) Follow(ctx context.Context, _ uint32, _ aolog.Position, _ func(aolog.Position, aolog.Entry) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// Close does nothing: the file is its opener's.
func (l *Log) Close() error { return nil }

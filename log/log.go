package log

import (
	"context"
	"errors"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Log orders messages, one sequence per process. Every implementation passes
// logtest.Run. All methods are safe for concurrent use.
type Log interface {
	// Append verifies the proposal, gives it the next nonce of its process and
	// returns once that is durable. A message or process already in the log
	// gives its first entry with duplicate true and changes nothing.
	//
	// Refusals are *ao.Error: CodeInvalid for a bad signature or bad tags,
	// CodeNotFound for a process this log does not have, CodeRateLimited when
	// the queue is full, CodeUnavailable while the log cannot commit.
	Append(ctx context.Context, proposal Proposal) (entry Entry, duplicate bool, err error)

	// Head gives the newest place of a process, or ErrProcessUnknown.
	Head(ctx context.Context, process ao.ID) (Head, error)

	// Read gives the entry of a process at a nonce, ErrProcessUnknown, or
	// ErrEntryUnknown when the process has no such nonce.
	Read(ctx context.Context, process ao.ID, nonce uint64) (Entry, error)

	// Range calls fn for the entries of a process with from <= nonce <= to, in
	// order, until fn returns an error, which Range returns. A range past the
	// head ends at the head.
	Range(ctx context.Context, process ao.ID, from, to uint64, fn func(Entry) error) error

	// Find gives the place of a message id, an assignment id or the process's
	// own id within one process, or ErrEntryUnknown.
	Find(ctx context.Context, process, id ao.ID) (nonce uint64, err error)

	// Locate gives the first place of a message id or assignment id in any
	// process, or ErrEntryUnknown.
	Locate(ctx context.Context, id ao.ID) (process ao.ID, nonce uint64, err error)

	// NonceAfter gives the first nonce of a process whose timestamp is greater
	// than timestampMS; one past the head when there is none.
	NonceAfter(ctx context.Context, process ao.ID, timestampMS int64) (nonce uint64, err error)

	// Processes lists heads of processes in order of id, after the given id,
	// at most limit.
	Processes(ctx context.Context, after ao.ID, limit int) ([]Head, error)

	// Promise has the scheduler agree that no entry to come of a process has a
	// timestamp of UntilMS or before, and gives the head after it. Errors are
	// those of Append.
	Promise(ctx context.Context, promise Promise) (Head, error)

	// Skips lists the time behind a place of a process that its crons leave out.
	Skips(ctx context.Context, process ao.ID, nonce uint64) ([]Skip, error)

	// Watch notes whether a process's crons are to be driven from now on, and
	// reports whether that is a change. Errors are those of Append.
	Watch(ctx context.Context, process ao.ID, on bool) (changed bool, err error)

	// Watches lists all that was said about that, in order of time.
	Watches(ctx context.Context, process ao.ID) ([]Watch, error)

	// Watched lists processes whose crons are to be driven, in order of id, after
	// the given id, at most limit.
	Watched(ctx context.Context, after ao.ID, limit int) ([]ao.ID, error)

	// Groups names the sequencing groups whose entries this log holds.
	Groups() []uint32

	// Follow calls fn for every entry of a group in commit order, after the
	// given position (zero: from the beginning), and then for new ones as they
	// become durable, until ctx ends or fn fails.
	Follow(ctx context.Context, group uint32, after Position, fn func(Position, Entry) error) error

	// Close stops the log after what was acknowledged is safe.
	Close() error
}

// Proposal asks for a place in a log: either a signed process or message, or a
// bare assignment of an item that is elsewhere.
type Proposal struct {
	// Item is the process or message; nil for a bare assignment.
	Item *dataitem.Item
	// Own says that who proposes has just signed the item: its signature is not
	// verified.
	Own bool
	// Process and Message name a bare assignment; ignored when Item is set.
	Process ao.ID
	Message ao.ID
	// Exclude names fields a bare assignment leaves out of the message.
	Exclude []string
}

// Entry is one place of a process's log with the bytes that fill it.
type Entry struct {
	ao.Assignment
	AssignmentBytes []byte // the signed assignment item
	ItemBytes       []byte // the signed process or message; nil for a bare assignment
}

// IsBare reports whether the assigned item's bytes are elsewhere.
func (e Entry) IsBare() bool { return len(e.ItemBytes) == 0 }

// Item parses the assigned item; it must not be called on a bare assignment.
func (e Entry) Item() (*dataitem.Item, error) { return dataitem.Parse(e.ItemBytes) }

// Head is the newest place of a process: all that the next one depends on.
type Head struct {
	Process     ao.ID  `json:"process"`
	Epoch       uint64 `json:"epoch"`
	Nonce       uint64 `json:"nonce"`
	Assignment  ao.ID  `json:"assignment"`
	HashChain   ao.ID  `json:"hashChain"`
	TimestampMS int64  `json:"timestamp"`
	BlockHeight uint64 `json:"blockHeight"`
	// PromisedMS is a time that the next entry comes after; 0: nothing was
	// promised since this place.
	PromisedMS int64 `json:"promised,omitempty"`
}

// Position is a place in a group's commit order. Positions of one group are
// ordered by Index, then Offset; they survive restarts.
type Position struct {
	Index  uint64 // Raft index
	Offset uint32 // entry within the batch at that index, from 1; 0 is before the first
}

var (
	// ErrProcessUnknown is returned when the log has no such process.
	ErrProcessUnknown = errors.New("process unknown to this log")
	// ErrEntryUnknown is returned when a process has no such nonce or id.
	ErrEntryUnknown = errors.New("entry unknown to this log")
	// ErrCorrupt is returned, wrapped with the file and the reason, when stored
	// bytes are not what was written.
	ErrCorrupt = errors.New("stored bytes are corrupt")
	// ErrLocked is returned, wrapped with the directory, when another log has it
	// open.
	ErrLocked = errors.New("log directory is in use by another log")
	// ErrClosed is returned when the log is closed or closing.
	ErrClosed = errors.New("log is closed")
)

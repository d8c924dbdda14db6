package engine

import (
	"context"
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/procs"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
)

// Options says what an engine works on and within which limits. A zero limit
// means its default.
type Options struct {
	Log aolog.Log
	// DB keeps derived state under keys that begin with "e". It may lose its
	// newest writes in a power failure: they are evaluated again.
	DB *badger.DB
	// Drivers run modules; the first that accepts a module's format is taken,
	// unless the process's VM tag names another.
	Drivers []vm.Driver
	// Machines names drivers for module formats, for processes without the tag;
	// the one for "" takes all other formats that it runs.
	Machines map[string]string
	Modules  ModuleSource
	// Items gives the content of bare assignments.
	Items ItemSource
	// Blocks are those that crons see; nil: none.
	Blocks BlockSource
	// Host gives guests data from outside; nil: none.
	Host vm.Host
	// Leave, if set, says why a process is not to get the message at a nonce, for
	// histories that are tried otherwise than they were; "": it gets it.
	Leave func(process ao.ID, nonce uint64) (why string)

	// MemoryMaxBytes is the largest Memory-Limit that is accepted (1 GiB).
	MemoryMaxBytes uint64
	// ComputeMax is the largest Compute-Limit that is accepted (9e12).
	ComputeMax uint64
	// OutputMaxBytes bounds the response to one message (16 MiB).
	OutputMaxBytes int
	// EvaluationTimeoutMS is the wall clock for one message (60,000), the last
	// resort behind the compute limit.
	EvaluationTimeoutMS int64
	// CloseGraceMS is how long Close waits for messages in hand (10,000).
	CloseGraceMS int64

	// HotBytesMax is the memory budget of instances between messages (256 MiB).
	HotBytesMax uint64
	// HotMax is how many instances are kept between messages (256).
	HotMax int
	// Workers is how many processes are evaluated in parallel (one per core).
	Workers int
	// DryRunWorkers is how many dry runs run in parallel (half the cores).
	DryRunWorkers int
	// DryRunQueueMax is how many more may wait (256).
	DryRunQueueMax int
	// QueueMax is how many processes may wait for a worker before following the
	// log pauses (4,096).
	QueueMax int

	// A process is snapshotted after SnapshotAfterMS of evaluation (2,000), after
	// SnapshotAfterMessages (10,000), ticks of crons among them, or SnapshotAfterGas
	// (20e9), whichever comes first: so a cold start replays a bounded tail.
	SnapshotAfterMS       int64
	SnapshotAfterMessages uint64
	SnapshotAfterGas      uint64
	// SnapshotBytesMax is how much more than its two newest snapshots the older ones
	// of one process may take (256 MiB), counted as pages before compression.
	SnapshotBytesMax uint64
	// SnapshotWorthMS of evaluation make a snapshot worth its cost when a
	// process is put away (50).
	SnapshotWorthMS int64
	// RootEvery has the root of the state kept behind every such nonce, with the
	// evaluation; 0: of none. Reading the state for it costs some milliseconds.
	RootEvery uint64
	// Vouched gives the newest state of a process behind a nonce from first to last
	// that somebody whom the operator trusts has signed; nil: there is none. Reads are
	// answered from it while the log is evaluated. Nil: from nothing.
	Vouched func(ctx context.Context, process ao.ID, first, last uint64) (*Vouched, error)
	// AheadMessages is how many messages that are not evaluated yet make it worth to
	// look for one (1,000).
	AheadMessages uint64
	// RetryMS is how often processes that could not be evaluated, for example
	// because their module is not published yet, are tried again (5,000).
	RetryMS int64

	// Fatal is told once about a fault that makes the node unfit to go on, such
	// as a broken hash chain. Nil: it is only logged.
	Fatal func(error)
	// Now measures durations, says when a message was evaluated, and is never
	// seen by a guest (time.Now).
	Now    func() time.Time
	Logger zerolog.Logger
}

// ModuleSource finds published modules.
type ModuleSource interface {
	// Module gives a module, or an *ao.Error with CodeNotFound.
	Module(ctx context.Context, id ao.ID) (Module, error)
}

// Module is a published module.
type Module struct {
	ID    ao.ID
	Owner string // address
	Tags  dataitem.Tags
	Bytes []byte
}

// ItemSource finds items and transactions that a bare assignment names.
type ItemSource interface {
	// Item gives an item, or an *ao.Error with CodeNotFound. Without data, Data may
	// be left out.
	Item(ctx context.Context, id ao.ID, withData bool) (TxMeta, error)
}

// TxMeta is what a guest may know of an item or transaction that was assigned
// without its bytes.
type TxMeta struct {
	ID        ao.ID
	Signature []byte
	Owner     string // address
	OwnerKey  []byte
	Target    string // address or id; empty: none
	Anchor    string
	HasAnchor bool
	Tags      dataitem.Tags
	Data      []byte
	// BaseLayer says that it is a layer-1 transaction and no data item.
	BaseLayer bool
}

func (o Options) withDefaults() (Options, error) {
	switch {
	case o.Log == nil:
		return o, errors.New("engine options: Log is missing")
	case o.DB == nil:
		return o, errors.New("engine options: DB is missing")
	case len(o.Drivers) == 0:
		return o, errors.New("engine options: there is no driver")
	case o.Modules == nil:
		return o, errors.New("engine options: Modules is missing")
	}
	return o.limited(), nil
}

// limited puts the defaults in place of limits that are zero.
func (o Options) limited() Options {
	cores := procs.Cores()
	setDefault(&o.MemoryMaxBytes, 1<<30)
	setDefault(&o.ComputeMax, 9_000_000_000_000)
	setDefault(&o.OutputMaxBytes, 16<<20)
	setDefault(&o.EvaluationTimeoutMS, 60_000)
	setDefault(&o.CloseGraceMS, 10_000)
	setDefault(&o.AheadMessages, 1000)
	setDefault(&o.HotBytesMax, 256<<20)
	setDefault(&o.HotMax, 256)
	setDefault(&o.Workers, cores)
	setDefault(&o.DryRunWorkers, max(1, cores/2))
	setDefault(&o.DryRunQueueMax, 256)
	setDefault(&o.QueueMax, 4096)
	setDefault(&o.SnapshotAfterMS, 2000)
	setDefault(&o.SnapshotAfterMessages, 10_000)
	setDefault(&o.SnapshotAfterGas, 20_000_000_000)
	setDefault(&o.SnapshotBytesMax, 256<<20)
	setDefault(&o.SnapshotWorthMS, 50)
	setDefault(&o.RetryMS, 5000)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func setDefault[T int | int64 | uint64](value *T, standard T) {
	if *value == 0 {
		*value = standard
	}
}

package raft

import (
	"errors"
	"fmt"
	"io"

	hraft "github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/log"
)

// fsm applies committed batches to the index. hashicorp/raft calls it from one
// goroutine. What it takes depends on nothing but the group's own entries, so
// that all nodes take the same, however far they are with other groups.
type fsm struct {
	group     uint32
	mode      log.Mode // of processes that do not choose
	ledger    *log.Ledger
	index     *log.Index
	handovers *handovers
	proposed  *proposed // by this node
	sequencer log.Sequencer
	logger    zerolog.Logger
	// done is up to where the index was when this node started.
	done    uint64
	applied func(index uint64)
	fatal   func(error)
	// configured is told of each committed configuration.
	configured func(hraft.Configuration)
}

var _ hraft.ConfigurationStore = (*fsm)(nil)

// StoreConfiguration passes a committed configuration on.
func (f *fsm) StoreConfiguration(_ uint64, configuration hraft.Configuration) {
	f.configured(configuration)
}

// applyResult is what became of one part of a batch.
type applyResult struct {
	entry     log.Entry
	duplicate bool
	refused   error // it does not follow the head: its leader was stale
}

// Apply takes a batch; its result is a []applyResult, one for each part. An
// index that cannot be read or written is fatal: going on would leave entries
// out that were acknowledged.
func (f *fsm) Apply(entry *hraft.Log) any {
	if entry.Index <= f.done {
		return []applyResult(nil) // nobody waits for it
	}
	results, err := f.applyEntry(entry)
	if err != nil {
		err = fmt.Errorf("apply Raft entry %d of group %d: %w", entry.Index, f.group, err)
		f.fatal(err)
		return err
	}
	f.applied(entry.Index)
	return results
}

func (f *fsm) applyEntry(entry *hraft.Log) ([]applyResult, error) {
	location, ok := f.ledger.Locate(f.group, entry.Index)
	if !ok {
		return nil, fmt.Errorf("%w: the ledger does not have it", log.ErrCorrupt)
	}
	parts := f.proposed.parts(entry.Data)
	if parts == nil {
		var err error
		if parts, err = partsOf(entry.Data); err != nil {
			return nil, err
		}
	}
	place(parts, entry, location)
	return f.apply(entry.Index, parts)
}

// apply decides about a batch while other groups do the same with theirs; one
// that begins or ends an epoch has the index to itself.
func (f *fsm) apply(index uint64, parts []part) ([]applyResult, error) {
	f.handovers.order.RLock()
	batch, err := f.decide(index, parts)
	if err == nil && !batch.moves {
		err = f.index.Put(f.group, index, batch.update())
	}
	f.handovers.order.RUnlock()
	if err != nil || !batch.moves {
		return batch.results, err
	}
	f.handovers.order.Lock()
	defer f.handovers.order.Unlock()
	if batch, err = f.decide(index, parts); err != nil {
		return nil, err
	}
	update, err := batch.handOver()
	if err == nil {
		err = f.index.Put(f.group, index, update)
	}
	if len(update.Waiting) > 0 || len(update.Shards) > 0 {
		f.handovers.wake()
	}
	return batch.results, err
}

// decide says what becomes of each part of a batch.
func (f *fsm) decide(index uint64, parts []part) (batch *applyBatch, err error) {
	batch = newBatch(f, index, len(parts))
	for i, p := range parts {
		if p.Control != nil {
			batch.results[i], err = batch.control(*p.Control)
		} else {
			batch.results[i], err = batch.take(log.Indexed{Entry: p.Entry, Place: p.place, Keys: p.keys})
		}
		if err != nil {
			return batch, err
		}
	}
	return batch, nil
}

// Snapshot holds nothing but the fact that the index is applied: the messages
// stay in the ledger, and the index can be rebuilt from there.
func (f *fsm) Snapshot() (hraft.FSMSnapshot, error) { return indexSnapshot{}, nil }

// Restore is called at start with the newest snapshot. What the index lacks up
// to there is applied by catchUp before Raft starts.
func (f *fsm) Restore(snapshot io.ReadCloser) error { return snapshot.Close() }

type indexSnapshot struct{}

// Persist writes nothing. Raft closes the sink, which is what makes the
// snapshot count.
func (indexSnapshot) Persist(hraft.SnapshotSink) error { return nil }

func (indexSnapshot) Release() {}

var errNotOrderedHere = errors.New("another group orders the process")

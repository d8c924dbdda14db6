package raft

import (
	"errors"
	"fmt"
	"io"

	hraft "github.com/hashicorp/raft"

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
	sequencer log.Sequencer
	applied   func(index uint64)
	fatal     func(error)
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
	results, err := f.apply(entry)
	if err != nil {
		err = fmt.Errorf("apply Raft entry %d of group %d: %w", entry.Index, f.group, err)
		f.fatal(err)
		return err
	}
	f.applied(entry.Index)
	return results
}

// apply decides about a batch while other groups do the same with theirs; one
// that begins or ends an epoch has the index to itself.
func (f *fsm) apply(entry *hraft.Log) ([]applyResult, error) {
	f.handovers.order.RLock()
	batch, err := f.decide(entry)
	if err == nil && !batch.moves {
		err = f.index.Put(f.group, entry.Index, batch.update())
	}
	f.handovers.order.RUnlock()
	if err != nil || !batch.moves {
		return batch.results, err
	}
	f.handovers.order.Lock()
	defer f.handovers.order.Unlock()
	if batch, err = f.decide(entry); err != nil {
		return nil, err
	}
	update, err := batch.handOver()
	if err == nil {
		err = f.index.Put(f.group, entry.Index, update)
	}
	if len(update.Waiting) > 0 || len(update.Shards) > 0 {
		f.handovers.wake()
	}
	return batch.results, err
}

// decide says what becomes of each part of a batch.
func (f *fsm) decide(entry *hraft.Log) (*applyBatch, error) {
	batch := newBatch(f, entry.Index)
	location, ok := f.ledger.Locate(f.group, entry.Index)
	if !ok {
		return batch, fmt.Errorf("%w: the ledger does not have it", log.ErrCorrupt)
	}
	location.Offset += dataOffset(entry)
	for data := entry.Data; len(data) > 0; {
		frame, err := log.DecodeFrame(data)
		if err != nil {
			return batch, err
		}
		var result applyResult
		if frame.Control != nil {
			result, err = batch.control(*frame.Control)
		} else {
			place := log.Place{Location: location, Length: uint32(frame.Size), TimestampMS: frame.Entry.TimestampMS}
			result, err = batch.take(frame.Entry, place)
		}
		if err != nil {
			return batch, err
		}
		batch.results = append(batch.results, result)
		location.Offset += int64(frame.Size)
		data = data[frame.Size:]
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

package raft

import (
	"errors"
	"fmt"
	"io"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// fsm applies committed batches to the index. hashicorp/raft calls it from one
// goroutine.
type fsm struct {
	group     uint32
	ledger    *log.Ledger
	index     *log.Index
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

// applyResult is what became of one entry of a batch.
type applyResult struct {
	entry     log.Entry
	duplicate bool
	refused   error // the entry does not follow the head: its leader was stale
}

// Apply takes a batch; its result is a []applyResult, one for each entry. An
// index that cannot be read or written is fatal: going on would leave entries
// out that were acknowledged.
func (f *fsm) Apply(entry *hraft.Log) any {
	results, err := f.apply(entry)
	if err != nil {
		err = fmt.Errorf("apply Raft entry %d: %w", entry.Index, err)
		f.fatal(err)
		return err
	}
	f.applied(entry.Index)
	return results
}

func (f *fsm) apply(entry *hraft.Log) ([]applyResult, error) {
	location, ok := f.ledger.Locate(f.group, entry.Index)
	if !ok {
		return nil, fmt.Errorf("%w: the ledger does not have it", log.ErrCorrupt)
	}
	location.Offset += dataOffset(entry)
	batch := newBatch(f.index)
	var results []applyResult
	for data := entry.Data; len(data) > 0; {
		e, size, err := log.DecodeEntry(data)
		if err != nil {
			return nil, err
		}
		place := log.Place{Location: location, Length: uint32(size), TimestampMS: e.TimestampMS}
		result, err := f.take(batch, e, place)
		if err != nil {
			return nil, err
		}
		results = append(results, result)
		location.Offset += int64(size)
		data = data[size:]
	}
	return results, f.index.Put(f.group, entry.Index, batch.taken)
}

// take checks an entry against its process's head and adds it to the batch.
func (f *fsm) take(batch *applyBatch, e log.Entry, place log.Place) (applyResult, error) {
	keys, err := log.KeysOf(e)
	if err != nil {
		return applyResult{}, err
	}
	head, started, err := batch.head(e.Process)
	if err != nil {
		return applyResult{}, err
	}
	duplicate, err := batch.knows(e.Process, keys)
	if err != nil {
		return applyResult{}, err
	}
	if _, ahead := batch.heads[e.Process]; !ahead && started && (duplicate || e.Nonce <= head.Nonce) {
		again, err := f.isAgain(head, e, place)
		if err != nil {
			return applyResult{}, err
		}
		if again {
			batch.add(e, place, keys, e.Nonce > head.Nonce)
			return applyResult{entry: e}, nil
		}
	}
	if duplicate {
		return applyResult{entry: e, duplicate: true}, nil
	}
	if refused := f.sequencer.Check(head, started, e); refused != nil {
		return applyResult{entry: e, refused: refused}, nil
	}
	batch.add(e, place, keys, true)
	return applyResult{entry: e}, nil
}

// isAgain reports whether an entry was taken before: after a restart the state
// machine sees entries again that the index holds, and some that it held and
// lost. Such a one must still follow the entry before it: a gap in the index is
// no place for what a stale leader proposed.
func (f *fsm) isAgain(head log.Head, e log.Entry, place log.Place) (bool, error) {
	known, err := f.index.Place(e.Process, e.Nonce)
	if err == nil {
		return known == place, nil
	}
	if !errors.Is(err, log.ErrEntryUnknown) {
		return false, err
	}
	if e.Nonce > head.Nonce {
		return false, nil
	}
	if e.Nonce == 0 {
		return f.sequencer.Check(log.Head{}, false, e) == nil, nil
	}
	previous, err := f.index.Place(e.Process, e.Nonce-1)
	if err != nil {
		return false, fmt.Errorf("entry before %d of %s: %w", e.Nonce, e.Process, err)
	}
	b, err := f.ledger.ReadAt(previous.Location, int(previous.Length))
	if err != nil {
		return false, err
	}
	before, _, err := log.DecodeEntry(b)
	if err != nil {
		return false, fmt.Errorf("entry before %d of %s: %w", e.Nonce, e.Process, err)
	}
	return f.sequencer.Check(log.HeadOf(before), true, e) == nil, nil
}

// applyBatch collects the entries of one Raft entry: later ones must see the
// heads and keys of those before.
type applyBatch struct {
	index *log.Index
	heads map[ao.ID]log.Head
	keys  map[[2]ao.ID]bool
	taken []log.Indexed
}

func newBatch(index *log.Index) *applyBatch {
	return &applyBatch{index: index, heads: map[ao.ID]log.Head{}, keys: map[[2]ao.ID]bool{}}
}

func (b *applyBatch) head(process ao.ID) (head log.Head, started bool, err error) {
	if head, ok := b.heads[process]; ok {
		return head, true, nil
	}
	head, err = b.index.Head(process)
	if errors.Is(err, log.ErrProcessUnknown) {
		return head, false, nil
	}
	return head, err == nil, err
}

func (b *applyBatch) knows(process ao.ID, keys []ao.ID) (bool, error) {
	for _, key := range keys {
		if b.keys[[2]ao.ID{process, key}] {
			return true, nil
		}
		_, err := b.index.Find(process, key)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, log.ErrEntryUnknown) {
			return false, err
		}
	}
	return false, nil
}

func (b *applyBatch) add(e log.Entry, place log.Place, keys []ao.ID, isHead bool) {
	if isHead {
		b.heads[e.Process] = log.HeadOf(e)
	}
	for _, key := range keys {
		b.keys[[2]ao.ID{e.Process, key}] = true
	}
	b.taken = append(b.taken, log.Indexed{Entry: e, Place: place, Keys: keys, KeepHead: !isHead})
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

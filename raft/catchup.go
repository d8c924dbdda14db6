package raft

import (
	"fmt"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/log"
)

// reindexEntries is how many of the newest entries are indexed again after a
// crash: more than badger keeps in its unflushed tables, whose own log can lose
// its end without a word.
const reindexEntries = 50_000

// catchUp brings the index up to what Raft has a snapshot of, and after an
// unclean stop puts the newest entries in again.
func (f *fsm) catchUp(snapshotIndex uint64, clean bool) error {
	applied, err := f.index.Applied(f.group)
	if err != nil {
		return err
	}
	first, last := f.ledger.Bounds(f.group)
	if applied > last {
		return fmt.Errorf("%w: the index is ahead of the ledger (%d of %d)", log.ErrCorrupt, applied, last)
	}
	from, to := applied+1, max(applied, snapshotIndex)
	if !clean && applied > 0 {
		if from, err = f.goBack(applied, reindexEntries); err != nil {
			return err
		}
	}
	for index := max(from, first); index <= to; index++ {
		entry := new(hraft.Log)
		record, _, err := f.ledger.Record(f.group, index)
		if err != nil {
			return fmt.Errorf("index entry %d again: %w", index, err)
		}
		if err := decodeLog(record, entry); err != nil {
			return err
		}
		if entry.Type != hraft.LogCommand {
			continue
		}
		if _, err := f.apply(entry); err != nil {
			return fmt.Errorf("index entry %d again: %w", index, err)
		}
	}
	return nil
}

// goBack gives the Raft index that lies count messages before index.
func (f *fsm) goBack(index uint64, count int) (uint64, error) {
	first, _ := f.ledger.Bounds(f.group)
	for ; index > first && count > 0; index-- {
		entry := new(hraft.Log)
		record, _, err := f.ledger.Record(f.group, index)
		if err != nil {
			return 0, err
		}
		if err := decodeLog(record, entry); err != nil {
			return 0, err
		}
		for data := entry.Data; entry.Type == hraft.LogCommand && len(data) > 0; count-- {
			frame, err := log.DecodeFrame(data)
			if err != nil {
				return 0, err
			}
			data = data[frame.Size:]
		}
	}
	return index, nil
}

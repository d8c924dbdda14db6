package raft

import (
	"fmt"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/log"
)

// catchUp brings the index up to what Raft has a snapshot of. After a crash all
// that came after safe, which nothing can be missing before, is put in again.
func (f *fsm) catchUp(snapshotIndex, safe uint64) error {
	applied, err := f.index.Applied(f.group)
	if err != nil {
		return err
	}
	first, last := f.ledger.Bounds(f.group)
	if applied > last {
		return fmt.Errorf("%w: the index is ahead of the ledger (%d of %d)", log.ErrCorrupt, applied, last)
	}
	to := max(applied, snapshotIndex)
	for index := max(min(applied, safe)+1, first); index <= to; index++ {
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

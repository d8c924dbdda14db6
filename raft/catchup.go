package raft

import (
	"fmt"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/log"
)

// catchUp brings the index up to what Raft has a snapshot of: what a crash took
// from its memory, or everything if it is new. What came after, Raft applies
// itself. Entries are read and decoded ahead, on all cores, and applied in order.
func (f *fsm) catchUp(snapshotIndex uint64) error {
	applied, err := f.index.Applied(f.group)
	if err != nil {
		return err
	}
	first, last := f.ledger.Bounds(f.group)
	if applied > last {
		return fmt.Errorf("%w: the index is ahead of the ledger (%d of %d)", log.ErrCorrupt, applied, last)
	}
	f.done = max(applied, snapshotIndex)
	from := max(applied+1, first)
	if from > snapshotIndex {
		return nil
	}
	event := f.logger.Debug()
	if snapshotIndex-from > waitedFor {
		event = f.logger.Info()
	}
	event.Uint32("group", f.group).Uint64("entries", snapshotIndex-from+1).Msg("putting entries of the log into its index")
	reader := f.readAhead(from, snapshotIndex)
	defer reader.close()
	for p := range reader.inOrder {
		<-p.done
		if p.err != nil {
			return fmt.Errorf("index entries again: %w", p.err)
		}
		for i, entry := range p.entries {
			if _, err := f.apply(entry.Index, p.parts[i]); err != nil {
				return fmt.Errorf("index entry %d again: %w", entry.Index, err)
			}
		}
	}
	return nil
}

// waitedFor is from how many Raft entries on somebody may wonder what a start
// waits for.
const waitedFor = 1000

// aheadReader reads and decodes entries of a group before they are asked for.
type aheadReader struct {
	fsm     *fsm
	inOrder chan *piece
	stop    chan struct{}
	wait    sync.WaitGroup
}

// piece is a few commands of a group, decoded once done is closed.
type piece struct {
	from, to uint64
	entries  []*hraft.Log
	parts    [][]part
	err      error
	done     chan struct{}
}

// pieceEntries is how many Raft entries are one piece of work.
const pieceEntries = 4

func (f *fsm) readAhead(from, to uint64) *aheadReader {
	workers := procs.Cores()
	r := &aheadReader{fsm: f, inOrder: make(chan *piece, 4*workers), stop: make(chan struct{})}
	work := make(chan *piece, 4*workers)
	r.wait.Go(func() {
		defer close(work)
		defer close(r.inOrder)
		for ; from <= to; from += pieceEntries {
			p := &piece{from: from, to: min(to, from+pieceEntries-1), done: make(chan struct{})}
			select {
			case r.inOrder <- p:
				work <- p
			case <-r.stop:
				return
			}
		}
	})
	for range workers {
		r.wait.Go(func() {
			for p := range work {
				p.err = r.decode(p)
				close(p.done)
			}
		})
	}
	return r
}

func (r *aheadReader) decode(p *piece) error {
	for index := p.from; index <= p.to; index++ {
		record, location, err := r.fsm.ledger.Record(r.fsm.group, index)
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		entry := new(hraft.Log)
		if err := decodeLog(record, entry); err != nil {
			return err
		}
		if entry.Type != hraft.LogCommand {
			continue
		}
		parts, err := partsOf(entry.Data)
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
		place(parts, entry, location)
		p.entries, p.parts = append(p.entries, entry), append(p.parts, parts)
	}
	return nil
}

func (r *aheadReader) close() {
	close(r.stop)
	r.wait.Wait()
}

package raft

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	hraft "github.com/hashicorp/raft"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/log"
)

// reindex makes an empty index from the segments, up to the newest snapshot of
// each group; what came after, Raft applies itself. Entries are read and decoded
// on all cores, taken in order, and their keys are written in one go.
//
// done reports that the index lacks nothing up to there. If the log has what only
// a look at every entry can decide, the index stays empty, and catchUp fills it.
func (n *Node) reindex() (done bool, err error) {
	dir := filepath.Join(n.options.Dir, rebuildDirName)
	stretches, err := n.missingFromIndex()
	if err == nil && len(stretches) == 0 {
		err = os.RemoveAll(dir) // a kill may have left it
	}
	if err != nil || len(stretches) == 0 {
		return false, err
	}
	n.options.Logger.WithLevel(levelOf(stretches)).Msg("making the log's index from the segments")
	rebuild, err := log.NewRebuild(dir)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rebuild.Close()) }()
	err = n.takeAll(rebuild, stretches)
	if errors.Is(err, errEpochs) {
		n.options.Logger.Info().Err(err).Msg("looking at the log entry by entry")
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := n.index.Close(); err != nil {
		return false, err
	}
	finishErr := rebuild.Finish(filepath.Join(n.options.Dir, IndexDirName))
	if _, err := n.openIndex(); err != nil {
		return false, err
	}
	if errors.Is(finishErr, log.ErrRepeated) {
		n.options.Logger.Warn().Err(finishErr).Msg("looking at the log entry by entry")
		return false, nil
	}
	if finishErr != nil {
		return false, fmt.Errorf("make the log's index from the segments: %w", finishErr)
	}
	return true, nil
}

// errEpochs says that a log needs a look at every entry.
var errEpochs = errors.New("processes have changed hands, or operators sign")

// rebuildDirName is where a new index is made.
const rebuildDirName = "index.new"

// stretch is Raft entries of a group.
type stretch struct {
	group    uint32
	from, to uint64
}

// waitedFor is from how many Raft entries on somebody may wonder what a start
// waits for.
const waitedFor = 100

// levelOf is how loudly to say that an index is made of them. One that a first
// start was stopped before it had written is nobody's concern.
func levelOf(stretches []stretch) zerolog.Level {
	entries := uint64(0)
	for _, s := range stretches {
		entries += s.to - s.from + 1
	}
	if entries < waitedFor {
		return zerolog.DebugLevel
	}
	return zerolog.InfoLevel
}

// missingFromIndex gives what an empty index lacks; nothing if it holds
// something.
func (n *Node) missingFromIndex() ([]stretch, error) {
	var missing []stretch
	for _, id := range n.placement.groups() {
		applied, err := n.index.Applied(id)
		if err != nil {
			return nil, err
		}
		if applied > 0 {
			return nil, nil
		}
		warn := func(text string) { n.options.Logger.Warn().Uint32("group", id).Msg(text) }
		snapshots, err := openSnapshots(n.options.FS, groupDir(n.options.Dir, id), warn)
		if err != nil {
			return nil, err
		}
		first, last := n.ledger.Bounds(id)
		to := snapshots.index()
		if err := snapshots.close(); err != nil {
			return nil, err
		}
		if last > 0 && to >= first && to <= last {
			missing = append(missing, stretch{id, first, to})
		}
	}
	return missing, nil
}

// decoded is Raft entries on their way into a rebuilt index.
type decoded struct {
	stretch
	entries []log.Indexed
	modes   map[int]log.Mode // of the entries that are processes
	// command is the last of them that holds messages, 0 if none does.
	command uint64
	err     error
	done    chan struct{}
}

// decodeAtOnce is how many Raft entries are one piece of work.
const decodeAtOnce = 4

// takeAll decodes stretches and gives their entries to the rebuild in order.
func (n *Node) takeAll(rebuild *log.Rebuild, stretches []stretch) (err error) {
	var (
		workers = procs.Cores()
		inOrder = make(chan *decoded, workers)
		work    = make(chan *decoded, workers)
		stop    = make(chan struct{})
		wait    sync.WaitGroup
	)
	wait.Go(func() {
		defer close(work)
		defer close(inOrder)
		for _, s := range stretches {
			for from := s.from; from <= s.to; from += decodeAtOnce {
				piece := &decoded{stretch: stretch{s.group, from, min(s.to, from+decodeAtOnce-1)}, done: make(chan struct{})}
				select {
				case inOrder <- piece:
					work <- piece
				case <-stop:
					return
				}
			}
		}
	})
	for range workers {
		wait.Go(func() {
			for piece := range work {
				piece.err = n.decode(piece)
				close(piece.done)
			}
		})
	}
	for piece := range inOrder {
		<-piece.done
		if err = piece.err; err != nil {
			break
		}
		for i := range piece.entries {
			e := &piece.entries[i]
			rebuild.Take(&e.Entry, e.Place, e.Keys, log.Ordering{Group: piece.group, Mode: piece.modes[i]})
		}
		if piece.command > 0 {
			rebuild.Applied(piece.group, piece.command)
		}
	}
	close(stop)
	wait.Wait()
	return err
}

// decode reads the entries of a piece.
func (n *Node) decode(piece *decoded) error {
	for index := piece.from; index <= piece.to; index++ {
		record, location, err := n.ledger.Record(piece.group, index)
		if err != nil {
			return fmt.Errorf("index entry %d again: %w", index, err)
		}
		entry := new(hraft.Log)
		if err := decodeLog(record, entry); err != nil {
			return err
		}
		if entry.Type != hraft.LogCommand {
			continue
		}
		piece.command = index
		location.Offset += dataOffset(entry)
		for data := entry.Data; len(data) > 0; {
			frame, err := log.DecodeFrame(data)
			if err != nil {
				return fmt.Errorf("index entry %d again: %w", index, err)
			}
			if frame.Control != nil {
				return errEpochs
			}
			place := log.Place{Location: location, Length: uint32(frame.Size), TimestampMS: frame.Entry.TimestampMS}
			if err := n.decodeEntry(piece, frame.Entry, place); err != nil {
				return fmt.Errorf("index entry %d again: %w", index, err)
			}
			location.Offset += int64(frame.Size)
			data = data[frame.Size:]
		}
	}
	return nil
}

// decodeEntry adds an entry to a piece.
func (n *Node) decodeEntry(piece *decoded, e log.Entry, place log.Place) error {
	keys, err := log.KeysOf(e)
	if err != nil {
		return err
	}
	if e.Message.IsZero() {
		mode, err := modeOf(e, log.Mode{Voters: n.placement.setOf(piece.group)})
		if err != nil {
			return err
		}
		if mode.Cosigners > 0 {
			return errEpochs
		}
		if piece.modes == nil {
			piece.modes = map[int]log.Mode{}
		}
		piece.modes[len(piece.entries)] = mode
	}
	piece.entries = append(piece.entries, log.Indexed{Entry: e, Place: place, Keys: keys})
	return nil
}

package raft

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wallaby-ao/wallaby/log"
)

const (
	// IndexDirName is where a log's index is, which can be removed: it is made anew
	// from the segments. The number is that of its format.
	IndexDirName = "index-4"
	// suspectMarker is an empty file that is there after damage was found in the
	// index: it is thrown away and made anew.
	suspectMarker = "index.suspect"
)

// oldIndexFiles are of formats before.
var oldIndexFiles = []string{"index", "index-2", "index-3", "index.new", "index.clean"}

// openIndex opens the index, or an empty one when the one there is is damaged.
func (n *Node) openIndex() error {
	for _, name := range oldIndexFiles {
		if err := os.RemoveAll(filepath.Join(n.options.Dir, name)); err != nil {
			return fmt.Errorf("remove an old log index: %w", err)
		}
	}
	dir := filepath.Join(n.options.Dir, IndexDirName)
	options := log.IndexOptions{Dir: dir, FS: n.options.FS, MemoryBytes: n.options.IndexMemoryBytes, Fatal: n.indexFailed}
	suspect, err := n.isSuspect()
	if err != nil {
		return err
	}
	if suspect {
		err = fmt.Errorf("%w: damage was found in %s", log.ErrCorrupt, dir)
	} else {
		n.index, err = log.OpenIndex(options)
	}
	if !errors.Is(err, log.ErrCorrupt) {
		return err
	}
	n.options.Logger.Warn().Err(err).Msg("the log's index is damaged: making it anew from the segments")
	if err := n.removeIndex(dir); err != nil {
		return fmt.Errorf("remove the damaged log index %s: %w", dir, err)
	}
	if n.index, err = log.OpenIndex(options); err != nil {
		return err
	}
	return n.options.FS.Remove(n.suspectPath())
}

// removeIndex removes the index's files; until all are gone it is suspect.
func (n *Node) removeIndex(dir string) error {
	if err := n.suspect(); err != nil {
		return err
	}
	names, err := n.options.FS.List(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range names {
		if err := n.options.FS.Remove(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

// indexFailed stops the node: an index that lost something would let a message
// in twice. The next start makes a damaged one anew.
func (n *Node) indexFailed(err error) {
	dir := filepath.Join(n.options.Dir, IndexDirName)
	if errors.Is(err, log.ErrCorrupt) {
		err = fmt.Errorf("the log index %s is damaged (%w): start again, and it is made anew from the segments", dir, err)
		err = errors.Join(err, n.suspect())
	} else {
		err = fmt.Errorf("the log index %s cannot be used: %w", dir, err)
	}
	n.fail(err)
}

func (n *Node) suspectPath() string { return filepath.Join(n.options.Dir, suspectMarker) }

// suspect marks the index for the next start.
func (n *Node) suspect() error {
	file, err := n.options.FS.Open(n.suspectPath(), true)
	if err == nil {
		err = errors.Join(file.Close(), n.options.FS.SyncDir(n.options.Dir))
	}
	if err != nil {
		return fmt.Errorf("mark the log's index as damaged: %w", err)
	}
	return nil
}

func (n *Node) isSuspect() (bool, error) {
	file, err := n.options.FS.Open(n.suspectPath(), false)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for damage of the log's index: %w", err)
	}
	return true, file.Close()
}

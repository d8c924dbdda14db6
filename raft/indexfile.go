package raft

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/wallaby-ao/wallaby/log"
)

// Two empty files say in what state the index was left.
//
// The clean marker is there only while the index was closed in good order. The
// suspect marker is there while badger opens, because some damaged bytes make
// badger end the whole process, and after damage was found in use: an index
// with it is thrown away and made anew from the segments.
const (
	// IndexDirName is where a log's index is, which can be removed: it is made anew
	// from the segments. The number is that of its format.
	IndexDirName  = "index-2"
	cleanMarker   = "index.clean"
	suspectMarker = "index.suspect"
)

// openIndex opens the index, or an empty one when the one there is is damaged.
// clean reports that nothing of it can be missing.
func (n *Node) openIndex() (clean bool, err error) {
	dir := filepath.Join(n.options.Dir, IndexDirName)
	suspect, err := n.hasMarker(suspectMarker)
	if err != nil {
		return false, err
	}
	if clean, err = n.hasMarker(cleanMarker); err != nil {
		return false, err
	}
	if err := n.setMarker(cleanMarker, false); err != nil {
		return false, err
	}
	if err := n.setMarker(suspectMarker, true); err != nil {
		return false, err
	}
	if suspect {
		err = fmt.Errorf("%w: damage was found in %s", log.ErrCorrupt, dir)
	} else {
		n.index, err = log.OpenIndex(dir, n.indexDamaged)
	}
	if err != nil {
		n.options.Logger.Warn().Err(err).Msg("the log's index is damaged: making it anew from the segments")
		if err := os.RemoveAll(dir); err != nil {
			return false, fmt.Errorf("remove the damaged log index %s: %w", dir, err)
		}
		clean = false
		if n.index, err = log.OpenIndex(dir, n.indexDamaged); err != nil {
			return false, err
		}
	}
	return clean, n.setMarker(suspectMarker, false)
}

// indexDamaged stops the node: an index that lost something would let a message
// in twice. The next start makes it anew.
func (n *Node) indexDamaged(err error) {
	dir := filepath.Join(n.options.Dir, IndexDirName)
	err = fmt.Errorf("the log index %s is damaged (%w): start again, and it is made anew from the segments", dir, err)
	n.fail(errors.Join(err, n.setMarker(suspectMarker, true)))
}

func (n *Node) hasMarker(name string) (bool, error) {
	_, err := os.Stat(filepath.Join(n.options.Dir, name))
	if err != nil && !isNotExist(err) {
		return false, fmt.Errorf("look for marker: %w", err)
	}
	return err == nil, nil
}

func (n *Node) setMarker(name string, there bool) error {
	path := filepath.Join(n.options.Dir, name)
	var err error
	if there {
		err = os.WriteFile(path, nil, 0o644)
	} else if err = os.Remove(path); isNotExist(err) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("set marker: %w", err)
	}
	return nil
}

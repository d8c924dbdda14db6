package raft

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
)

// stableStore keeps a group's term and vote in a slotFile.
//
// hashicorp/raft stores a vote with two calls, the term first and then the
// candidate. A crash between them would leave a new term with an old
// candidate. So the term is held back until the candidate comes, and both are
// written at once.
type stableStore struct {
	slots *slotFile
	fatal func(error)

	mu struct {
		sync.Mutex
		values   map[string][]byte
		voteTerm []byte // held back
		failed   error
	}
}

var _ hraft.StableStore = (*stableStore)(nil)

const (
	voteFileName = "vote"

	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// errNotFound has the text by which hashicorp/raft knows a missing key.
var errNotFound = errors.New("not found")

// openStableStore opens the vote file, or makes it for a group that has no
// entries. A group that has some must have voted: without its vote it might
// vote twice in one term.
func openStableStore(filesystem fsx.FS, dir string, hasEntries bool, fatal func(error), warn func(string)) (*stableStore, error) {
	s := &stableStore{fatal: fatal}
	s.mu.values = map[string][]byte{}
	path := filepath.Join(dir, voteFileName)
	slots, value, mended, err := openSlots(filesystem, path)
	if isNotExist(err) {
		if hasEntries {
			return nil, fmt.Errorf("%w: vote file %s is gone, and without it this node might vote twice: put it back from a copy", log.ErrCorrupt, path)
		}
		s.slots, err = createSlots(filesystem, dir, path, []byte("{}"))
		return s, err
	}
	if errors.Is(err, log.ErrCorrupt) && !hasEntries {
		// A crash hit while the file was made, before anything was voted.
		s.slots, err = createSlots(filesystem, dir, path, []byte("{}"))
		return s, err
	}
	if err != nil {
		return nil, fmt.Errorf("vote file: %w: put it back from a copy", err)
	}
	if mended {
		warn(fmt.Sprintf("one of the two copies in the vote file %s was damaged or behind: mended from the other", path))
	}
	s.slots = slots
	if err := json.Unmarshal(value, &s.mu.values); err != nil {
		slots.close()
		return nil, fmt.Errorf("%w: vote file %s: %w", log.ErrCorrupt, path, err)
	}
	return s, nil
}

// write stores all values. After a failed flush nobody knows what the disk
// holds, so nothing is written any more.
func (s *stableStore) write() error {
	if s.mu.failed != nil {
		return s.mu.failed
	}
	body, err := json.Marshal(s.mu.values)
	if err != nil {
		return fmt.Errorf("encode vote: %w", err)
	}
	if err := s.slots.write(body); err != nil {
		s.mu.failed = fmt.Errorf("vote file: %w", err)
		s.fatal(s.mu.failed)
		return s.mu.failed
	}
	return nil
}

// Set stores a value; the candidate of a vote takes the term with it.
func (s *stableStore) Set(key, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if string(key) == keyVoteCandidate && s.mu.voteTerm != nil {
		s.mu.values[keyVoteTerm], s.mu.voteTerm = s.mu.voteTerm, nil
	}
	s.mu.values[string(key)] = append([]byte(nil), value...)
	return s.write()
}

// SetUint64 stores a number, or holds it back when it is a vote's term.
func (s *stableStore) SetUint64(key []byte, value uint64) error {
	b := binary.BigEndian.AppendUint64(nil, value)
	if string(key) != keyVoteTerm {
		return s.Set(key, b)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mu.voteTerm = b
	return nil
}

// Get gives a value, or an error that says "not found".
func (s *stableStore) Get(key []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, ok := s.mu.values[string(key)]
	if !ok {
		return nil, errNotFound
	}
	return value, nil
}

// GetUint64 gives a number, 0 when there is none.
func (s *stableStore) GetUint64(key []byte) (uint64, error) {
	value, err := s.Get(key)
	if err != nil || len(value) != 8 {
		return 0, err
	}
	return binary.BigEndian.Uint64(value), nil
}

// Close closes the file; everything in it is flushed already.
func (s *stableStore) Close() error { return s.slots.close() }

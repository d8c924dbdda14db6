package raft

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"path/filepath"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
)

// stableStore keeps a group's term and vote in a file of two slots, written in
// turn, each with a checksum and flushed before Set returns.
//
// hashicorp/raft stores a vote with two calls, the term first and then the
// candidate. A crash between them would leave a new term with an old
// candidate. So the term is held back until the candidate comes, and both are
// written at once.
type stableStore struct {
	path string
	file fsx.File

	mu struct {
		sync.Mutex
		sequence uint64
		values   map[string][]byte
		voteTerm []byte // held back
	}
}

var _ hraft.StableStore = (*stableStore)(nil)

const (
	stableSlotBytes   = 4096
	stableHeaderBytes = 16 // sequence u64, length u32, CRC32C u32

	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// errNotFound has the text by which hashicorp/raft knows a missing key.
var errNotFound = errors.New("not found")

func openStableStore(filesystem fsx.FS, dir string) (*stableStore, error) {
	s := &stableStore{path: filepath.Join(dir, "vote")}
	s.mu.values = map[string][]byte{}
	file, err := filesystem.Open(s.path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return s, s.create(filesystem, dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open vote file: %w", err)
	}
	s.file = file
	damaged := 0
	for slot := range int64(2) {
		sequence, values, err := readSlot(file, slot*stableSlotBytes)
		if err != nil {
			damaged++
			continue
		}
		if sequence >= s.mu.sequence {
			s.mu.sequence, s.mu.values = sequence, values
		}
	}
	// A torn write damages the slot that nobody was told of. If the other slot
	// is the damaged one, the newest vote may be gone: a node that may have
	// voted must not vote again, so any damage to the newer slot is fatal. The
	// two cannot be told apart, unless both slots are whole.
	if damaged > 0 {
		file.Close()
		return nil, fmt.Errorf("%w: vote file %s: %d of 2 slots are damaged: remove the file only if this node is its group's single voter", log.ErrCorrupt, s.path, damaged)
	}
	return s, nil
}

func (s *stableStore) create(filesystem fsx.FS, dir string) error {
	file, err := filesystem.Open(s.path, true)
	if err != nil {
		return fmt.Errorf("create vote file: %w", err)
	}
	s.file = file
	if err := file.Allocate(2 * stableSlotBytes); err != nil {
		return fmt.Errorf("create vote file %s: %w", s.path, err)
	}
	for range 2 {
		if err := s.write(); err != nil {
			return err
		}
	}
	return filesystem.SyncDir(dir)
}

func readSlot(file fsx.File, at int64) (sequence uint64, values map[string][]byte, err error) {
	b := make([]byte, stableSlotBytes)
	if _, err := file.ReadAt(b, at); err != nil {
		return 0, nil, err
	}
	size := binary.LittleEndian.Uint32(b[8:])
	if size > stableSlotBytes-stableHeaderBytes {
		return 0, nil, log.ErrCorrupt
	}
	body := b[stableHeaderBytes : stableHeaderBytes+size]
	if stableSum(b[:12], body) != binary.LittleEndian.Uint32(b[12:]) {
		return 0, nil, log.ErrCorrupt
	}
	return binary.LittleEndian.Uint64(b), values, json.Unmarshal(body, &values)
}

func stableSum(header, body []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(header, table), table, body)
}

// write puts all values into the older slot and flushes.
func (s *stableStore) write() error {
	body, err := json.Marshal(s.mu.values)
	if err != nil {
		return fmt.Errorf("encode vote: %w", err)
	}
	if len(body) > stableSlotBytes-stableHeaderBytes {
		return fmt.Errorf("vote file %s: %d bytes do not fit in a slot", s.path, len(body))
	}
	s.mu.sequence++
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, stableSlotBytes), s.mu.sequence)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(body)))
	b = binary.LittleEndian.AppendUint32(b, stableSum(b, body))
	b = append(b, body...)
	if _, err := s.file.WriteAt(b, int64(s.mu.sequence%2)*stableSlotBytes); err != nil {
		return fmt.Errorf("write vote file %s: %w", s.path, err)
	}
	if err := s.file.Sync(); err != nil {
		return fmt.Errorf("flush vote file %s: %w", s.path, err)
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
func (s *stableStore) Close() error { return s.file.Close() }

package raft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/log"
)

// snapshotStore keeps the newest snapshot, which is a position and no data: it
// only spares Raft from reading again, at start, what the index holds already.
// Because the ledger keeps every entry, a damaged snapshot file is thrown away.
type snapshotStore struct {
	filesystem fsx.FS
	dir        string

	mu struct {
		sync.Mutex
		slots *slotFile
		meta  *hraft.SnapshotMeta
	}
}

var _ hraft.SnapshotStore = (*snapshotStore)(nil)

const snapshotFileName = "snapshot"

func openSnapshots(filesystem fsx.FS, dir string, warn func(string)) (*snapshotStore, error) {
	s := &snapshotStore{filesystem: filesystem, dir: dir}
	path := filepath.Join(dir, snapshotFileName)
	slots, value, mended, err := openSlots(filesystem, path)
	switch {
	case isNotExist(err):
		return s, nil
	case errors.Is(err, log.ErrCorrupt):
		warn(fmt.Sprintf("snapshot file: %v: reading the whole log instead", err))
		return s, nil
	case err != nil:
		return nil, fmt.Errorf("snapshot file: %w", err)
	}
	if mended {
		warn(fmt.Sprintf("one of the two copies in the snapshot file %s was damaged or behind: mended from the other", path))
	}
	s.mu.slots = slots
	meta := new(hraft.SnapshotMeta)
	if err := json.Unmarshal(value, meta); err != nil {
		slots.close()
		return nil, fmt.Errorf("%w: snapshot file %s: %w", log.ErrCorrupt, path, err)
	}
	s.mu.meta = meta
	return s, nil
}

// index gives the position of the newest snapshot, 0 when there is none.
func (s *snapshotStore) index() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.meta == nil {
		return 0
	}
	return s.mu.meta.Index
}

// newest gives the newest snapshot, nil when there is none.
func (s *snapshotStore) newest() *hraft.SnapshotMeta {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mu.meta
}

// Create begins a snapshot, which counts once its sink is closed.
func (s *snapshotStore) Create(version hraft.SnapshotVersion, index, term uint64, configuration hraft.Configuration,
	configurationIndex uint64, _ hraft.Transport,
) (hraft.SnapshotSink, error) {
	return &snapshotSink{store: s, meta: hraft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%d-%d", term, index), Index: index, Term: term,
		Configuration: configuration, ConfigurationIndex: configurationIndex,
	}}, nil
}

// List gives the newest snapshot.
func (s *snapshotStore) List() ([]*hraft.SnapshotMeta, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.meta == nil {
		return nil, nil
	}
	meta := *s.mu.meta
	return []*hraft.SnapshotMeta{&meta}, nil
}

// Open gives the newest snapshot, whose content is empty.
func (s *snapshotStore) Open(id string) (*hraft.SnapshotMeta, io.ReadCloser, error) {
	list, err := s.List()
	if err != nil || len(list) == 0 || list[0].ID != id {
		return nil, nil, fmt.Errorf("there is no snapshot %s", id)
	}
	return list[0], io.NopCloser(bytes.NewReader(nil)), nil
}

func (s *snapshotStore) keep(meta hraft.SnapshotMeta) error {
	value, err := json.Marshal(meta)
	if err != nil {
		return fmt.Errorf("encode snapshot: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.slots == nil {
		s.mu.slots, err = createSlots(s.filesystem, s.dir, filepath.Join(s.dir, snapshotFileName), value)
	} else {
		err = s.mu.slots.write(value)
	}
	if err != nil {
		return err
	}
	s.mu.meta = &meta
	return nil
}

func (s *snapshotStore) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mu.slots == nil {
		return nil
	}
	return s.mu.slots.close()
}

// snapshotSink takes no data: there is none in a snapshot.
type snapshotSink struct {
	store *snapshotStore
	meta  hraft.SnapshotMeta
}

func (s *snapshotSink) Write(b []byte) (int, error) { return len(b), nil }
func (s *snapshotSink) Close() error                { return s.store.keep(s.meta) }
func (s *snapshotSink) ID() string                  { return s.meta.ID }
func (s *snapshotSink) Cancel() error               { return nil }

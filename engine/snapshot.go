package engine

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/klauspost/compress/s2"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// snapshotStore keeps states as pages that are stored once, whichever processes
// and snapshots have them. A reference (page, process) stands while any
// snapshot of the process has the page; a page without references goes.
//
// A crash may come between any two writes. While pages of a process come or go, a
// mark says so, and the next start lets go of what no manifest has. References come
// before their pages and go after them, so that what is left can be found.
type snapshotStore struct {
	store    *store
	bytesMax uint64 // for older snapshots of one process
	// mu keeps a page from being removed as unused while a new snapshot comes
	// to rely on it.
	mu sync.Mutex
	// readers counts who reads a process's snapshots: none is removed meanwhile,
	// unless it is damaged.
	readers map[ao.ID]int
}

func newSnapshotStore(s *store, bytesMax uint64) *snapshotStore {
	return &snapshotStore{store: s, bytesMax: bytesMax, readers: map[ao.ID]int{}}
}

// read keeps a process's snapshots from being removed until done is called.
func (s *snapshotStore) read(process ao.ID) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.readers[process]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.readers[process]--; s.readers[process] == 0 {
			delete(s.readers, process)
		}
	}
}

// save keeps a state that was led to by everything up to the given place, and
// gives its root. Older snapshots that need not stay go.
func (s *snapshotStore) save(process ao.ID, at place, machine vm.Process) (ao.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.list(process)
	if err != nil {
		return ao.ID{}, err
	}
	for _, one := range all {
		if one.at == at {
			return one.root, nil
		}
	}
	if err := s.mark(process); err != nil {
		return ao.ID{}, err
	}
	w := &snapshotWriter{store: s.store, process: process, written: map[ao.ID]bool{}, batch: s.store.db.NewWriteBatch()}
	defer w.batch.Cancel()
	if err := machine.Snapshot(w); err != nil {
		return ao.ID{}, fmt.Errorf("read state: %w", err)
	}
	if err := w.batch.Flush(); err != nil {
		return ao.ID{}, fmt.Errorf("store pages: %w", err)
	}
	w.manifest.root = w.manifest.Root()
	all = append(all, snapshot{at, &w.manifest})
	slices.SortFunc(all, func(a, b snapshot) int { return b.at.compare(a.at) })
	kept, gone := all, []snapshot(nil)
	if s.readers[process] == 0 {
		kept, gone = retained(all, s.bytesMax)
	}
	return w.manifest.root, s.replace(process, &snapshot{at, &w.manifest}, gone, kept)
}

// replace puts a manifest in the place of others, and lets go of what only they had.
// The process is marked already, or it is marked with that.
func (s *snapshotStore) replace(process ao.ID, added *snapshot, gone, kept []snapshot) error {
	err := s.store.db.Update(func(txn *badger.Txn) error {
		for _, one := range gone {
			if err := txn.Delete(placeKey(keyManifest, process, one.at)); err != nil {
				return err
			}
		}
		if added != nil {
			if err := txn.Set(placeKey(keyManifest, process, added.at), added.encode()); err != nil {
				return err
			}
		}
		return txn.Set(idKey(keyIntent, process), nil)
	})
	if err != nil {
		return fmt.Errorf("store manifest: %w", err)
	}
	if err := s.release(process, hashesOf(gone), hashesOf(kept)); err != nil {
		return err
	}
	return s.unmark(process)
}

// mark says that pages of a process are about to change. A mark that is there
// already is of a snapshot that failed: what that left is let go first.
func (s *snapshotStore) mark(process ao.ID) error {
	failed, err := s.store.has(idKey(keyIntent, process))
	if err == nil && failed {
		err = s.sweep(map[ao.ID]map[ao.ID]bool{process: {}})
	}
	if err == nil {
		err = s.store.db.Update(func(txn *badger.Txn) error { return txn.Set(idKey(keyIntent, process), nil) })
	}
	if err != nil {
		return fmt.Errorf("mark snapshot: %w", err)
	}
	return nil
}

func (s *snapshotStore) unmark(process ao.ID) error {
	return s.store.db.Update(func(txn *badger.Txn) error { return txn.Delete(idKey(keyIntent, process)) })
}

// snapshot is a stored state that was led to by everything up to a place.
type snapshot struct {
	at place
	*manifest
}

// list gives a process's snapshots, newest first. A malformed one is left out.
func (s *snapshotStore) list(process ao.ID) (snapshots []snapshot, err error) {
	prefix := idKey(keyManifest, process)
	err = s.store.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: true})
		defer iterator.Close()
		for iterator.Seek(placeKey(keyManifest, process, place{nonce: math.MaxUint64})); iterator.Valid(); iterator.Next() {
			_, at := splitPlaceKey(iterator.Item().Key())
			value, err := iterator.Item().ValueCopy(nil)
			if err != nil {
				return err
			}
			if m, err := decodeManifest(value); err == nil {
				snapshots = append(snapshots, snapshot{at, m})
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("list snapshots of process %s: %w", process, err)
	}
	return snapshots, nil
}

// nearest gives the place of the newest snapshot at or below a place; zero for none.
func (s *snapshotStore) nearest(process ao.ID, at place) (place, error) {
	all, err := s.list(process)
	for _, one := range all {
		if !at.less(one.at) {
			return one.at, err
		}
	}
	return place{}, err
}

// discard removes a snapshot that turned out to be unusable.
func (s *snapshotStore) discard(process ao.ID, at place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, err := s.list(process)
	if err != nil {
		return err
	}
	var bad *snapshot
	var kept []snapshot
	for _, one := range all {
		if one.at == at {
			bad = &one
		} else {
			kept = append(kept, one)
		}
	}
	if bad == nil {
		return nil
	}
	return s.replace(process, nil, []snapshot{*bad}, kept)
}

// release drops a process's references to pages that are not kept.
func (s *snapshotStore) release(process ao.ID, pages, kept map[ao.ID]bool) error {
	batch := s.store.db.NewWriteBatch()
	defer batch.Cancel()
	for hash := range pages {
		if kept[hash] {
			continue
		}
		shared, err := s.shared(hash, process)
		if err == nil && !shared {
			err = batch.Delete(idKey(keyPage, hash))
		}
		if err == nil {
			err = batch.Delete(idsKey(keyReference, hash, process))
		}
		if err != nil {
			return fmt.Errorf("release page %s: %w", hash, err)
		}
	}
	return batch.Flush()
}

// shared reports whether another process refers to a page.
func (s *snapshotStore) shared(hash, process ao.ID) (shared bool, err error) {
	err = s.store.db.View(func(txn *badger.Txn) error {
		iterator := txn.NewIterator(badger.IteratorOptions{Prefix: idKey(keyReference, hash)})
		defer iterator.Close()
		for iterator.Rewind(); iterator.Valid() && !shared; iterator.Next() {
			shared = ao.ID(iterator.Item().Key()[2+32:]) != process
		}
		return nil
	})
	return shared, err
}

// recover drops pages of snapshots that were cut off while being written.
func (s *snapshotStore) recover() error {
	cut := map[ao.ID]map[ao.ID]bool{} // process → pages it refers to
	err := s.store.db.View(func(txn *badger.Txn) error {
		marks := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(keyIntent)})
		defer marks.Close()
		for marks.Rewind(); marks.Valid(); marks.Next() {
			cut[ao.ID(marks.Item().Key()[2:])] = map[ao.ID]bool{}
		}
		return nil
	})
	if err != nil || len(cut) == 0 {
		return err
	}
	return s.sweep(cut)
}

// sweep lets go of the pages of marked processes that none of their manifests has, and
// takes the marks away.
func (s *snapshotStore) sweep(marked map[ao.ID]map[ao.ID]bool) error {
	err := s.store.db.View(func(txn *badger.Txn) error {
		references := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(keyReference)})
		defer references.Close()
		for references.Rewind(); references.Valid(); references.Next() {
			key := references.Item().Key()
			if pages, ok := marked[ao.ID(key[34:])]; ok {
				pages[ao.ID(key[2:34])] = true
			}
		}
		return nil
	})
	for process, pages := range marked {
		if err != nil {
			return err
		}
		kept, listErr := s.list(process)
		if listErr != nil {
			return listErr
		}
		if err = s.release(process, pages, hashesOf(kept)); err == nil {
			err = s.unmark(process)
		}
	}
	return err
}

func hashesOf(snapshots []snapshot) map[ao.ID]bool {
	hashes := map[ao.ID]bool{}
	for _, one := range snapshots {
		for _, page := range one.Pages {
			hashes[page.Hash] = true
		}
	}
	return hashes
}

// snapshotWriter stores the pages of one state that are not stored yet.
type snapshotWriter struct {
	store    *store
	process  ao.ID
	written  map[ao.ID]bool // pages that were looked at
	batch    *badger.WriteBatch
	manifest manifest
}

// Section stores a small named value.
func (w *snapshotWriter) Section(name string, value []byte) error {
	return w.manifest.Section(name, value)
}

// Memory notes the size of the memory.
func (w *snapshotWriter) Memory(sizeBytes uint64) error {
	return w.manifest.Memory(sizeBytes)
}

// Page stores a page unless it is there.
func (w *snapshotWriter) Page(index uint32, data []byte) error {
	return w.HashedPage(index, data, sha256.Sum256(data))
}

// HashedPage stores a page unless it is there.
func (w *snapshotWriter) HashedPage(index uint32, data []byte, sum [sha256.Size]byte) error {
	hash := ao.ID(sum)
	if hash == stateroot.ZeroPage || w.written[hash] {
		return w.manifest.HashedPage(index, data, sum)
	}
	if err := w.manifest.HashedPage(index, data, sum); err != nil {
		return err
	}
	w.written[hash] = true
	known, err := w.store.has(idKey(keyPage, hash))
	if err != nil {
		return fmt.Errorf("look up page %d: %w", index, err)
	}
	err = w.batch.Set(idsKey(keyReference, hash, w.process), nil)
	if err == nil && !known {
		err = w.batch.Set(idKey(keyPage, hash), s2.Encode(nil, data))
	}
	if err != nil {
		return fmt.Errorf("store page %d: %w", index, err)
	}
	return nil
}

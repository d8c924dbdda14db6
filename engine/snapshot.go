package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/klauspost/compress/s2"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// snapshotsKept is how many snapshots a process has: the newest, and one to
// fall back on.
const snapshotsKept = 2

// snapshotStore keeps states as pages that are stored once, whichever processes
// and snapshots have them. A reference (page, process) stands while any
// snapshot of the process has the page; a page without references goes.
type snapshotStore struct {
	store *store
	// mu keeps a page from being removed as unused while a new snapshot comes
	// to rely on it.
	mu sync.Mutex
}

// save keeps a state that was led to by everything up to the given place, and
// gives its root.
func (s *snapshotStore) save(process ao.ID, at place, machine vm.Process) (ao.ID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.list(process)
	if err != nil {
		return ao.ID{}, err
	}
	if len(old) > 0 && old[0].at == at {
		return old[0].root, nil
	}
	// Pages go in before the manifest. If that is cut off, the mark says whose
	// references to look through.
	if err := s.store.db.Update(func(txn *badger.Txn) error { return txn.Set(idKey(keyIntent, process), nil) }); err != nil {
		return ao.ID{}, fmt.Errorf("mark snapshot: %w", err)
	}
	w := &snapshotWriter{store: s.store, process: process, have: hashesOf(old), batch: s.store.db.NewWriteBatch()}
	defer w.batch.Cancel()
	if err := machine.Snapshot(w); err != nil {
		return ao.ID{}, fmt.Errorf("read state: %w", err)
	}
	if err := w.batch.Flush(); err != nil {
		return ao.ID{}, fmt.Errorf("store pages: %w", err)
	}
	w.manifest.root = w.manifest.Root()
	err = s.store.db.Update(func(txn *badger.Txn) error {
		if err := txn.Set(placeKey(keyManifest, process, at), w.manifest.encode()); err != nil {
			return err
		}
		return txn.Delete(idKey(keyIntent, process))
	})
	if err != nil {
		return ao.ID{}, fmt.Errorf("store manifest: %w", err)
	}
	kept := append([]snapshot{{at, &w.manifest}}, old...)
	for len(kept) > snapshotsKept {
		last := len(kept) - 1
		if err := s.remove(process, kept[last], kept[:last]); err != nil {
			return ao.ID{}, err
		}
		kept = kept[:last]
	}
	return w.manifest.root, nil
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
	return s.remove(process, *bad, kept)
}

// remove deletes a manifest, the process's references to pages that only it
// had, and pages that nobody refers to any more.
func (s *snapshotStore) remove(process ao.ID, gone snapshot, kept []snapshot) error {
	err := s.store.db.Update(func(txn *badger.Txn) error {
		return txn.Delete(placeKey(keyManifest, process, gone.at))
	})
	if err != nil {
		return fmt.Errorf("remove snapshot: %w", err)
	}
	return s.release(process, hashesOf([]snapshot{gone}), hashesOf(kept))
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
		if err == nil {
			err = batch.Delete(idsKey(keyReference, hash, process))
		}
		if err == nil && !shared {
			err = batch.Delete(idKey(keyPage, hash))
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
	err = s.store.db.View(func(txn *badger.Txn) error {
		references := txn.NewIterator(badger.IteratorOptions{Prefix: []byte(keyReference)})
		defer references.Close()
		for references.Rewind(); references.Valid(); references.Next() {
			key := references.Item().Key()
			if pages, ok := cut[ao.ID(key[34:])]; ok {
				pages[ao.ID(key[2:34])] = true
			}
		}
		return nil
	})
	for process, pages := range cut {
		kept, listErr := s.list(process)
		if err = errors.Join(err, listErr); err != nil {
			return err
		}
		if err := s.release(process, pages, hashesOf(kept)); err != nil {
			return err
		}
		if err := s.store.db.Update(func(txn *badger.Txn) error { return txn.Delete(idKey(keyIntent, process)) }); err != nil {
			return err
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
	have     map[ao.ID]bool // pages that the process refers to
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
	if hash == stateroot.ZeroPage || w.have[hash] {
		return w.manifest.HashedPage(index, data, sum)
	}
	if err := w.manifest.HashedPage(index, data, sum); err != nil {
		return err
	}
	w.have[hash] = true
	known, err := w.store.has(idKey(keyPage, hash))
	if err != nil {
		return fmt.Errorf("look up page %d: %w", index, err)
	}
	if !known {
		if err := w.batch.Set(idKey(keyPage, hash), s2.Encode(nil, data)); err != nil {
			return fmt.Errorf("store page %d: %w", index, err)
		}
	}
	return w.batch.Set(idsKey(keyReference, hash, w.process), nil)
}

// errSnapshot is returned when stored pages do not give the stored root.
var errSnapshot = errors.New("stored snapshot is not what was written")

// restore makes an instance from the newest snapshot that is whole and not
// later than the evaluations, and says which it was. It gives no instance when
// there is none: then the process is replayed from its beginning. A wrong state is
// never used.
func (e *Engine) restore(process ao.ID, module vm.Module, config vm.Config, next place) (machine vm.Process, last place, err error) {
	snapshots, err := e.snapshots.list(process)
	if err != nil {
		return nil, last, err
	}
	for _, one := range snapshots {
		if !one.at.less(next) {
			continue
		}
		machine, err := e.revive(module, config, one)
		if err == nil {
			return machine, one.at, nil
		}
		if e.working.Err() != nil || isLost(err) {
			return nil, last, err
		}
		e.options.Logger.Error().Str("pkg", "engine").Stringer("process", process).Stringer("place", one.at).Err(err).
			Msg("discard a snapshot that cannot be used")
		if err := e.snapshots.discard(process, one.at); err != nil {
			return nil, last, err
		}
	}
	return nil, last, nil
}

func (e *Engine) revive(module vm.Module, config vm.Config, from snapshot) (vm.Process, error) {
	if root := from.Root(); root != from.root {
		return nil, fmt.Errorf("%w: its root is %s, its pages give %s", errSnapshot, from.root, root)
	}
	reader := &snapshotReader{store: e.store, manifest: from.manifest}
	machine, err := module.New(e.working, config, reader)
	if err == nil && reader.failed != nil {
		err = errors.Join(reader.failed, machine.Close())
	}
	return machine, err
}

// snapshotReader gives a stored state back, each page checked by its hash.
type snapshotReader struct {
	store    *store
	manifest *manifest
	failed   error
}

// Sections lists the named values.
func (r *snapshotReader) Sections() (names []string) {
	for _, s := range r.manifest.Sections {
		names = append(names, s.Name)
	}
	return names
}

// Section gives a named value.
func (r *snapshotReader) Section(name string) ([]byte, error) {
	for _, s := range r.manifest.Sections {
		if s.Name == name {
			return s.Value, nil
		}
	}
	return nil, fmt.Errorf("section %q: %w", name, vm.ErrNotFound)
}

// Memory gives the size of the memory.
func (r *snapshotReader) Memory() (uint64, error) { return r.manifest.MemoryBytes, nil }

// Pages gives every page that is not all zero.
func (r *snapshotReader) Pages(fn func(index uint32, data []byte) error) error {
	buffer := make([]byte, vm.PageBytes)
	for _, page := range r.manifest.Pages {
		data, err := r.page(page, buffer)
		if err != nil {
			r.failed = err
			return err
		}
		if err := fn(page.Index, data); err != nil {
			return err
		}
	}
	return nil
}

func (r *snapshotReader) page(page stateroot.Page, buffer []byte) ([]byte, error) {
	packed, err := r.store.get(idKey(keyPage, page.Hash))
	if err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", errSnapshot, page.Index, err)
	}
	if size, err := s2.DecodedLen(packed); err != nil || size != vm.PageBytes {
		return nil, fmt.Errorf("%w: page %d does not unpack to a page", errSnapshot, page.Index)
	}
	data, err := s2.Decode(buffer, packed)
	if err != nil {
		return nil, fmt.Errorf("%w: page %d: %w", errSnapshot, page.Index, err)
	}
	if ao.ID(sha256.Sum256(data)) != page.Hash {
		return nil, fmt.Errorf("%w: page %d has another hash", errSnapshot, page.Index)
	}
	return data, nil
}

// StateRoot gives the root of the newest snapshot of a process and the nonce at or
// behind which it was taken.
func (e *Engine) StateRoot(_ context.Context, process ao.ID) (root ao.ID, nonce uint64, err error) {
	snapshots, err := e.snapshots.list(process)
	if err != nil {
		return root, 0, err
	}
	if len(snapshots) == 0 {
		return root, 0, ao.Errorf(ao.CodeNotFound, "process %s has no snapshot yet", process)
	}
	return snapshots[0].root, snapshots[0].at.nonce, nil
}

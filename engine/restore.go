package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/klauspost/compress/s2"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// errSnapshot is returned when stored pages do not give the stored root.
var errSnapshot = errors.New("stored snapshot is not what was written")

// restore makes an instance from the newest snapshot that is whole and not
// later than the evaluations, and says which it was. It gives no instance when
// there is none: then the process is replayed from its beginning. A wrong state is
// never used.
func (e *Engine) restore(process ao.ID, module vm.Module, config vm.Config, next place) (machine vm.Process, last place, err error) {
	defer e.snapshots.read(process)()
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
	data, err := r.unpack(page, buffer)
	if err != nil {
		// Others may have the page, too. Whoever comes to it next writes it anew.
		err = errors.Join(err, r.store.db.Update(func(txn *badger.Txn) error { return txn.Delete(idKey(keyPage, page.Hash)) }))
	}
	return data, err
}

func (r *snapshotReader) unpack(page stateroot.Page, buffer []byte) ([]byte, error) {
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

package log

import (
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/internal/fsx"
	"github.com/wallaby-ao/wallaby/internal/lsm"
)

// IndexOptions say where an index is.
type IndexOptions struct {
	Dir string
	FS  fsx.FS // default the real file system
	// MemoryBytes is how much of the index is in memory before it is written;
	// default 8 MiB.
	MemoryBytes int
	// Fatal is told of an error after which the index is of no more use: it cannot
	// be written, or, with ErrCorrupt, is not what was written.
	Fatal func(error)
}

// OpenIndex opens or makes an index. An error that wraps ErrCorrupt means that it
// must be made anew.
func OpenIndex(o IndexOptions) (*Index, error) {
	store, err := lsm.Open(lsm.Options{
		Dir: o.Dir, FS: o.FS, MemoryBytes: o.MemoryBytes, Fatal: func(err error) { o.Fatal(wrapStore(err)) },
	})
	if err != nil {
		return nil, fmt.Errorf("open log index in %s: %w", o.Dir, wrapStore(err))
	}
	return &Index{store, o.Fatal}, nil
}

// Close writes and closes the index.
func (x *Index) Close() error { return x.store.Close() }

// broken reports keys that do not fit together.
func (x *Index) broken(err error) error {
	if errors.Is(err, ErrCorrupt) {
		x.damage(err)
	}
	return err
}

// wrapStore names what the index's store says in terms of a log.
func wrapStore(err error) error {
	switch {
	case errors.Is(err, lsm.ErrClosed):
		return ErrClosed
	case errors.Is(err, lsm.ErrDamaged):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

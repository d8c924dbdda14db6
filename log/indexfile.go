package log

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/wallaby-ao/wallaby/internal/kv"
)

// OpenIndex opens or makes the index in dir. damage is told, once, when badger
// finds later that what it reads is not what it wrote.
//
// An error means that the index cannot be used and must be made anew.
func OpenIndex(dir string, damage func(error)) (*Index, error) {
	db, err := kv.Open(indexOptions(dir), damage)
	if err != nil {
		return nil, fmt.Errorf("open log index in %s: %w", dir, err)
	}
	x := &Index{db, newOverlay(db)}
	marker, err := x.openMarker()
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	x.overlay.start(marker)
	return x, nil
}

func indexOptions(dir string) badger.Options {
	return badger.DefaultOptions(dir).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithBlockCacheSize(8 << 20).
		WithIndexCacheSize(4 << 20).
		WithValueLogFileSize(16 << 20).
		WithNumCompactors(2).
		WithCompression(options.None). // ids do not compress
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithDetectConflicts(false)
}

// Close flushes and closes the index.
func (x *Index) Close() error {
	return errors.Join(x.overlay.close(), x.db.Close())
}

// broken reports an error that must not happen with whole files.
func (x *Index) broken(err error) error {
	if err != nil && !errors.Is(err, badger.ErrDBClosed) && !errors.Is(err, badger.ErrBlockedWrites) {
		x.db.Report(err)
	}
	return err
}

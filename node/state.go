package node

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// openState opens the store of results, snapshots and outbox records. Its
// caches are small because a node on a laptop holds thousands of processes and
// reads most results once. It does not flush on every write: all it holds can
// be evaluated again from the log.
func openState(dir string) (*badger.DB, error) {
	options := badger.DefaultOptions(dir).
		WithLogger(nil).
		WithMemTableSize(16 << 20).
		WithNumMemtables(2).
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(8 << 20).
		WithValueLogFileSize(128 << 20).
		WithNumCompactors(2).
		WithDetectConflicts(false)
	db, err := badger.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open results in %s: %w; they can be rebuilt from the log: move the directory away and start again", dir, err)
	}
	return db, nil
}

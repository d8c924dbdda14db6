package node

import (
	"fmt"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/wallaby-ao/wallaby/internal/kv"
)

// openState opens the store of results, snapshots and outbox records. Its
// caches are small because a node on a laptop holds thousands of processes and
// reads most results once. It does not flush on every write: all it holds can
// be evaluated again from the log.
func openState(dir string, damage func(error)) (*kv.DB, error) {
	settings := badger.DefaultOptions(dir).
		WithMemTableSize(16 << 20).
		WithNumMemtables(2).
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(8 << 20).
		WithValueLogFileSize(128 << 20).
		WithNumCompactors(2).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithDetectConflicts(false)
	db, err := kv.Open(settings, func(err error) { damage(stateError(dir, err)) })
	if err != nil {
		return nil, stateError(dir, err)
	}
	return db, nil
}

func stateError(dir string, err error) error {
	return fmt.Errorf("results in %s: %w; they can be rebuilt from the log: move the directory away and start again", dir, err)
}

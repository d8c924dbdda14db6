package log

import (
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// OpenIndex opens or makes the index in dir. damage is told, once, when badger
// finds later that what it reads is not what it wrote.
//
// An error means that the index cannot be used and must be made anew. badger
// leaves a damaged table out with no more than a line in its log, so a line of
// that kind counts as an error too.
func OpenIndex(dir string, damage func(error)) (*Index, error) {
	watch := &indexWatch{}
	db, err := openIndexDB(badger.DefaultOptions(dir).
		WithLogger(watch).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithBlockCacheSize(8 << 20).
		WithIndexCacheSize(4 << 20).
		WithValueLogFileSize(16 << 20).
		WithNumCompactors(2).
		WithCompression(options.None). // ids do not compress
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithDetectConflicts(false))
	if err != nil {
		return nil, fmt.Errorf("open log index in %s: %w", dir, err)
	}
	if err := watch.start(damage); err != nil {
		return nil, fmt.Errorf("%w: log index in %s: %w", ErrCorrupt, dir, errors.Join(err, db.Close()))
	}
	return &Index{db: db, watch: watch, damage: damage}, nil
}

// openIndexDB turns a panic on damaged bytes into an error.
func openIndexDB(o badger.Options) (db *badger.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrCorrupt, r)
		}
	}()
	return badger.Open(o)
}

// Close flushes and closes the index.
func (x *Index) Close() error {
	x.watch.stop()
	return x.db.Close()
}

// broken reports an error that must not happen with whole files.
func (x *Index) broken(err error) error {
	if err != nil && !errors.Is(err, badger.ErrDBClosed) && !errors.Is(err, badger.ErrBlockedWrites) {
		x.watch.report(err)
	}
	return err
}

// indexWatch is badger's logger: it listens for errors that badger tells nobody
// else.
type indexWatch struct {
	mu     sync.Mutex
	seen   error
	damage func(error)
}

var _ badger.Logger = (*indexWatch)(nil)

// start gives the first error of the time before, and passes later ones on.
func (w *indexWatch) start(damage func(error)) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.seen == nil {
		w.damage = damage
	}
	return w.seen
}

// stop ends the reports: what goes wrong while closing, Close returns.
func (w *indexWatch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.damage = nil
}

func (w *indexWatch) report(err error) {
	w.mu.Lock()
	damage := w.damage
	if w.seen == nil {
		w.seen = err
	}
	w.damage = nil
	w.mu.Unlock()
	if damage != nil {
		damage(err)
	}
}

// Errorf takes what badger calls an error.
func (w *indexWatch) Errorf(format string, args ...any) {
	w.report(fmt.Errorf("badger: "+format, args...))
}

// Warningf ignores warnings: badger gives them in ordinary work.
func (w *indexWatch) Warningf(string, ...any) {}

// Infof ignores information.
func (w *indexWatch) Infof(string, ...any) {}

// Debugf ignores what is for badger's authors.
func (w *indexWatch) Debugf(string, ...any) {}

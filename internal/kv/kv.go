// Package kv opens badger databases so that a kill at any moment leaves one that
// opens again, and damage gives an error instead of a panic or missing keys.
package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
)

// ErrDamaged is wrapped by errors about files that are not as they were written.
var ErrDamaged = errors.New("the database is damaged")

// DB is a badger database that tells its owner of damage.
type DB struct {
	*badger.DB

	watch *watch
	scrub *scrub
}

// Open opens or makes the database that options describe; their logger is
// replaced. damage is told, once, when badger finds later that what it reads is
// not what it wrote; it may be nil.
//
// An error that wraps ErrDamaged means that the files cannot be used. Badger
// leaves a damaged table out with no more than a line in its log, so a line of
// that kind counts as damage. A key in a block that badger finds damaged is to
// badger just not there, so every table is read through once: here with
// OnTableRead or OnTableAndBlockRead for a ChecksumVerificationMode, and with
// the others after the return, beside the owner's work, until Checked is closed.
func Open(options badger.Options, damage func(error)) (*DB, error) {
	var unread []unreadTable
	if !options.InMemory {
		if err := removeUnborn(options.Dir); err != nil {
			return nil, fmt.Errorf("prepare %s: %w", options.Dir, err)
		}
		var err error
		if unread, err = checkTables(&options); err != nil {
			return nil, err
		}
	}
	w := &watch{}
	db, err := openBadger(options.WithLogger(w))
	if err != nil {
		return nil, openError(options.Dir, err)
	}
	if err := w.start(damage); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s: %w", ErrDamaged, options.Dir, err), db.Close())
	}
	return &DB{DB: db, watch: w, scrub: startScrub(unread, w.report)}, nil
}

// Checked is closed when every table that was there at the start has been read
// through. After damage it stays open.
func (db *DB) Checked() <-chan struct{} { return db.scrub.checked }

// Close flushes and closes the database.
func (db *DB) Close() error {
	db.scrub.stop()
	db.watch.stop()
	return db.DB.Close()
}

// removeUnborn removes the files that a process killed between creating a
// write-ahead log and giving it its size has left: they hold nothing, and badger
// refuses to open a database that has one.
func removeUnborn(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if extension := filepath.Ext(entry.Name()); extension != ".mem" && extension != ".vlog" {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Size() > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// openBadger turns a panic on damaged bytes into an error.
func openBadger(options badger.Options) (db *badger.DB, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("%v", cause)
		}
	}()
	return badger.Open(options)
}

// openError makes one line of badger's error, which may span several, and tells
// what the system refused from what is wrong with the files.
func openError(dir string, err error) error {
	text, _, _ := strings.Cut(err.Error(), "\n")
	if _, refused := errors.AsType[syscall.Errno](err); refused || strings.Contains(text, "lock") {
		return fmt.Errorf("open database %s: %s", dir, text)
	}
	return fmt.Errorf("%w: %s: %s", ErrDamaged, dir, text)
}

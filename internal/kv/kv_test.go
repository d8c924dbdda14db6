package kv

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

func testOptions(dir string) badger.Options {
	return badger.DefaultOptions(dir).
		WithMemTableSize(8 << 20).
		WithCompression(options.None).
		WithChecksumVerificationMode(options.OnTableAndBlockRead)
}

func key(i int) []byte { return fmt.Appendf(nil, "key %05d", i) }

func value(i int) []byte { return bytes.Repeat(fmt.Appendf(nil, "%d ", i), 40) }

const count = 5000

// fill makes a database of one table that holds count keys.
func fill(t *testing.T, dir string) {
	t.Helper()
	db, err := Open(testOptions(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	write(t, db)
}

// write puts all keys into a database and closes it.
func write(t *testing.T, db *DB) {
	t.Helper()
	batch := db.NewWriteBatch()
	for i := range count {
		if err := batch.Set(key(i), value(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(batch.Flush(), db.Close()); err != nil {
		t.Fatal(err)
	}
}

// check opens a database, reads all of it and says what was wrong.
func check(dir string) error {
	var damage error
	db, err := Open(testOptions(dir), func(err error) { damage = err })
	if err != nil {
		return err
	}
	err = db.View(func(txn *badger.Txn) error {
		for i := range count {
			item, err := txn.Get(key(i))
			if err != nil {
				return fmt.Errorf("key %d: %w", i, err)
			}
			err = item.Value(func(got []byte) error {
				if !bytes.Equal(got, value(i)) {
					return fmt.Errorf("key %d has another value and nobody noticed", i)
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, damage, db.Close())
}

func tableOf(t *testing.T, dir string) string {
	t.Helper()
	tables, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatalf("tables: %v, %v", tables, err)
	}
	return tables[0]
}

func TestAKillWhileAFileIsMade(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir)
	// What is left when the process dies after each of the system calls that
	// make a file.
	for _, name := range []string{"00009.mem", "000009.vlog", "000099.sst"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "000098.sst"), make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := check(dir); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDamagedTablesAreNamed(t *testing.T) {
	source := t.TempDir()
	fill(t, source)
	path := tableOf(t, source)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewSource(1))
	places := []int{0, len(whole) - 1, len(whole) - 4, len(whole) - 5, len(whole) - 12, len(whole) - 20}
	for range 60 {
		places = append(places, random.Intn(len(whole)))
	}
	for range 30 {
		places = append(places, len(whole)-1-random.Intn(2000))
	}
	for _, at := range places {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1 << random.Intn(8)
		if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := check(dir); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("byte %d of %d: %v", at, len(whole), err)
		}
	}
	for _, size := range []int{0, 3, 4, 100, len(whole) / 2, len(whole) - 1} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(source)); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(filepath.Join(dir, filepath.Base(path)), int64(size)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(testOptions(dir), nil); !errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "\n") {
			t.Errorf("cut to %d bytes: %v", size, err)
		}
	}
}

// TestTablesAreReadBesideTheWork damages blocks of a database that does not read
// them at its start.
func TestTablesAreReadBesideTheWork(t *testing.T) {
	for _, compression := range []options.CompressionType{options.None, options.Snappy} {
		dir := t.TempDir()
		told := make(chan error, 1)
		open := func() *DB {
			settings := testOptions(dir).WithCompression(compression).WithChecksumVerificationMode(options.OnBlockRead)
			db, err := Open(settings, func(err error) { told <- err })
			if err != nil {
				t.Fatal(err)
			}
			return db
		}
		db := open()
		write(t, db)
		db = open()
		select {
		case <-db.Checked():
		case err := <-told:
			t.Fatalf("a whole database: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		path := tableOf(t, dir)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 4
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		db = open()
		select {
		case <-db.Checked():
			t.Error("nobody noticed")
		case err := <-told:
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
				t.Errorf("told %v", err)
			}
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRefusalsAreNotDamage(t *testing.T) {
	dir := t.TempDir()
	db, err := Open(testOptions(dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testOptions(dir), nil); err == nil || errors.Is(err, ErrDamaged) || strings.Contains(err.Error(), "\n") {
		t.Errorf("opened twice: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testOptions(filepath.Join(file, "db")), nil); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("a directory under a file: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, badger.ManifestFilename), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(testOptions(dir), nil); !errors.Is(err, ErrDamaged) {
		t.Errorf("a manifest of nonsense: %v", err)
	}
}

func TestDamageIsToldOnce(t *testing.T) {
	var told []error
	db, err := Open(testOptions("").WithInMemory(true), func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	first := errors.New("first")
	db.watch.report(first)
	db.watch.report(errors.New("second"))
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db.watch.report(errors.New("third"))
	if len(told) != 1 || told[0] != first {
		t.Errorf("told %v", told)
	}
}

package kv

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/dgraph-io/badger/v4"
)

// build makes a database of count keys with two writers.
func build(t *testing.T, dir string, count int) {
	t.Helper()
	b := NewBuilder(testOptions(dir))
	var wait sync.WaitGroup
	for half := range 2 {
		wait.Go(func() {
			w := b.Writer()
			for i := half * count / 2; i < (half+1)*count/2; i++ {
				if err := w.Add(key(i), value(i)); err != nil {
					t.Error(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if err := b.Finish(); err != nil {
		t.Fatal(err)
	}
}

func TestABuiltDatabaseIsOneOfBadgers(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, count)
	if err := check(dir); err != nil {
		t.Fatal(err)
	}
	// What is written later counts, also after another start.
	db, err := Open(testOptions(dir), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(txn *badger.Txn) error { return errors.Join(txn.Set(key(7), []byte("new")), txn.Delete(key(8))) })
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if db, err = Open(testOptions(dir), func(err error) { t.Error(err) }); err != nil {
		t.Fatal(err)
	}
	err = db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.DefaultIteratorOptions)
		defer it.Close()
		n := 0
		for it.Rewind(); it.Valid(); it.Next() {
			n++
		}
		if n != count-1 {
			t.Errorf("%d keys, want %d", n, count-1)
		}
		item, err := txn.Get(key(7))
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error {
			if string(b) != "new" {
				t.Errorf("the key that was written later has %q", b)
			}
			return nil
		})
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestABuiltDatabaseOfNothingIsEmpty(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, 0)
	db, err := Open(testOptions(dir), func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	if n := len(db.Tables()); n != 0 {
		t.Errorf("%d tables", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestBuiltTablesThatAreDamagedAreNamed: nothing flushed them, so a power cut may
// leave zeros.
func TestBuiltTablesThatAreDamagedAreNamed(t *testing.T) {
	dir := t.TempDir()
	build(t, dir, count)
	path := tableOf(t, dir)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, damaged := range map[string][]byte{
		"empty": nil, "cut": whole[:len(whole)/2], "zeros": make([]byte, len(whole)),
		"zeros from the middle on": append(bytes.Clone(whole[:len(whole)/2]), make([]byte, len(whole)-len(whole)/2)...),
		"zeros up to the middle":   append(make([]byte, len(whole)/2), whole[len(whole)/2:]...),
	} {
		if err := os.WriteFile(path, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := check(dir); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

package fsx

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestADurableFileIsWholeAndPrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "key")
	want := func(content string, mode fs.FileMode) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != mode {
			t.Errorf("mode %v, %v, want %v", info.Mode(), err, mode)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != content {
			t.Errorf("content %q, %v, want %q", got, err, content)
		}
		if names, err := (OS{}).List(dir); err != nil || len(names) != 1 {
			t.Errorf("left beside it: %q, %v", names, err)
		}
	}
	if err := CreateDurably(path, 0o600, []byte("first")); err != nil {
		t.Fatal(err)
	}
	want("first", 0o600)
	if err := CreateDurably(path, 0o600, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file that is there was made: %v", err)
	}
	want("first", 0o600)
	if err := ReplaceDurably(path, 0o644, []byte("third")); err != nil {
		t.Fatal(err)
	}
	want("third", 0o644)
}

func TestAFileThatCannotBeReplacedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	// A directory takes no file's name.
	path := filepath.Join(dir, "taken")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := ReplaceDurably(path, 0o600, []byte("x")); err == nil {
		t.Error("a directory was replaced by a file")
	}
	if err := ReplaceDurably(filepath.Join(dir, "absent", "x"), 0o600, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file in a directory that is not there: %v", err)
	}
	if names, err := (OS{}).List(dir); err != nil || len(names) != 1 {
		t.Errorf("left: %q, %v", names, err)
	}
}

package wasm

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestCodeCacheGivesOnlyWhatItWasGiven(t *testing.T) {
	c := CodeCache{Dir: t.TempDir() + "/new", Engine: "test 1"}
	key, code := [32]byte{1}, []byte("compiled code")
	get := func(c CodeCache, key [32]byte) []byte {
		t.Helper()
		c.Warn = func(what string) { t.Error(what) }
		return c.Get(key)
	}
	if get(c, key) != nil {
		t.Fatal("an empty cache gives code")
	}
	c.Put(key, code)
	if !bytes.Equal(get(c, key), code) {
		t.Fatal("code is not given back")
	}
	if get(CodeCache{Dir: c.Dir, Engine: "test 2"}, key) != nil {
		t.Error("another engine gets the code")
	}
	if machine := Machine(); !strings.Contains(machine, runtime.GOARCH) || !strings.Contains(machine, "true") {
		t.Errorf("the machine is %q, which says nothing of its processor", machine)
	}
	// A file of another module under this module's name.
	other := [32]byte{2}
	c.Put(other, code)
	whole, err := os.ReadFile(c.path(key))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(c.path(other))
	if err != nil {
		t.Fatal(err)
	}
	spoilt := [][]byte{nil, foreign}
	for n := range whole {
		flipped := bytes.Clone(whole)
		flipped[n] ^= 1
		spoilt = append(spoilt, whole[:n], flipped)
	}
	for i, b := range spoilt {
		if err := os.WriteFile(c.path(key), b, 0o644); err != nil {
			t.Fatal(err)
		}
		if get(c, key) != nil {
			t.Errorf("spoilt file %d is used", i)
		}
	}
	if c.Put(key, code); !bytes.Equal(get(c, key), code) {
		t.Error("a spoilt file stays")
	}
	left, err := os.ReadDir(c.Dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
	none := CodeCache{}
	if none.Put(key, code); get(none, key) != nil {
		t.Error("a cache without a directory keeps something")
	}
}

// TestACacheThatCannotBeUsedIsTold has directories in the way of a file and of the
// cache itself, which stop everybody.
func TestACacheThatCannotBeUsedIsTold(t *testing.T) {
	var said []string
	c := CodeCache{Dir: t.TempDir(), Engine: "test", Warn: func(what string) { said = append(said, what) }}
	key := [32]byte{1}
	if err := os.MkdirAll(c.path(key)+"/x", 0o755); err != nil {
		t.Fatal(err)
	}
	if b := c.Get(key); b != nil {
		t.Errorf("it gives %q", b)
	}
	c.Put(key, []byte("code"))
	c.Dir += "/file"
	if err := os.WriteFile(c.Dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	c.Put(key, []byte("code"))
	if len(said) != 3 || !strings.HasPrefix(said[0], "compiled code cannot be read, and is compiled again: ") || !strings.HasPrefix(said[1], "compiled code cannot be kept: ") || said[2] == said[1] {
		t.Errorf("%q", said)
	}
	left, err := filepath.Glob(filepath.Dir(c.Dir) + "/*.tmp")
	if err != nil || len(left) > 0 {
		t.Errorf("%v are left behind, %v", left, err)
	}
}

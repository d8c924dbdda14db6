package wasm

import (
	"bytes"
	"os"
	"runtime"
	"strings"
	"testing"
)

func TestCodeCacheGivesOnlyWhatItWasGiven(t *testing.T) {
	c := CodeCache{Dir: t.TempDir() + "/new", Engine: "test 1"}
	key, code := [32]byte{1}, []byte("compiled code")
	get := func(c CodeCache, key [32]byte) []byte {
		t.Helper()
		b, err := c.Get(key)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if get(c, key) != nil {
		t.Fatal("an empty cache gives code")
	}
	if err := c.Put(key, code); err != nil {
		t.Fatal(err)
	}
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
	if err := c.Put(other, code); err != nil {
		t.Fatal(err)
	}
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
	if err := c.Put(key, code); err != nil || !bytes.Equal(get(c, key), code) {
		t.Errorf("a spoilt file stays: %v", err)
	}
	left, err := os.ReadDir(c.Dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
	if none := (CodeCache{}); none.Put(key, code) != nil || get(none, key) != nil {
		t.Error("a cache without a directory keeps something")
	}
}

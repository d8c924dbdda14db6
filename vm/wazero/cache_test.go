package wazero_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// seven is a module with one function, which gives 7.
var seven = []byte{
	0, 'a', 's', 'm', 1, 0, 0, 0,
	1, 5, 1, 0x60, 0, 1, 0x7f,
	3, 2, 1, 0,
	7, 5, 1, 1, 'f', 0, 0,
	10, 6, 1, 4, 0, 0x41, 7, 0x0b,
}

// TestDamagedCompiledCodeIsCompiledAgain flips a bit in each byte of a file of
// compiled code.
func TestDamagedCompiledCodeIsCompiledAgain(t *testing.T) {
	dir := t.TempDir()
	compile := func() (warnings []string) {
		t.Helper()
		engine, err := wazero.NewEngine(wazero.Options{CacheDir: dir, Warn: func(text string) { warnings = append(warnings, text) }})
		if err != nil {
			t.Fatal(err)
		}
		defer engine.Close()
		if _, err := engine.Compile(context.Background(), seven, nil, [32]byte{}); err != nil {
			t.Fatal(err)
		}
		return warnings
	}
	compile()
	var path string
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && !strings.HasSuffix(name, ".sum") {
			path = name
		}
		return err
	})
	if err != nil || path == "" {
		t.Fatalf("no compiled code in %s: %v", dir, err)
	}
	if warnings := compile(); len(warnings) > 0 {
		t.Fatalf("whole code is not used: %s", warnings)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := range whole {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[at%len(b)] ^= 1 << (at % 8)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		if warnings := compile(); len(warnings) != 1 || !strings.Contains(warnings[0], path) {
			t.Fatalf("a flipped bit in byte %d gives the warnings %q", at, warnings)
		}
	}
	// Code whose checksum was never written counts for nothing, without a word.
	if err := os.Remove(path + ".sum"); err != nil {
		t.Fatal(err)
	}
	if warnings := compile(); len(warnings) > 0 {
		t.Errorf("unknown code gives the warnings %q", warnings)
	}
}

// TestCompiledCodeThatCannotBeReadIsCompiledAgain has a directory in the way of a file and a
// file in the way of the directory, which stop everybody.
func TestCompiledCodeThatCannotBeReadIsCompiledAgain(t *testing.T) {
	dir := t.TempDir()
	var warnings []string
	open := func() *wazero.Engine {
		t.Helper()
		engine, err := wazero.NewEngine(wazero.Options{CacheDir: dir, Warn: func(text string) { warnings = append(warnings, text) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { engine.Close() })
		return engine
	}
	if _, err := open().Compile(t.Context(), seven, nil, [32]byte{}); err != nil {
		t.Fatal(err)
	}
	sums, err := filepath.Glob(filepath.Join(dir, "wazero-*", "*.sum"))
	if err != nil || len(sums) != 1 {
		t.Fatalf("%v, %v", sums, err)
	}
	path := strings.TrimSuffix(sums[0], ".sum")
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	engine := open()
	if len(warnings) != 1 || !strings.Contains(warnings[0], path) || !strings.Contains(warnings[0], "compiled again") {
		t.Errorf("%q", warnings)
	}
	if _, err := engine.Compile(t.Context(), seven, nil, [32]byte{}); err != nil {
		t.Error(err)
	}
	engine = open()
	cache := filepath.Dir(path)
	if err := errors.Join(os.RemoveAll(cache), os.WriteFile(cache, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Compile(t.Context(), seven, nil, [32]byte{}); err == nil || !strings.Contains(err.Error(), "keep compiled code") || !strings.Contains(err.Error(), cache) {
		t.Errorf("nowhere to keep code: %v", err)
	}
}

// TestCompiledCodeOfOthersIsLeftAlone has a plugin's compiled code in a directory
// beside wazero's, where a node keeps it.
func TestCompiledCodeOfOthersIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	plugins := filepath.Join(dir, "plugins")
	if err := os.Mkdir(plugins, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(plugins, "other.code"), []byte("compiled"), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		engine, err := wazero.NewEngine(wazero.Options{CacheDir: dir, Warn: func(text string) { t.Error(text) }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Compile(t.Context(), seven, nil, [32]byte{}); err != nil {
			t.Fatal(err)
		}
		if err := engine.Close(); err != nil {
			t.Fatal(err)
		}
	}
	left, err := os.ReadDir(plugins)
	if err != nil || len(left) != 1 || left[0].Name() != "other.code" {
		t.Errorf("the other's directory has %v, %v", left, err)
	}
}

// TestProcessesShareTheCache has engines that know nothing of each other, as those of
// several processes do, compile the same new modules at once in one directory.
func TestProcessesShareTheCache(t *testing.T) {
	dir := t.TempDir()
	var group errgroup.Group
	for range 6 {
		group.Go(func() error {
			for number := range byte(40) {
				engine, err := wazero.NewEngine(wazero.Options{CacheDir: dir, Warn: func(string) {}})
				if err != nil {
					return err
				}
				module := append([]byte(nil), seven...)
				module[len(module)-2] = number
				_, err = engine.Compile(context.Background(), module, nil, [32]byte{number})
				if err := errors.Join(err, engine.Close()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

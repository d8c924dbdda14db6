package examples_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/examples"
	"github.com/wallaby-ao/wallaby/lua"
	"github.com/wallaby-ao/wallaby/node"
	"github.com/wallaby-ao/wallaby/project"
	"github.com/wallaby-ao/wallaby/trial"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// TestExamples runs what each example has of tests, as wallaby test does.
func TestExamples(t *testing.T) {
	if _, err := lua.Runtime(); err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, examples.Files); err != nil {
		t.Fatal(err)
	}
	driver, err := wazero.NewDriver(wazero.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := driver.Close(); err != nil {
			t.Error(err)
		}
	})
	names, err := fs.ReadDir(examples.Files, ".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range names {
		t.Run(entry.Name(), func(t *testing.T) {
			if entry.Name() == "notes" {
				addSQLite(t, filepath.Join(dir, "notes"))
			}
			p, err := project.Open(filepath.Join(dir, entry.Name()))
			if err != nil {
				t.Fatal(err)
			}
			tests := trial.Tests{
				Project: p, Driver: driver, Module: module,
				Report: func(o trial.Outcome) {
					t.Run(o.Name, func(t *testing.T) {
						if o.Failure != "" {
							t.Errorf("%s %v %v", o.Failure, o.Trace, o.Printed)
						}
					})
				},
			}
			if passed, _, err := tests.Run(t.Context()); err != nil || passed == 0 {
				t.Errorf("%d passed, %v", passed, err)
			}
		})
	}
}

// addSQLite puts a module that has SQLite where the example looks for it.
func addSQLite(t *testing.T, dir string) {
	t.Helper()
	code, err := os.ReadFile("../testdata/modules/sqlite.wasm")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("SKIPPED: the module sqlite.wasm is not there: make modules fetches it")
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "sqlite.wasm"), code, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func module(ctx context.Context, path string) (*dataitem.Item, error) {
	signer, err := trial.Publisher()
	if err != nil {
		return nil, err
	}
	code, err := os.ReadFile(path)
	if p, openErr := project.Open(path); openErr == nil {
		code, _, err = p.Make(ctx, "")
	}
	if err != nil {
		return nil, err
	}
	return node.ModuleItem(code, nil, signer)
}

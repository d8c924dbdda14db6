package lsm

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// manifest names the tables that are the store, the newest first. Its file is
// JSON with a checksum behind it, and is replaced as a whole: that is the moment
// when tables begin or cease to count.
type manifest struct {
	// Next is a number that no table has had.
	Next   uint64          `json:"next"`
	Tables []manifestTable `json:"tables"`
}

type manifestTable struct {
	Number uint64 `json:"number"`
	Level  int    `json:"level"`
}

const (
	manifestName = "manifest"
	manifestNew  = "manifest.new"
)

// readManifest gives an empty one if the store is new.
func readManifest(files fsx.FS, dir string) (m manifest, err error) {
	path := filepath.Join(dir, manifestName)
	b, err := fsx.ReadAll(files, path)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest{Next: 1}, nil
	}
	if err != nil {
		return m, fmt.Errorf("read manifest: %w", err)
	}
	body, ok := checked(b)
	if !ok || json.Unmarshal(body, &m) != nil {
		return m, fmt.Errorf("%w: %s", ErrDamaged, path)
	}
	return m, nil
}

func (m manifest) write(files fsx.FS, dir string) error {
	b, _ := json.Marshal(m) // these types always encode
	path := filepath.Join(dir, manifestNew)
	file, err := files.Open(path, true)
	if err != nil {
		return fmt.Errorf("make manifest: %w", err)
	}
	b = appendSum(b)
	_, err = file.WriteAt(b, 0)
	err = errors.Join(err, file.Truncate(int64(len(b))), file.Sync(), file.Close())
	if err == nil {
		// The tables' names must be there before those that name them.
		err = files.SyncDir(dir)
	}
	if err == nil {
		err = files.Rename(path, filepath.Join(dir, manifestName))
	}
	if err == nil {
		err = files.SyncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	return nil
}

// sweep removes files that a kill left behind.
func (m manifest) sweep(files fsx.FS, dir string) error {
	names, err := files.List(dir)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	known := map[string]bool{}
	for _, t := range m.Tables {
		known[filepath.Base(tablePath(dir, t.Number))] = true
	}
	for _, name := range names {
		if name == manifestNew || strings.HasSuffix(name, tableSuffix) && !known[name] {
			if err := files.Remove(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("remove a table that was not finished: %w", err)
			}
		}
	}
	return nil
}

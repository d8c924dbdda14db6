package project

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// starters has a directory for each language; compiled is what those have beside that need
// a compiler.
//
//go:embed starter compiled
var starters embed.FS

var projectName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Init makes a project from the starter in a new or empty directory. Nothing that is
// there is overwritten.
func Init(dir, lang string) error {
	from, err := fs.Sub(starters, "starter/"+lang)
	if err == nil {
		_, err = fs.Stat(from, ".")
	}
	if err != nil {
		return fmt.Errorf("there is no starter in %q: take %s", lang, strings.Join(Languages(), ", "))
	}
	all := []fs.FS{from}
	if _, ok := compilers[lang]; ok {
		beside, err := fs.Sub(starters, "compiled")
		if err != nil {
			return fmt.Errorf("read the starter: %w", err)
		}
		all = append(all, beside)
	}
	return InitFrom(dir, all...)
}

// Languages lists those that there are starters in.
func Languages() (list []string) {
	entries, _ := fs.ReadDir(starters, "starter") // it is embedded
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

// InitFrom makes a project of files in which NAME stands for its name.
func InitFrom(dir string, from ...fs.FS) error {
	full, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("make project %s: %w", dir, err)
	}
	name := filepath.Base(full)
	if !projectName.MatchString(name) {
		return fmt.Errorf("a project cannot be called %q: take letters, digits, dots, _ and -", name)
	}
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("make project: %w", err)
	}
	if len(there) > 0 {
		return fmt.Errorf("%s is not empty: name another directory", dir)
	}
	for _, files := range from {
		if err := writeStarter(dir, name, files); err != nil {
			return err
		}
	}
	return nil
}

func writeStarter(dir, name string, from fs.FS) error {
	return fs.WalkDir(from, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(dir, path), 0o755)
		}
		text, err := fs.ReadFile(from, path)
		if err == nil {
			if path == "go.mod.txt" { // a directory with a file go.mod could not be embedded
				path = "go.mod"
			}
			err = os.WriteFile(filepath.Join(dir, path), bytes.ReplaceAll(text, []byte("NAME"), []byte(name)), 0o644)
		}
		if err != nil {
			return fmt.Errorf("make project: %w", err)
		}
		return nil
	})
}

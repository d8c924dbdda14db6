package raft

import (
	"strings"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// rebased is a file system whose directory has another name, so that a disk's
// image can be opened under a new one.
type rebased struct {
	fsx.FS
	dir string
}

func (r rebased) path(path string) string {
	return "/disk" + strings.TrimPrefix(path, r.dir)
}

func (r rebased) Open(path string, create bool) (fsx.File, error) {
	return r.FS.Open(r.path(path), create)
}
func (r rebased) List(dir string) ([]string, error) { return r.FS.List(r.path(dir)) }
func (r rebased) MkdirAll(dir string) error         { return r.FS.MkdirAll(r.path(dir)) }
func (r rebased) Rename(from, to string) error      { return r.FS.Rename(r.path(from), r.path(to)) }
func (r rebased) Remove(path string) error          { return r.FS.Remove(r.path(path)) }
func (r rebased) SyncDir(dir string) error          { return r.FS.SyncDir(r.path(dir)) }

package wasm

import (
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/vm"
)

// A process has no files. Lua's require looks for some all the same and must be
// told that they are not there, with the numbers that the glue gives.
const (
	wasiBadFile  = 8
	wasiInvalid  = 28
	wasiNotFound = 44
	wasiSeekPipe = 70

	errnoNotFound = -44
	errnoBadFile  = -8

	// firstFile is the first descriptor after the standard three.
	firstFile = 3
	// ioVectorsMax bounds how many pieces one write may have.
	ioVectorsMax = 1024
)

// openFile is a WeaveDrive file that the guest has opened in this message.
type openFile struct {
	content []byte
	at      int
}

// fileFunctions are WASI's and Linux's calls on files.
var fileFunctions = map[string]function{
	"fd_write":              fdWrite,
	"fd_read":               fdRead,
	"fd_seek":               answer(wasiSeekPipe),
	"fd_close":              answer(0),
	"fd_sync":               answer(0),
	"fd_fdstat_get":         answer(0),
	"fd_fdstat_set_flags":   answer(wasiBadFile),
	"fd_prestat_get":        answer(wasiBadFile),
	"fd_prestat_dir_name":   answer(wasiBadFile),
	"fd_renumber":           answer(wasiBadFile),
	"path_open":             answer(wasiNotFound),
	"path_rename":           answer(wasiNotFound),
	"path_unlink_file":      answer(wasiNotFound),
	"path_remove_directory": answer(wasiNotFound),

	"__syscall_openat":     answer(errnoNotFound),
	"__syscall_open":       answer(errnoNotFound),
	"__syscall_lstat64":    answer(errnoNotFound),
	"__syscall_stat64":     answer(errnoNotFound),
	"__syscall_newfstatat": answer(errnoNotFound),
	"__syscall_unlinkat":   answer(errnoNotFound),
	"__syscall_unlink":     answer(errnoNotFound),
	"__syscall_rmdir":      answer(errnoNotFound),
	"__syscall_renameat":   answer(errnoNotFound),
	"__syscall_rename":     answer(errnoNotFound),
	"__syscall_readlinkat": answer(errnoNotFound),
	"__syscall_faccessat":  answer(errnoNotFound),
	"__syscall_mkdirat":    answer(errnoNotFound),
	"__syscall_chmod":      answer(errnoNotFound),
	"__syscall_utimensat":  answer(errnoNotFound),

	"__syscall_dup3":        answer(errnoBadFile),
	"__syscall_fchmod":      answer(errnoBadFile),
	"__syscall_fchown32":    answer(errnoBadFile),
	"__syscall_fstat64":     answer(errnoBadFile),
	"__syscall_ftruncate64": answer(errnoBadFile),
	"_mmap_js":              answer(errnoBadFile),
	"_munmap_js":            answer(0),
	"__syscall_fcntl64":     standardOnly,
	"__syscall_ioctl":       standardOnly,
	"__syscall_getcwd": func(h *host, s []uint64) error {
		if s[1] < 2 {
			return give(s, errnoNotFound)
		}
		if err := h.writeText(s[0], []byte("/")); err != nil {
			return err
		}
		return give(s, 2)
	},

	"__asyncjs__weavedrive_open":  weaveDriveOpen,
	"__asyncjs__weavedrive_read":  weaveDriveRead,
	"__asyncjs__weavedrive_close": weaveDriveClose,
}

// standardOnly knows the standard three descriptors and no other.
func standardOnly(_ *host, s []uint64) error {
	if s[0] < firstFile {
		return give(s, 0)
	}
	return give(s, errnoBadFile)
}

// fdWrite swallows what a guest prints, as the glue does, and counts it. Only why a
// program in Go ends is heard.
func fdWrite(h *host, s []uint64) error {
	vectors, count, total := s[1], s[2], uint64(0)
	if count > ioVectorsMax {
		return give(s, wasiBadFile)
	}
	for range count {
		size, err := h.readPointer(vectors + h.pointerBytes())
		if err != nil {
			return err
		}
		if h.isReactor() && total < lineBytesMax {
			h.hear(vectors, min(size, lineBytesMax-total))
		}
		total += size
		vectors += 2 * h.pointerBytes()
	}
	if err := h.writePointer(s[3], total); err != nil {
		return err
	}
	return give(s, 0)
}

// hear gives the guest's last words what a vector points to, if that is in its memory.
func (h *host) hear(vector, size uint64) {
	at, err := h.readPointer(vector)
	if err != nil {
		return
	}
	if printed, err := h.at(at, size); err == nil {
		h.words.hear(printed)
	}
}

func fdRead(h *host, s []uint64) error {
	if err := h.writePointer(s[3], 0); err != nil {
		return err
	}
	return give(s, 0)
}

// weaveDriveOpen opens data from the weave. The loader suspends the guest while
// it fetches; a host that can wait simply waits.
func weaveDriveOpen(h *host, s []uint64) error {
	if h.config.Host == nil {
		return give(s, 0)
	}
	path, err := h.text(s[0])
	if err != nil {
		return err
	}
	content, err := h.config.Host.Open(h.ctx, string(path))
	if errors.Is(err, vm.ErrNotFound) {
		return give(s, 0)
	}
	if err != nil {
		return hostError{fmt.Errorf("open %s: %w", path, err)}
	}
	if h.files == nil {
		h.files = map[uint32]*openFile{}
	}
	file := h.nextFile
	h.nextFile++
	h.files[file] = &openFile{content: content}
	return give(s, int32(file))
}

func weaveDriveRead(h *host, s []uint64) error {
	file := h.files[uint32(s[0])]
	if file == nil {
		return give(s, 0)
	}
	n := min(s[2], uint64(len(file.content)-file.at))
	to, err := h.at(s[1], n)
	if err != nil {
		return err
	}
	copy(to, file.content[file.at:])
	file.at += int(n)
	return give(s, int32(n))
}

func weaveDriveClose(h *host, s []uint64) error {
	delete(h.files, uint32(s[0]))
	return give(s, 0)
}

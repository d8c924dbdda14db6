package fsxtest

import (
	"io"
	"io/fs"
	"maps"
	"math/rand"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// sectorBytes is what a disk writes whole or not at all.
const sectorBytes = 512

// Op is one change of a Disk.
type Op struct {
	Kind string // open, write, sync, truncate, allocate, rename, remove or syncdir
	Path string
}

// Disk is an fsx.FS in memory. A file's name survives a power cut once its
// directory was flushed, its bytes once it was flushed itself.
type Disk struct {
	// Fault is asked before every change; what it returns is the outcome. It
	// must be set before the disk is used.
	Fault func(Op) error

	mu      sync.Mutex
	files   map[string]*content
	durable map[string]bool // names
}

var _ fsx.FS = (*Disk)(nil)

// content is a file's bytes as programs see them and as the platter has them.
type content struct {
	current []byte
	flushed []byte
	dirty   map[int]bool // sectors that differ or may differ
}

// NewDisk makes an empty disk.
func NewDisk() *Disk { return &Disk{files: map[string]*content{}, durable: map[string]bool{}} }

func (d *Disk) fault(kind, path string) error {
	if d.Fault == nil {
		return nil
	}
	return d.Fault(Op{kind, path})
}

// Open opens or makes a file.
func (d *Disk) Open(path string, create bool) (fsx.File, error) {
	if create {
		if err := d.fault("open", path); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.files[path]
	if c == nil {
		if !create {
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		}
		c = &content{dirty: map[int]bool{}}
		d.files[path] = c
	}
	return &file{disk: d, path: path, content: c}, nil
}

// List gives the names in a directory.
func (d *Disk) List(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var names []string
	for path := range d.files {
		if filepath.Dir(path) == filepath.Clean(dir) {
			names = append(names, filepath.Base(path))
		}
	}
	slices.Sort(names)
	return names, nil
}

// MkdirAll does nothing: directories are there once a file is in them.
func (d *Disk) MkdirAll(string) error { return nil }

// Rename gives a file another name.
func (d *Disk) Rename(from, to string) error {
	if err := d.fault("rename", to); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.files[from]
	if c == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	delete(d.files, from)
	d.files[to] = c
	return nil
}

// SyncDir makes names durable.
func (d *Disk) SyncDir(dir string) error {
	if err := d.fault("syncdir", dir); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for path := range d.files {
		if filepath.Dir(path) == filepath.Clean(dir) {
			d.durable[path] = true
		}
	}
	return nil
}

// Paths lists all files.
func (d *Disk) Paths() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Sorted(maps.Keys(d.files))
}

// Bytes gives a file's bytes, which the caller may change in place.
func (d *Disk) Bytes(path string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files[path].current
}

// SetBytes replaces a file's bytes, flushed.
func (d *Disk) SetBytes(path string, b []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[path] = &content{current: b, flushed: slices.Clone(b), dirty: map[int]bool{}}
	d.durable[path] = true
}

// Remove deletes a file at once.
func (d *Disk) Remove(path string) error {
	if err := d.fault("remove", path); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files[path] == nil {
		return &fs.PathError{Op: "remove", Path: path, Err: fs.ErrNotExist}
	}
	delete(d.files, path)
	delete(d.durable, path)
	return nil
}

// Clone copies the disk as programs see it: what kill -9 leaves.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	image := NewDisk()
	for path, c := range d.files {
		image.files[path] = &content{current: slices.Clone(c.current), flushed: slices.Clone(c.current), dirty: map[int]bool{}}
		image.durable[path] = true
	}
	return image
}

// PowerCut gives an image that a power cut at this moment may leave: of what was
// not flushed, any sectors and names survive.
func (d *Disk) PowerCut(random *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	image := NewDisk()
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		c := d.files[path]
		if !d.durable[path] && random.Intn(2) == 0 {
			continue
		}
		b := c.survivors(random)
		image.files[path] = &content{current: b, flushed: slices.Clone(b), dirty: map[int]bool{}}
		image.durable[path] = true
	}
	return image
}

func (c *content) survivors(random *rand.Rand) []byte {
	size := len(c.flushed)
	if len(c.current) != size && random.Intn(2) == 0 {
		size = len(c.current)
	}
	b := make([]byte, size)
	copy(b, c.flushed)
	// A cut often takes all or nothing, which single sectors would rarely show.
	odds := []float64{0, 0.5, 1}[random.Intn(3)]
	for _, sector := range slices.Sorted(maps.Keys(c.dirty)) {
		from := sector * sectorBytes
		if random.Float64() < odds && from < size {
			clear(b[from:min(from+sectorBytes, size)])
			copy(b[from:min(from+sectorBytes, size)], c.current[min(from, len(c.current)):])
		}
	}
	return b
}

type file struct {
	disk    *Disk
	path    string
	content *content
}

// ReadAt reads as io.ReaderAt.
func (f *file) ReadAt(b []byte, at int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	if at >= int64(len(f.content.current)) {
		return 0, io.EOF
	}
	n := copy(b, f.content.current[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes as io.WriterAt; a fault leaves a part of it written.
func (f *file) WriteAt(b []byte, at int64) (int, error) {
	err := f.disk.fault("write", f.path)
	if err != nil {
		b = b[:len(b)/2]
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.content.resize(max(len(f.content.current), int(at)+len(b)))
	copy(f.content.current[at:], b)
	for sector := int(at) / sectorBytes; sector*sectorBytes < int(at)+len(b); sector++ {
		f.content.dirty[sector] = true
	}
	return len(b), err
}

func (c *content) resize(size int) {
	if size <= len(c.current) {
		c.current = c.current[:size:size]
		return
	}
	c.current = append(c.current, make([]byte, size-len(c.current))...)
}

// Sync makes bytes durable. After a fault they never will be: the kernel drops
// the pages that it could not write.
func (f *file) Sync() error {
	err := f.disk.fault("sync", f.path)
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	c := f.content
	if err == nil {
		c.flushed = append(c.flushed[:min(len(c.flushed), len(c.current))], make([]byte, max(0, len(c.current)-len(c.flushed)))...)
		for sector := range c.dirty {
			if from := sector * sectorBytes; from < len(c.current) {
				copy(c.flushed[from:min(from+sectorBytes, len(c.flushed))], c.current[from:])
			}
		}
	}
	clear(c.dirty)
	return err
}

// Size gives the size.
func (f *file) Size() (int64, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return int64(len(f.content.current)), nil
}

// Truncate cuts or extends.
func (f *file) Truncate(size int64) error {
	if err := f.disk.fault("truncate", f.path); err != nil {
		return err
	}
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	f.content.resize(int(size))
	return nil
}

// Allocate extends, durably.
func (f *file) Allocate(size int64) error {
	if err := f.disk.fault("allocate", f.path); err != nil {
		return err
	}
	f.disk.mu.Lock()
	f.content.resize(max(len(f.content.current), int(size)))
	f.disk.mu.Unlock()
	return f.Sync()
}

// Close does nothing.
func (f *file) Close() error { return nil }

// Flip changes one bit of a file.
func (d *Disk) Flip(path string, bit int) {
	b := d.Bytes(path)
	b[bit/8] ^= 1 << (bit % 8)
}

// Under lists the files in a directory.
func (d *Disk) Under(dir string) (paths []string) {
	for _, path := range d.Paths() {
		if strings.HasPrefix(path, dir+string(filepath.Separator)) {
			paths = append(paths, path)
		}
	}
	return paths
}

package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/kv"
	"github.com/wallaby-ao/wallaby/internal/procs"
)

// Rebuild makes an index from nothing, of all entries of one group after the
// other, of processes that are all in their first epoch. The result has the keys that putting them one by one would give, many
// times as fast: keys are sorted in files and written once, in order.
//
// It holds the head of every process in memory, about 200 bytes each, and sorts
// within a few runs of 16 MB.
type Rebuild struct {
	dir     string
	heads   map[ao.ID]*Ordering
	applied map[uint32]uint64
	sorting errgroup.Group
	spare   sync.Pool
	// places, ids, located and bare are the keys with the letters E, I, L and B.
	places, ids, located, bare *keySorter
}

// keySorter sorts the keys of one letter. A row has a key, its value, and what
// is of use only here.
type keySorter struct {
	sorter
	keyBytes, valueBytes int
}

// ErrRepeated is returned when a message was put twice into one process. No
// leader does so; if it happens the entries must be looked at one by one, as
// those who call Put do.
var ErrRepeated = errors.New("a message is twice in the log of a process")

// NewRebuild begins an index. It works in dir, which it empties first.
func NewRebuild(dir string) (*Rebuild, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("empty the directory of a new index: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, rebuiltDirName), 0o755); err != nil {
		return nil, fmt.Errorf("make the directory of a new index: %w", err)
	}
	r := &Rebuild{dir: dir, heads: map[ao.ID]*Ordering{}, applied: map[uint32]uint64{}}
	r.sorting.SetLimit(procs.Cores())
	newSorter := func(letter byte, sortBytes, keyBytes, valueBytes, rowBytes int) *keySorter {
		s := sorter{dir: dir, letter: letter, sortBytes: 1 + sortBytes, rowBytes: 1 + rowBytes, runBytes: runBytes, spare: &r.spare, sorting: &r.sorting}
		return &keySorter{s, 1 + keyBytes, valueBytes}
	}
	r.places = newSorter('E', 32+8, 32+8, placeBytes, 32+8+placeBytes)
	r.ids = newSorter('I', 32+32, 32+32, 8, 32+32+8)
	r.located = newSorter('L', 32+32, 32, 32+8, 32+32+8+1)
	r.bare = newSorter('B', 32, 32, 32+8, 32+32+8+1)
	return r, nil
}

// rebuiltDirName is where the new index is made.
const rebuiltDirName = "index"

// The last byte of a row that locates an id says whether it becomes a key, or is
// there only to meet another one of the same id and process.
const (
	rowStays byte = iota
	rowMeets
)

// Take adds an entry if it follows the head of its process; an entry that does
// not was refused when it was first applied. Whether its message is there already
// comes out at Finish. first is how the process is ordered if this is its first
// entry.
func (r *Rebuild) Take(e *Entry, place Place, keys []ao.ID, first Ordering) {
	ordering, started := r.heads[e.Process], true
	if ordering == nil {
		ordering, started = &first, false
	}
	if (Sequencer{}).Check(ordering.Head, started, *e) != nil {
		return
	}
	ordering.Head = HeadOf(*e)
	if !started {
		r.heads[e.Process] = ordering
	}
	row := r.places.add()[1:]
	copy(row, e.Process[:])
	binary.BigEndian.PutUint64(row[32:], e.Nonce)
	copy(row[40:], encodePlace(place))
	r.locate(r.located, e.ID, e, rowStays)
	message := messageOrProcess(*e)
	if e.IsBare() {
		r.locate(r.bare, message, e, rowStays)
		r.locate(r.located, message, e, rowMeets)
	} else {
		r.locate(r.located, message, e, rowStays)
	}
	for _, id := range ownKeys(*e, keys) {
		row := r.ids.add()[1:]
		copy(row, e.Process[:])
		copy(row[32:], id[:])
		binary.BigEndian.PutUint64(row[64:], e.Nonce)
	}
}

func (r *Rebuild) locate(to *keySorter, id ao.ID, e *Entry, purpose byte) {
	row := to.add()[1:]
	copy(row, id[:])
	copy(row[32:], e.Process[:])
	binary.BigEndian.PutUint64(row[64:], e.Nonce)
	row[72] = purpose
}

// Applied notes the last Raft index of a group that holds entries.
func (r *Rebuild) Applied(group uint32, index uint64) { r.applied[group] = index }

// Close lets go of what a Rebuild holds and removes the files it worked with.
func (r *Rebuild) Close() error {
	_ = r.sorting.Wait() // Finish told of it, or nobody wants to know
	for _, s := range r.sorters() {
		s.close()
	}
	return os.RemoveAll(r.dir)
}

func (r *Rebuild) sorters() []*keySorter {
	return []*keySorter{r.places, r.ids, r.located, r.bare}
}

// Finish writes the index and puts it in dir, in place of what is there. It gives
// ErrRepeated, and leaves dir as it is, when that would not be what Put makes.
func (r *Rebuild) Finish(dir string) error {
	for _, s := range r.sorters() {
		s.spill()
	}
	if err := r.sorting.Wait(); err != nil {
		return err
	}
	built := filepath.Join(r.dir, rebuiltDirName)
	builder := kv.NewBuilder(indexOptions(built))
	var writing errgroup.Group
	writing.SetLimit(procs.Cores())
	for _, s := range r.sorters() {
		for part := range s.parts() {
			writing.Go(func() error { return r.writePart(builder.Writer(), s, part) })
		}
	}
	writing.Go(func() error { return r.writeHeads(builder.Writer()) })
	writing.Go(func() error { return r.writeApplied(builder.Writer()) })
	if err := writing.Wait(); err != nil {
		return err
	}
	if err := builder.Finish(); err != nil {
		return err
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the log index %s: %w", dir, err)
	}
	if err := os.Rename(built, dir); err != nil {
		return fmt.Errorf("put a new log index in its place: %w", err)
	}
	return nil
}

// writePart writes the keys of a part of a sorter. Of several bare assignments
// the first stays; elsewhere equal keys belong to one entry.
func (r *Rebuild) writePart(w *kv.Writer, s *keySorter, part int) error {
	var before, kept []byte
	err := s.merge(part, func(row []byte) error {
		if before != nil && s != r.bare && s.repeats(before, row) {
			return ErrRepeated
		}
		before = row
		switch {
		case s == r.located && row[len(row)-1] == rowMeets:
		case kept == nil:
			kept = row
		case !bytes.Equal(kept[:s.keyBytes], row[:s.keyBytes]):
			if err := s.write(w, kept); err != nil {
				return err
			}
			kept = row
		case s != r.bare:
			kept = row
		}
		return nil
	})
	if kept != nil && err == nil {
		err = s.write(w, kept)
	}
	return errors.Join(err, w.Close())
}

func (s *keySorter) write(w *kv.Writer, row []byte) error {
	return w.Add(row[:s.keyBytes], row[s.keyBytes:][:s.valueBytes])
}

// repeats reports whether two rows of one id in one process are of two entries.
func (s *keySorter) repeats(a, b []byte) bool {
	end := s.keyBytes + s.valueBytes
	return bytes.Equal(a[:s.sortBytes], b[:s.sortBytes]) && !bytes.Equal(a[s.sortBytes:end], b[s.sortBytes:end])
}

// writeApplied writes the keys with the letter A.
func (r *Rebuild) writeApplied(w *kv.Writer) error {
	for _, group := range slices.Sorted(maps.Keys(r.applied)) {
		if err := w.Add(groupKey(group), binary.BigEndian.AppendUint64(nil, r.applied[group])); err != nil {
			return err
		}
	}
	return w.Close()
}

// writeHeads writes the keys with the letter H.
func (r *Rebuild) writeHeads(w *kv.Writer) error {
	processes := slices.SortedFunc(maps.Keys(r.heads), func(a, b ao.ID) int { return bytes.Compare(a[:], b[:]) })
	for _, process := range processes {
		if err := w.Add(key('H', process[:]), encodeOrdering(*r.heads[process])); err != nil {
			return err
		}
	}
	return w.Close()
}

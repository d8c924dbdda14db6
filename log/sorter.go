package log

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// sorter sorts more rows of one size than memory holds: what fills a run is
// sorted and written to a file, and all runs are merged when they are read.
// Rows that are equal in what is sorted by keep their order.
type sorter struct {
	dir    string
	letter byte // begins all rows
	// sortBytes of rowBytes decide the order.
	sortBytes, rowBytes int
	runBytes            int
	// spare has the memory of runs that are written.
	spare *sync.Pool
	// sorting has the runs sorted, and makes add wait while all of it is busy.
	sorting *errgroup.Group
	rows    []byte
	runs    []*run
}

// run is sorted rows in a file.
type run struct{ rows []byte }

// runBytes is the size of a run. A few of them are in memory at once.
const runBytes = 16 << 20

// add gives the place of a new row, which begins with the letter; the caller
// fills in the rest.
func (s *sorter) add() []byte {
	if len(s.rows)+s.rowBytes > s.runBytes {
		s.spill()
		s.rows = s.memory(s.runBytes)
	}
	s.rows = slices.Grow(s.rows, s.rowBytes)
	end := len(s.rows) + s.rowBytes
	row := s.rows[len(s.rows):end:end]
	s.rows = s.rows[:end]
	row[0] = s.letter
	return row
}

// memory gives room for a run. Only the first run grows as it is filled, because
// most logs need no other.
func (s *sorter) memory(size int) []byte {
	if b, ok := s.spare.Get().(*[]byte); ok && cap(*b) >= size {
		return (*b)[:0]
	}
	return make([]byte, 0, size)
}

// spill has what was added sorted and written. The run has its place in the
// order before it is made.
func (s *sorter) spill() {
	if len(s.rows) == 0 {
		return
	}
	made, rows := new(run), s.rows
	path := filepath.Join(s.dir, fmt.Sprintf("%c%08x.run", s.letter, len(s.runs)))
	s.runs, s.rows = append(s.runs, made), nil
	s.sorting.Go(func() (err error) {
		sorted := s.sorted(rows)
		made.rows, err = mapped(path, sorted)
		s.spare.Put(&rows)
		s.spare.Put(&sorted)
		return err
	})
}

// rowOrder is a row in the making of a run: its first bytes decide most
// comparisons.
type rowOrder struct {
	prefix uint64
	row    uint32
}

// sorted gives rows in order.
func (s *sorter) sorted(rows []byte) []byte {
	order := make([]rowOrder, len(rows)/s.rowBytes)
	for i := range order {
		order[i] = rowOrder{binary.BigEndian.Uint64(rows[i*s.rowBytes+1:]), uint32(i)}
	}
	keyOf := func(row uint32) []byte { return rows[int(row)*s.rowBytes+9:][:s.sortBytes-9] }
	slices.SortFunc(order, func(a, b rowOrder) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		if c := bytes.Compare(keyOf(a.row), keyOf(b.row)); c != 0 {
			return c
		}
		return cmp.Compare(a.row, b.row)
	})
	sorted := s.memory(len(rows))
	for _, o := range order {
		sorted = append(sorted, rows[int(o.row)*s.rowBytes:][:s.rowBytes]...)
	}
	return sorted
}

// mapped writes bytes to a file and gives them back as memory that the system
// may take away and read again.
func mapped(path string, b []byte) ([]byte, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("make a sorted run: %w", err)
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return nil, fmt.Errorf("write sorted run %s: %w", path, err)
	}
	b, err = unix.Mmap(int(f.Fd()), 0, len(b), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map sorted run %s: %w", path, err)
	}
	return b, nil
}

// close lets go of the runs; their files are the directory's owner's.
func (s *sorter) close() {
	for _, r := range s.runs {
		if r.rows != nil {
			_ = unix.Munmap(r.rows)
		}
	}
}

// parts is into how many stretches of keys the rows are split, to be merged side
// by side.
func (s *sorter) parts() int { return min(4, len(s.runs)) }

// merge calls fn for the rows of a part in order.
func (s *sorter) merge(part int, fn func(row []byte) error) error {
	heads := make([][]byte, 0, len(s.runs))
	from, to := 256*part/s.parts(), 256*(part+1)/s.parts()
	for _, r := range s.runs {
		if rows := s.between(r.rows, from, to); len(rows) > 0 {
			heads = append(heads, rows)
		}
	}
	m := merger{s, heads, make([]int, len(heads))}
	for i := range m.heap {
		m.heap[i] = i
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	for len(m.heap) > 0 {
		first := m.heap[0]
		if err := fn(heads[first][:s.rowBytes]); err != nil {
			return err
		}
		if heads[first] = heads[first][s.rowBytes:]; len(heads[first]) == 0 {
			m.heap[0] = m.heap[len(m.heap)-1]
			m.heap = m.heap[:len(m.heap)-1]
		}
		m.down(0)
	}
	return nil
}

// between gives the rows whose keys have a first byte after the letter of at
// least from and less than to.
func (s *sorter) between(rows []byte, from, to int) []byte {
	first := func(limit int) int {
		return s.rowBytes * sort.Search(len(rows)/s.rowBytes, func(i int) bool { return int(rows[i*s.rowBytes+1]) >= limit })
	}
	return rows[first(from):first(to)]
}

// merger is a heap of runs, the one with the least first row on top.
type merger struct {
	sorter *sorter
	rows   [][]byte
	heap   []int
}

func (m *merger) less(a, b int) bool {
	sortBytes := m.sorter.sortBytes
	c := bytes.Compare(m.rows[m.heap[a]][1:sortBytes], m.rows[m.heap[b]][1:sortBytes])
	return c < 0 || c == 0 && m.heap[a] < m.heap[b]
}

func (m *merger) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2; child++ {
			if child < len(m.heap) && m.less(child, least) {
				least = child
			}
		}
		if least == i {
			return
		}
		m.heap[i], m.heap[least] = m.heap[least], m.heap[i]
		i = least
	}
}

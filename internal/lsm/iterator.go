package lsm

import "bytes"

// iterator gives rows in order of their keys. Its row is good until it is asked
// for the next.
type iterator interface {
	// next goes to the next row and reports whether there is one.
	next() (bool, error)
	row() row
}

// rowsOf goes through rows of a memtable.
type rowsOf struct {
	table *memtable
	order []placed
	at    row
}

func (i *rowsOf) next() (bool, error) {
	if len(i.order) == 0 {
		return false, nil
	}
	i.at, _ = i.table.at(i.order[0].place)
	i.order = i.order[1:]
	return true, nil
}

func (i *rowsOf) row() row { return i.at }

// rowCopies goes through rows.
type rowCopies struct {
	rows []row
	at   row
}

func (i *rowCopies) next() (bool, error) {
	if len(i.rows) == 0 {
		return false, nil
	}
	i.at, i.rows = i.rows[0], i.rows[1:]
	return true, nil
}

func (i *rowCopies) row() row { return i.at }

// tableRows goes through a table from a key on.
type tableRows struct {
	table *table
	from  []byte
	// ahead is how many bytes are read at once.
	ahead uint64
	block int // the next to unpack
	read  []byte
	base  uint64 // where read begins in the file
	whole []byte // the block
	rows  []byte // what is left of it
	at    row
}

// The bytes that are read at once: for a few rows, and for all.
const (
	aheadFew = 16 << 10
	aheadAll = 256 << 10
)

func (t *table) from(key []byte, ahead uint64) *tableRows {
	return &tableRows{table: t, from: key, ahead: ahead, block: max(0, t.find(key))}
}

func (i *tableRows) next() (bool, error) {
	for {
		for len(i.rows) > 0 {
			var ok bool
			if i.at, i.rows, ok = nextRow(i.rows); !ok {
				return false, i.table.damaged("a row")
			}
			if i.from == nil || bytes.Compare(i.at.key, i.from) >= 0 {
				i.from = nil
				return true, nil
			}
		}
		if i.block == len(i.table.blockEnds) {
			return false, nil
		}
		if err := i.load(); err != nil {
			return false, err
		}
	}
}

// load unpacks the next block.
func (i *tableRows) load() (err error) {
	from, to := i.table.offset(i.block), i.table.blockEnds[i.block]
	if from < i.base || to > i.base+uint64(len(i.read)) {
		end := max(to, min(from+i.ahead, i.table.blockEnds[len(i.table.blockEnds)-1]))
		if i.read, err = i.table.read(from, end); err != nil {
			return err
		}
		i.base = from
	}
	i.whole, err = i.table.unpack(i.block, i.read[from-i.base:to-i.base], i.whole)
	i.rows = i.whole
	i.block++
	return err
}

func (i *tableRows) row() row { return i.at }

// merged goes through several iterators at once. Of rows with the same key it
// gives the one of the first iterator that has one.
type merged struct {
	all  []iterator
	heap []int // of all, the one with the least row on top
	live bool  // the row of the top was given
	last []byte
}

// merge begins with the first row of each, newest first.
func merge(all []iterator) (*merged, error) {
	m := &merged{all: all}
	for i, it := range all {
		more, err := it.next()
		if err != nil {
			return nil, err
		}
		if more {
			m.heap = append(m.heap, i)
		}
	}
	for i := len(m.heap)/2 - 1; i >= 0; i-- {
		m.down(i)
	}
	return m, nil
}

func (m *merged) next() (bool, error) {
	for {
		if m.live {
			m.last = append(m.last[:0], m.row().key...)
			more, err := m.all[m.heap[0]].next()
			if err != nil {
				return false, err
			}
			if !more {
				m.heap[0] = m.heap[len(m.heap)-1]
				m.heap = m.heap[:len(m.heap)-1]
			}
			m.down(0)
		}
		if len(m.heap) == 0 {
			return false, nil
		}
		again := m.live && bytes.Equal(m.last, m.row().key)
		m.live = true
		if !again {
			return true, nil
		}
	}
}

func (m *merged) row() row { return m.all[m.heap[0]].row() }

func (m *merged) less(a, b int) bool {
	c := bytes.Compare(m.all[m.heap[a]].row().key, m.all[m.heap[b]].row().key)
	return c < 0 || c == 0 && m.heap[a] < m.heap[b]
}

func (m *merged) down(i int) {
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

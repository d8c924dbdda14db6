package lsm

import (
	"fmt"
	"slices"
)

// flushAlways writes memtables to tables, one at a time.
func (s *Store) flushAlways() {
	for {
		m, ok := s.full()
		if !ok {
			return
		}
		if err := s.flush(m); err != nil {
			s.fail(fmt.Errorf("write keys to a table: %w", err))
			return
		}
	}
}

// full waits for a memtable that is to be written.
func (s *Store) full() (m *memtable, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.mu.failed != nil || s.mu.closed {
			return nil, false
		}
		enough := len(s.mu.active.rows) >= s.options.MemoryBytes || s.mu.wanted && s.mu.active.used > 0
		// Look-ups ask every table, so there must not be too many.
		if enough && len(s.mu.tables.tables) < s.tablesMax() {
			break
		}
		s.mu.changed.Wait()
	}
	s.mu.wanted = false
	s.mu.flushing, s.mu.active = s.mu.active, s.mu.active.successor()
	s.mu.changed.Broadcast()
	return s.mu.flushing, true
}

// tablesMax is how many tables there may be before writing waits for merging: as
// many as a tidy store of a million times a memtable's size has, and more.
func (s *Store) tablesMax() int { return 8 * s.options.FanOut }

func (s *Store) flush(m *memtable) error {
	number := s.nextNumber()
	w, err := newWriter(s.options.FS, tablePath(s.options.Dir, number))
	if err != nil {
		return err
	}
	rows := &rowsOf{table: m, order: m.sorted(nil)}
	for {
		more, err := rows.next()
		if err == nil && more {
			err = w.add(rows.row())
		}
		if err != nil {
			w.drop()
			return err
		}
		if !more {
			break
		}
	}
	if err := w.finish(); err != nil {
		return err
	}
	t, err := openTable(s.options.FS, s.options.Dir, number, 0)
	if err != nil {
		return err
	}
	return s.change(func(tables []*table) []*table { return slices.Insert(tables, 0, t) }, func() { s.mu.flushing = nil })
}

func (s *Store) nextNumber() uint64 {
	s.changes.Lock()
	defer s.changes.Unlock()
	s.manifest.Next++
	return s.manifest.Next - 1
}

// change puts other tables in place of those there are, on disk first. also is
// done in the same moment.
func (s *Store) change(edit func([]*table) []*table, also func()) error {
	s.changes.Lock()
	defer s.changes.Unlock()
	s.mu.RLock()
	old := s.mu.tables
	s.mu.RUnlock()
	tables := edit(slices.Clone(old.tables))
	s.manifest.Tables = nil
	for _, t := range tables {
		s.manifest.Tables = append(s.manifest.Tables, manifestTable{t.number, t.level})
	}
	if err := s.manifest.write(s.options.FS, s.options.Dir); err != nil {
		return err
	}
	next := newSet(tables)
	s.mu.Lock()
	s.mu.tables = next
	also()
	s.mu.changed.Broadcast()
	s.mu.Unlock()
	return s.release(old)
}

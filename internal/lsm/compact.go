package lsm

import (
	"errors"
	"fmt"
	"slices"
)

// mergeAlways merges the tables of a tier when there are many.
func (s *Store) mergeAlways() {
	for {
		inputs, oldest, ok := s.mergeable()
		if !ok {
			return
		}
		err := s.merge(inputs, oldest)
		if errors.Is(err, ErrClosed) {
			return
		}
		if err != nil {
			s.fail(fmt.Errorf("merge tables: %w", err))
			return
		}
	}
}

// mergeable waits for tables to merge, which are neighbours; oldest reports that
// none is older.
func (s *Store) mergeable() (inputs []*table, oldest, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.mu.failed == nil && !s.mu.closed {
		all := s.mu.tables.tables
		for end := len(all); end > 0; {
			begin := end
			for begin > 0 && all[begin-1].level == all[end-1].level {
				begin--
			}
			if end-begin >= s.options.FanOut {
				return slices.Clone(all[end-s.options.FanOut : end]), end == len(all), true
			}
			end = begin
		}
		s.mu.changed.Wait()
	}
	return nil, false, false
}

// merge makes one table of the next tier out of several. Those it is made of stay
// open, because only merge takes tables away.
func (s *Store) merge(inputs []*table, oldest bool) error {
	sources := make([]iterator, len(inputs))
	for i, t := range inputs {
		sources[i] = t.from(nil, aheadAll)
	}
	rows, err := merge(sources)
	if err != nil {
		return err
	}
	number := s.nextNumber()
	w, err := newWriter(s.options.FS, tablePath(s.options.Dir, number))
	if err != nil {
		return err
	}
	if err := s.copyRows(w, rows, oldest); err != nil {
		w.drop()
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	t, err := openTable(s.options.FS, s.options.Dir, number, inputs[0].level+1)
	if err != nil {
		return err
	}
	return s.change(func(tables []*table) []*table {
		first := slices.Index(tables, inputs[0])
		return slices.Replace(tables, first, first+len(inputs), t)
	}, func() {
		for _, old := range inputs {
			old.obsolete.Store(true)
		}
	})
}

// copyRows writes rows; what was taken away stays away without a row when nothing
// older is there to hide.
func (s *Store) copyRows(w *writer, rows *merged, oldest bool) error {
	for {
		more, err := rows.next()
		if err != nil || !more {
			return err
		}
		if !s.writing.Load() {
			return ErrClosed
		}
		if oldest && rows.row().value == nil {
			continue
		}
		if err := w.add(rows.row()); err != nil {
			return err
		}
	}
}

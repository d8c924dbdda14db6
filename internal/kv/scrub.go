package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// scrub reads tables through, one after the other, while the database is used.
type scrub struct {
	checked chan struct{} // closed when all tables are whole
	ended   chan struct{}
	stopped chan struct{}
	once    sync.Once
}

// startScrub checks tables and tells damage of the first that is
// not whole.
func startScrub(tables []unreadTable, damage func(error)) *scrub {
	s := &scrub{checked: make(chan struct{}), ended: make(chan struct{}), stopped: make(chan struct{})}
	go s.run(tables, damage)
	return s
}

func (s *scrub) run(tables []unreadTable, damage func(error)) {
	defer close(s.ended)
	for _, table := range tables {
		select {
		case <-s.stopped:
			return
		default:
		}
		// A table may be gone since the start: compaction puts others in its place.
		if err := checkTable(table.path, table.compression, true); err != nil && !errors.Is(err, fs.ErrNotExist) {
			damage(fmt.Errorf("%w: %s: %w", ErrDamaged, table.path, err))
			return
		}
	}
	close(s.checked)
}

// stop ends the reading and waits for its end.
func (s *scrub) stop() {
	s.once.Do(func() { close(s.stopped) })
	<-s.ended
}

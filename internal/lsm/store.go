package lsm

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// Options say where and how a Store keeps its keys.
type Options struct {
	Dir string
	FS  fsx.FS // default the real file system
	// MemoryBytes is how much is put before it is written to a table; default
	// 8 MiB. Twice that may be in memory.
	MemoryBytes int
	// FanOut is how many tables of one tier are merged into one of the next;
	// default 8.
	FanOut int
	// Fatal is told, once, of an error after which the store is of no more use: it
	// could not be written, or was found damaged.
	Fatal func(error)
}

func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = fsx.OS{}
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 8 << 20
	}
	if o.FanOut == 0 {
		o.FanOut = 8
	}
	if o.Fatal == nil {
		o.Fatal = func(error) {}
	}
	return o
}

// Store holds keys and values. All methods are safe for concurrent use.
type Store struct {
	options Options
	wait    sync.WaitGroup
	once    sync.Once
	// changes has the manifest changed by one at a time.
	changes  sync.Mutex
	manifest manifest
	writing  atomic.Bool // false once the store closes: merges are given up

	mu struct {
		sync.RWMutex
		changed *sync.Cond
		// active takes what is put; flushing is being written, or nil.
		active, flushing *memtable
		tables           *set
		wanted           bool // somebody waits for all to be written
		closed           bool
		failed           error
	}
}

// set is tables that are looked at together, the newest first. They stay while
// somebody looks.
type set struct {
	tables []*table
	refs   atomic.Int32
}

// ErrClosed is returned by a Store that is closed.
var ErrClosed = errors.New("the store is closed")

// Open opens or makes a store. An error that wraps ErrDamaged says that it must be
// made anew.
func Open(options Options) (*Store, error) {
	s := &Store{options: options.withDefaults()}
	o := s.options
	if err := o.FS.MkdirAll(o.Dir); err != nil {
		return nil, fmt.Errorf("make %s: %w", o.Dir, err)
	}
	var err error
	if s.manifest, err = readManifest(o.FS, o.Dir); err != nil {
		return nil, err
	}
	if err := s.manifest.sweep(o.FS, o.Dir); err != nil {
		return nil, err
	}
	var tables []*table
	for _, m := range s.manifest.Tables {
		t, err := openTable(o.FS, o.Dir, m.Number, m.Level)
		if err != nil {
			for _, t := range tables {
				_ = t.file.Close()
			}
			return nil, err
		}
		tables = append(tables, t)
	}
	s.mu.changed = sync.NewCond(&s.mu.RWMutex)
	s.mu.active = newMemtable()
	s.mu.tables = newSet(tables)
	s.writing.Store(true)
	s.wait.Go(s.flushAlways)
	s.wait.Go(s.mergeAlways)
	return s, nil
}

func newSet(tables []*table) *set {
	s := &set{tables: tables}
	s.refs.Store(1)
	for _, t := range tables {
		t.refs.Add(1)
	}
	return s
}

func (s *Store) release(tables *set) error {
	if tables.refs.Add(-1) > 0 {
		return nil
	}
	var errs []error
	for _, t := range tables.tables {
		errs = append(errs, t.release(s.options.FS))
	}
	return errors.Join(errs...)
}

// Put sets keys at once: readers see all of them or none, and so does who opens
// the store after a crash. Keys have 1 to 65,535 bytes. A nil value takes a key away;
// slices are not kept. It waits while memory is full.
func (s *Store) Put(add func(set func(key, value []byte))) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.mu.flushing != nil && len(s.mu.active.rows) >= s.options.MemoryBytes && s.mu.failed == nil && !s.mu.closed {
		s.mu.changed.Wait()
	}
	if err := s.usable(); err != nil {
		return err
	}
	add(s.mu.active.put)
	if len(s.mu.active.rows) >= s.options.MemoryBytes {
		s.mu.changed.Broadcast()
	}
	return nil
}

// usable says why the store takes nothing more, or nil. mu is held.
func (s *Store) usable() error {
	if s.mu.failed != nil {
		return s.mu.failed
	}
	if s.mu.closed {
		return ErrClosed
	}
	return nil
}

// Get gives the value of a key, which the caller may keep.
func (s *Store) Get(key []byte) (value []byte, ok bool, err error) {
	hash := xxhash.Sum64(key)
	s.mu.RLock()
	if err := s.usable(); err != nil {
		s.mu.RUnlock()
		return nil, false, err
	}
	for _, m := range []*memtable{s.mu.active, s.mu.flushing} {
		if m == nil {
			continue
		}
		if r, ok := m.get(key, hash); ok {
			value := slices.Clone(r.value)
			s.mu.RUnlock()
			return value, r.value != nil, nil
		}
	}
	tables := s.mu.tables
	tables.refs.Add(1)
	s.mu.RUnlock()
	defer s.drop(tables)
	for _, t := range tables.tables {
		r, ok, err := t.get(key, hash)
		if err != nil {
			return nil, false, s.fail(err)
		}
		if ok {
			return r.value, r.value != nil, nil
		}
	}
	return nil, false, nil
}

// drop ends the use of a set by a reader.
func (s *Store) drop(tables *set) {
	if err := s.release(tables); err != nil {
		s.fail(fmt.Errorf("close old tables: %w", err))
	}
}

// fail remembers the first error after which nothing more can be said.
func (s *Store) fail(err error) error {
	s.mu.Lock()
	first := s.mu.failed == nil
	if first {
		s.mu.failed = err
	}
	s.mu.changed.Broadcast()
	s.mu.Unlock()
	if first {
		s.options.Fatal(err)
	}
	return err
}

// Scan calls fn for every key with a prefix, in order, from a key on, until fn
// says no. It sees the store as it is at its beginning; slices must not be kept.
func (s *Store) Scan(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	return s.scan(prefix, from, true, fn)
}

// ScanTables is Scan of what has left memory, which costs less when keys are few.
func (s *Store) ScanTables(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	return s.scan(prefix, from, false, fn)
}

func (s *Store) scan(prefix, from []byte, memory bool, fn func(key, value []byte) (bool, error)) error {
	if len(from) == 0 {
		from = prefix
	}
	s.mu.RLock()
	if err := s.usable(); err != nil {
		s.mu.RUnlock()
		return err
	}
	var sources []iterator
	if memory {
		// Rows of the active table may change when it is let go.
		sources = append(sources, &rowCopies{rows: s.mu.active.copies(prefix, from)})
		if s.mu.flushing != nil {
			sources = append(sources, &rowsOf{table: s.mu.flushing, order: s.mu.flushing.after(prefix, from)})
		}
	}
	tables := s.mu.tables
	tables.refs.Add(1)
	s.mu.RUnlock()
	defer s.drop(tables)
	for _, t := range tables.tables {
		sources = append(sources, t.from(from, aheadFew))
	}
	return s.visit(prefix, sources, fn)
}

func (s *Store) visit(prefix []byte, sources []iterator, fn func(key, value []byte) (bool, error)) error {
	rows, err := merge(sources)
	if err != nil {
		return s.fail(err)
	}
	for {
		more, err := rows.next()
		if err != nil {
			return s.fail(err)
		}
		if !more || !bytes.HasPrefix(rows.row().key, prefix) {
			return nil
		}
		r := rows.row()
		if r.value == nil {
			continue
		}
		if more, err := fn(r.key, r.value); err != nil || !more {
			return err
		}
	}
}

// Flush returns when all that was put before is in tables.
func (s *Store) Flush() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.mu.failed == nil && !s.mu.closed && (s.mu.active.used > 0 || s.mu.flushing != nil) {
		s.mu.wanted = true
		s.mu.changed.Broadcast()
		s.mu.changed.Wait()
	}
	return s.mu.failed
}

// Close writes what is in memory and closes the store.
func (s *Store) Close() (err error) {
	s.once.Do(func() {
		_ = s.Flush() // what it fails of is kept
		s.mu.Lock()
		s.mu.closed = true
		s.writing.Store(false)
		s.mu.changed.Broadcast()
		s.mu.Unlock()
		s.wait.Wait()
		err = errors.Join(s.mu.failed, s.release(s.mu.tables))
	})
	return err
}

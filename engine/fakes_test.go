package engine

import (
	"context"
	"encoding/json"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/kv"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// staticLog is a log with entries that were made elsewhere.
type staticLog struct {
	aolog.Log // Append and the like are never called

	mu        sync.Mutex
	processes map[ao.ID][]aolog.Entry
	order     []aolog.Entry
	promised  int64 // of every process, behind its last entry
}

func newStaticLog() *staticLog { return &staticLog{processes: map[ao.ID][]aolog.Entry{}} }

func (l *staticLog) add(entries ...aolog.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, entry := range entries {
		l.processes[entry.Process] = append(l.processes[entry.Process], entry)
	}
	l.order = append(l.order, entries...)
}

func (l *staticLog) of(process ao.ID) []aolog.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.processes[process]
}

func (l *staticLog) Head(_ context.Context, process ao.ID) (aolog.Head, error) {
	entries := l.of(process)
	if len(entries) == 0 {
		return aolog.Head{}, aolog.ErrProcessUnknown
	}
	last := entries[len(entries)-1]
	return aolog.Head{Process: process, Nonce: last.Nonce, Assignment: last.ID, HashChain: last.HashChain, TimestampMS: last.TimestampMS, PromisedMS: l.promised}, nil
}

func (l *staticLog) Read(_ context.Context, process ao.ID, nonce uint64) (aolog.Entry, error) {
	entries := l.of(process)
	if nonce >= uint64(len(entries)) {
		return aolog.Entry{}, aolog.ErrEntryUnknown
	}
	return entries[nonce], nil
}

func (l *staticLog) Range(_ context.Context, process ao.ID, from, to uint64, fn func(aolog.Entry) error) error {
	for _, entry := range l.of(process) {
		if entry.Nonce >= from && entry.Nonce <= to {
			if err := fn(entry); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *staticLog) Find(_ context.Context, process, id ao.ID) (uint64, error) {
	for _, entry := range l.of(process) {
		if entry.ID == id || messageID(entry) == id {
			return entry.Nonce, nil
		}
	}
	return 0, aolog.ErrEntryUnknown
}

func (l *staticLog) NonceAfter(_ context.Context, process ao.ID, timestampMS int64) (uint64, error) {
	entries := l.of(process)
	return uint64(sort.Search(len(entries), func(i int) bool { return entries[i].TimestampMS > timestampMS })), nil
}

func (l *staticLog) Skips(context.Context, ao.ID, uint64) ([]aolog.Skip, error) { return nil, nil }

func (l *staticLog) Watches(context.Context, ao.ID) ([]aolog.Watch, error) { return nil, nil }

func (l *staticLog) Groups() []uint32 { return []uint32{0} }

func (l *staticLog) Follow(ctx context.Context, _ uint32, after aolog.Position, fn func(aolog.Position, aolog.Entry) error) error {
	l.mu.Lock()
	order := l.order
	l.mu.Unlock()
	for i := after.Index; i < uint64(len(order)); i++ {
		if err := fn(aolog.Position{Index: i + 1, Offset: 1}, order[i]); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return ctx.Err()
}

// moduleMap is a ModuleSource.
type moduleMap map[ao.ID]Module

func (m moduleMap) Module(_ context.Context, id ao.ID) (Module, error) {
	if module, ok := m[id]; ok {
		return module, nil
	}
	return Module{}, ao.Errorf(ao.CodeNotFound, "module %s is not published", id)
}

func openDB(tb testing.TB, dir string) *badger.DB {
	tb.Helper()
	db, err := openDBAt(dir)
	if err != nil {
		tb.Fatal(err)
	}
	return db
}

func openDBAt(dir string) (*badger.DB, error) {
	db, err := kv.Open(badger.DefaultOptions(dir).WithMemTableSize(8<<20).WithValueLogFileSize(1<<20).WithDetectConflicts(false), nil)
	if err != nil {
		return nil, err
	}
	return db.DB, nil
}

// lateModules is a ModuleSource whose module is published at some time.
type lateModules struct{ published atomic.Bool }

func (m *lateModules) Module(_ context.Context, id ao.ID) (Module, error) {
	if !m.published.Load() {
		return Module{}, ao.Errorf(ao.CodeNotFound, "module %s is not published", id)
	}
	return Module{ID: id, Tags: testTags}, nil
}

// ticking is a clock that moves when it is read.
type ticking = atomic.Int64

func decode(t *testing.T, text []byte, into any) {
	t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

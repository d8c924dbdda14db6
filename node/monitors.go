package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/ao"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// monitors remembers which processes somebody wants to be monitored. It is the
// seam for crons, which this node does not run yet.
type monitors struct{ state *badger.DB }

var _ aohttp.Monitors = monitors{}

func monitorKey(process ao.ID) []byte { return append([]byte("monitor/"), process[:]...) }

// Add remembers a process.
func (m monitors) Add(_ context.Context, process ao.ID) error {
	return m.change(process, func(txn *badger.Txn, known bool) error {
		if known {
			return ao.Errorf(ao.CodeConflict, "Process already being monitored")
		}
		return txn.Set(monitorKey(process), nil)
	})
}

// Remove forgets a process.
func (m monitors) Remove(_ context.Context, process ao.ID) error {
	return m.change(process, func(txn *badger.Txn, known bool) error {
		if !known {
			return ao.Errorf(ao.CodeNotFound, "Process monitor not found")
		}
		return txn.Delete(monitorKey(process))
	})
}

func (m monitors) change(process ao.ID, fn func(txn *badger.Txn, known bool) error) error {
	err := m.state.Update(func(txn *badger.Txn) error {
		_, err := txn.Get(monitorKey(process))
		if err != nil && !errors.Is(err, badger.ErrKeyNotFound) {
			return err
		}
		return fn(txn, err == nil)
	})
	if _, refused := errors.AsType[*ao.Error](err); err != nil && !refused {
		return fmt.Errorf("note monitor of %s: %w", process, err)
	}
	return err
}

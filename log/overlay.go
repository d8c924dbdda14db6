package log

import (
	"errors"
	"fmt"
	"sync"

	"github.com/wallaby-ao/wallaby/internal/kv"
)

// overlay holds what is on its way into the index's store. Applying a batch does
// not wait for the store, whose pages may wait for a flush of the log; nothing
// is lost with it, for all of it is in the ledger.
type overlay struct {
	db     *kv.DB
	done   chan struct{}
	marker *marker

	mu struct {
		sync.RWMutex
		changed *sync.Cond // active has grown, or was taken, or writing has ended
		// active is what came last, flushing what is being written now.
		active, flushing map[string][]byte
		failed           error
		closed           bool
	}
}

// overlayKeysMax bounds what is on its way; who adds more waits.
const overlayKeysMax = 1 << 16

func newOverlay(db *kv.DB) *overlay {
	o := &overlay{db: db, done: make(chan struct{})}
	o.mu.changed = sync.NewCond(&o.mu.RWMutex)
	o.mu.active = map[string][]byte{}
	return o
}

// start begins to write what is put.
func (o *overlay) start(m *marker) {
	o.marker = m
	go o.run()
}

// number is the newest mark's, before anything is put.
func (o *overlay) number() uint64 { return o.marker.newest.Number }

// put adds keys at once: readers see all of them or none. A nil value takes the
// key away.
func (o *overlay) put(add func(set func(key, value []byte))) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.mu.active) > overlayKeysMax && o.mu.failed == nil && !o.mu.closed {
		o.mu.changed.Wait()
	}
	if o.mu.failed != nil {
		return o.mu.failed
	}
	if o.mu.closed {
		return ErrClosed
	}
	add(func(key, value []byte) { o.mu.active[string(key)] = value })
	o.mu.changed.Broadcast()
	return nil
}

func (o *overlay) get(key []byte) (value []byte, ok bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if value, ok = o.mu.active[string(key)]; !ok {
		value, ok = o.mu.flushing[string(key)]
	}
	return value, ok
}

// drain waits until what was put before is in the store.
func (o *overlay) drain() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for (len(o.mu.active) > 0 || o.mu.flushing != nil) && o.mu.failed == nil {
		o.mu.changed.Wait()
	}
	return o.mu.failed
}

// close writes what is left.
func (o *overlay) close() error {
	o.mu.Lock()
	o.mu.closed = true
	o.mu.changed.Broadcast()
	o.mu.Unlock()
	<-o.done
	return o.mu.failed
}

// run writes what came while the write before was at work, so that a slow store
// makes batches larger and not waits longer.
func (o *overlay) run() {
	defer close(o.done)
	for {
		o.mu.Lock()
		for len(o.mu.active) == 0 && !o.mu.closed {
			o.mu.changed.Wait()
		}
		if len(o.mu.active) == 0 {
			o.mu.Unlock()
			return
		}
		o.mu.flushing, o.mu.active = o.mu.active, map[string][]byte{}
		writing := o.mu.flushing
		o.mu.Unlock()
		err := o.write(writing)
		o.mu.Lock()
		if err != nil {
			// What could not be written stays readable: the node is told, and stops.
			o.mu.failed = fmt.Errorf("index entries: %w", err)
			o.db.Report(o.mu.failed)
		} else {
			o.mu.flushing = nil
		}
		o.mu.changed.Broadcast()
		o.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// write stores keys; how far groups are applied comes last, so that a crash in
// between leaves no gap.
func (o *overlay) write(keys map[string][]byte) error {
	batch := o.db.NewWriteBatch()
	defer batch.Cancel()
	var errs []error
	for _, applied := range []bool{false, true} {
		for key, value := range keys {
			if (key[0] == keyApplied) == applied {
				o.marker.note([]byte(key), value)
				if value == nil {
					errs = append(errs, batch.Delete([]byte(key)))
					continue
				}
				errs = append(errs, batch.Set([]byte(key), value))
			}
		}
	}
	if key, value, due := o.marker.next(); due {
		errs = append(errs, batch.Set(key, value))
	}
	return errors.Join(append(errs, batch.Flush())...)
}

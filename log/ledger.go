package log

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// LedgerOptions says where a ledger keeps its segments.
type LedgerOptions struct {
	Dir string
	FS  fsx.FS // default the real file system
	// SegmentBytes is the size of a segment file; default SegmentBytes.
	SegmentBytes int64
	// QueueMax is how many appends may wait for the writer; default 1024.
	QueueMax int
	// Fatal is told of an error after which the node must stop: what is on disk
	// is no longer known.
	Fatal func(error)
	// Warn is told of damage that was mended.
	Warn func(string)
}

// Location is where a record's payload begins.
type Location struct {
	Segment uint32
	Offset  int64
}

// Ledger is the append-only store of a node: all groups share its segments and
// its one writer, which makes everything that waits durable with one flush.
type Ledger struct {
	options LedgerOptions
	queue   chan appendRequest
	stop    chan struct{}
	done    chan struct{}

	// The writer alone uses these.
	active   *segment
	end      int64
	link     chain
	sealed   []sealEntry // records of the active segment, for its footer
	tip      *tipSlots   // of the tip file
	durable  tip         // everything up to here is
	tipDirty bool        // the segment's own tip says less
	// tipFlushed gives the outcome of the flush that is under way of a tip alone;
	// nil when there is none.
	tipFlushed chan error
	buffer     []byte
	shared     bool // the commit before was of several requests

	mu struct {
		sync.RWMutex
		segments map[uint32]*segment
		groups   map[uint32]*groupIndex
		failed   error
		closed   bool
	}
}

type appendRequest struct {
	records []Record
	digests []digest // of the records' payloads
	done    chan error
}

// groupIndex finds the records of one group: at[i] holds index first+i.
type groupIndex struct {
	first uint64
	at    []Location
}

func (g *groupIndex) last() uint64 { return g.first + uint64(len(g.at)) - 1 }

// Append makes records durable, in order, and returns then. Records of one call
// are never mixed with those of another.
func (l *Ledger) Append(records ...Record) error {
	request := appendRequest{records: records, digests: make([]digest, len(records)), done: make(chan error, 1)}
	for i, r := range records {
		if len(r.Payload) > PayloadBytesMax {
			return fmt.Errorf("a record of %d bytes, at most %d are allowed", len(r.Payload), PayloadBytesMax)
		}
		request.digests[i] = digestOf(r.Payload)
	}
	select {
	case l.queue <- request:
	case <-l.done:
		return l.stopped()
	}
	select {
	case err := <-request.done:
		return err
	case <-l.done:
		// The writer may have answered just before it stopped.
		select {
		case err := <-request.done:
			return err
		default:
			return l.stopped()
		}
	}
}

func (l *Ledger) stopped() error {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.mu.failed != nil {
		return l.mu.failed
	}
	return ErrClosed
}

// tipDelay is how long the tip of the newest commit waits for the next commit to
// flush it in passing.
const tipDelay = 2 * time.Millisecond

// lingerMax is how long a commit waits for more to write when the one before had
// several requests.
const lingerMax = 300 * time.Microsecond

// batchBytesMax bounds how much one flush writes, so that nobody waits behind
// an endless batch.
const batchBytesMax = 8 << 20

// run is the writer: take all that waits, write it, flush once, tell them.
func (l *Ledger) run() {
	defer close(l.done)
	defer func() { _ = l.tipFlush() }() // after a failure nobody asks
	for {
		var idle <-chan time.Time
		if l.tipDirty && l.tipFlushed == nil {
			idle = time.After(tipDelay)
		}
		select {
		case request := <-l.queue:
			if err := l.commit(l.gather(request)); err != nil {
				l.fail(err)
				return
			}
		case <-idle:
			if err := l.flushTip(); err != nil {
				l.fail(err)
				return
			}
		case err := <-l.tipFlushed:
			if l.tipFlushed = nil; err != nil {
				l.fail(err)
				return
			}
		case <-l.stop:
			if err := l.finish(); err != nil {
				l.fail(err)
			}
			return
		}
	}
}

func (l *Ledger) gather(first appendRequest) []appendRequest {
	batch := []appendRequest{first}
	size := requestBytes(first)
	take := func(request appendRequest) bool {
		batch = append(batch, request)
		size += requestBytes(request)
		return size < batchBytesMax
	}
	var late <-chan time.Time
	for {
		select {
		case request := <-l.queue:
			if !take(request) {
				l.shared = true
				return batch
			}
			continue
		default:
		}
		if !l.shared {
			l.shared = len(batch) > 1
			return batch
		}
		// Where several groups write, one is often a moment behind another: a flush
		// for both costs half as much as one for each.
		if late == nil {
			late = time.After(lingerMax)
		}
		select {
		case request := <-l.queue:
			if !take(request) {
				return batch
			}
		case <-late:
			l.shared = len(batch) > 1
			return batch
		}
	}
}

func requestBytes(request appendRequest) (size int64) {
	for _, r := range request.records {
		size += paddedBytes(len(r.Payload))
	}
	return size
}

// commit writes and flushes a batch. Any error is fatal: after a failed write
// or flush nobody knows what the disk holds.
func (l *Ledger) commit(batch []appendRequest) error {
	if batch = l.withoutGaps(batch); len(batch) == 0 {
		return nil
	}
	var size int64
	for _, request := range batch {
		size += requestBytes(request)
	}
	if l.end+size > l.options.SegmentBytes && l.end > segmentHeaderBytes {
		if err := l.roll(size); err != nil {
			return answer(batch, err)
		}
	}
	placed := make([]placedRecord, 0, len(batch))
	l.buffer = l.buffer[:0]
	for _, request := range batch {
		for i, r := range request.records {
			at := Location{Segment: l.active.number, Offset: l.end + int64(len(l.buffer)) + recordHeaderBytes}
			l.buffer, l.link = appendRecord(l.buffer, l.link, r, request.digests[i])
			placed = append(placed, placedRecord{r, at})
		}
	}
	if _, err := l.active.file.WriteAt(l.buffer, l.end); err != nil {
		return answer(batch, fmt.Errorf("write segment %s: %w", l.active.path, err))
	}
	l.end += int64(len(l.buffer))
	if err := l.flush(); err != nil {
		return answer(batch, err)
	}
	l.place(placed)
	for _, p := range placed {
		l.sealed = append(l.sealed, sealEntryOf(p.record, p.at))
	}
	return answer(batch, nil)
}

// withoutGaps refuses requests whose first record of a group lies beyond the
// next index: only a caller's mistake makes such a one, and stored it would read
// as a lost record.
func (l *Ledger) withoutGaps(batch []appendRequest) []appendRequest {
	next := map[uint32]uint64{}
	fits := batch[:0]
	for _, request := range batch {
		if err := l.checkGaps(next, request.records); err != nil {
			request.done <- err
			continue
		}
		fits = append(fits, request)
	}
	return fits
}

func (l *Ledger) checkGaps(next map[uint32]uint64, records []Record) error {
	for _, r := range records {
		if r.Kind != RecordRaft && r.Kind != RecordTruncate {
			return fmt.Errorf("a record of kind %d cannot be appended", r.Kind)
		}
		expected, ok := next[r.Group]
		if !ok {
			if _, last := l.Bounds(r.Group); last > 0 {
				expected, ok = last+1, true
			}
		}
		if ok && r.Index > expected {
			return fmt.Errorf("record %d of group %d where %d follows", r.Index, r.Group, expected)
		}
		next[r.Group] = r.Index
		if r.Kind == RecordRaft {
			next[r.Group]++
		}
	}
	return nil
}

type placedRecord struct {
	record Record
	at     Location
}

func answer(batch []appendRequest, err error) error {
	for _, request := range batch {
		request.done <- err
	}
	return err
}

// flush makes the active segment durable, and with it the tip of the commit
// before. So after a power cut the tip may be one commit late, and guards all but
// that one: a tip that became durable before its records would condemn a good log,
// and a flush of its own before the answer would double every client's wait.
func (l *Ledger) flush() error {
	if l.tipDirty {
		if err := l.active.tip.write(l.durable); err != nil {
			return err
		}
	}
	if err := l.active.file.Sync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", l.active.path, err)
	}
	l.tipDirty = l.durable != l.reached()
	l.durable = l.reached()
	return nil
}

// flushTip makes the tip durable while nothing else is to be. Commits do not wait
// for it.
func (l *Ledger) flushTip() error {
	if err := l.active.tip.write(l.durable); err != nil {
		return err
	}
	l.tipDirty = false
	s, done := l.active, make(chan error, 1)
	l.tipFlushed = done
	go func() {
		err := s.file.Sync()
		if err != nil {
			err = fmt.Errorf("flush segment %s: %w", s.path, err)
		}
		done <- err
	}()
	return nil
}

// tipFlush waits for the flush of a tip alone, if there is one.
func (l *Ledger) tipFlush() error {
	if l.tipFlushed == nil {
		return nil
	}
	err := <-l.tipFlushed
	l.tipFlushed = nil
	return err
}

// reached is the tip of what is written.
func (l *Ledger) reached() tip { return tip{Segment: l.active.number, End: l.end, Chain: l.link} }

// place makes records readable.
func (l *Ledger) place(records []placedRecord) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range records {
		l.placeLocked(p.record, p.at)
	}
}

func (l *Ledger) placeLocked(r Record, at Location) {
	g := l.mu.groups[r.Group]
	if g == nil {
		g = &groupIndex{first: r.Index}
		l.mu.groups[r.Group] = g
	}
	switch r.Kind {
	case RecordTruncate:
		if r.Index >= g.first && r.Index <= g.last() {
			g.at = g.at[:r.Index-g.first]
		}
	case RecordRaft:
		if len(g.at) == 0 {
			g.first = r.Index
		}
		// A new leader may write over an index; what followed is void.
		if r.Index >= g.first && r.Index-g.first < uint64(len(g.at)) {
			g.at = g.at[:r.Index-g.first]
		}
		g.at = append(g.at, at)
	}
}

// fail stops the ledger for good and tells its owner.
func (l *Ledger) fail(err error) {
	l.mu.Lock()
	l.mu.failed = err
	l.mu.Unlock()
	l.options.Fatal(err)
}

// Close flushes and closes everything; appends in the queue are answered first
// or told that the ledger is closed.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.mu.closed {
		l.mu.Unlock()
		return nil
	}
	l.mu.closed = true
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	var errs []error
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.mu.failed != nil {
		errs = append(errs, l.mu.failed)
	}
	for _, s := range l.mu.segments {
		errs = append(errs, s.file.Close())
	}
	errs = append(errs, l.tip.file.Close())
	return errors.Join(errs...)
}

// finish leaves all tips whole and equal.
func (l *Ledger) finish() error {
	if err := l.tipFlush(); err != nil {
		return err
	}
	if err := l.active.file.Sync(); err != nil {
		return fmt.Errorf("flush segment %s: %w", l.active.path, err)
	}
	if err := l.active.tip.set(l.reached()); err != nil {
		return err
	}
	return l.tip.set(l.reached())
}

package log

import (
	"errors"
	"fmt"
	"sync"

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
	tip      *tipFile
	tipDirty bool
	buffer   []byte

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
	for _, r := range records {
		if len(r.Payload) > PayloadBytesMax {
			return fmt.Errorf("a record of %d bytes, at most %d are allowed", len(r.Payload), PayloadBytesMax)
		}
	}
	request := appendRequest{records: records, done: make(chan error, 1)}
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

// batchBytesMax bounds how much one flush writes, so that nobody waits behind
// an endless batch.
const batchBytesMax = 8 << 20

// run is the writer: take all that waits, write it, flush once, tell them.
func (l *Ledger) run() {
	defer close(l.done)
	for {
		select {
		case request := <-l.queue:
			if err := l.commit(l.gather(request)); err != nil {
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
	for size < batchBytesMax {
		select {
		case request := <-l.queue:
			batch = append(batch, request)
			size += requestBytes(request)
		default:
			return batch
		}
	}
	return batch
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
		for _, r := range request.records {
			at := Location{Segment: l.active.number, Offset: l.end + int64(len(l.buffer)) + recordHeaderBytes}
			l.buffer, l.link = appendRecord(l.buffer, l.link, r)
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
	if err := l.noteTip(); err != nil {
		return answer(batch, err)
	}
	l.place(placed)
	for _, p := range placed {
		l.sealed = append(l.sealed, sealEntryOf(p.record, p.at))
	}
	return answer(batch, nil)
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

// flush makes the active segment durable and, beside it, the tip of the commit
// before: two flushes at once cost little more than one.
func (l *Ledger) flush() error {
	var (
		wait   sync.WaitGroup
		tipErr error
	)
	if l.tipDirty {
		wait.Go(func() { tipErr = l.tip.file.Sync() })
	}
	err := l.active.file.Sync()
	wait.Wait()
	if err != nil {
		return fmt.Errorf("flush segment %s: %w", l.active.path, err)
	}
	if tipErr != nil {
		return fmt.Errorf("flush tip file %s: %w", l.tip.path, tipErr)
	}
	l.tipDirty = false
	return nil
}

// noteTip records that everything up to the end is durable. It is itself
// flushed with the next commit or at the end: a tip that is one commit late
// guards all but that commit, and one that is early would condemn a good log.
func (l *Ledger) noteTip() error {
	l.tipDirty = true
	return l.tip.write(tip{Segment: l.active.number, End: l.end, Chain: l.link})
}

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

// Bounds gives the first and last index of a group; 0, 0 when it has none.
func (l *Ledger) Bounds(group uint32) (first, last uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	g := l.mu.groups[group]
	if g == nil || len(g.at) == 0 {
		return 0, 0
	}
	return g.first, g.last()
}

// Locate gives the place of a group's record, or false.
func (l *Ledger) Locate(group uint32, index uint64) (Location, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	g := l.mu.groups[group]
	if g == nil || index < g.first || index-g.first >= uint64(len(g.at)) {
		return Location{}, false
	}
	return g.at[index-g.first], true
}

// Record reads a group's record and checks it.
func (l *Ledger) Record(group uint32, index uint64) (Record, Location, error) {
	at, ok := l.Locate(group, index)
	if !ok {
		return Record{}, at, ErrEntryUnknown
	}
	s, err := l.segment(at.Segment)
	if err != nil {
		return Record{}, at, err
	}
	r, _, _, ok, err := s.readRecord(at.Offset - recordHeaderBytes)
	if err != nil {
		return r, at, err
	}
	if !ok || r.Group != group || r.Index != index {
		return r, at, s.corrupt(at.Offset-recordHeaderBytes, "record %d of group %d is damaged", index, group)
	}
	return r, at, nil
}

// ReadAt reads length bytes of a payload. The caller checks them.
func (l *Ledger) ReadAt(at Location, length int) ([]byte, error) {
	s, err := l.segment(at.Segment)
	if err != nil {
		return nil, err
	}
	b := make([]byte, length)
	if _, err := s.file.ReadAt(b, at.Offset); err != nil {
		return nil, s.corrupt(at.Offset, "%d bytes cannot be read: %v", length, err)
	}
	return b, nil
}

// SegmentPath names the file behind a location, for error messages.
func (l *Ledger) SegmentPath(at Location) string { return segmentPath(l.options.Dir, at.Segment) }

func (l *Ledger) segment(number uint32) (*segment, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.mu.closed {
		return nil, ErrClosed
	}
	s := l.mu.segments[number]
	if s == nil {
		return nil, fmt.Errorf("%w: segment %s is gone", ErrCorrupt, segmentPath(l.options.Dir, number))
	}
	return s, nil
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

// finish leaves both slots of the tip file whole and equal.
func (l *Ledger) finish() error {
	for range 2 {
		if err := l.noteTip(); err != nil {
			return err
		}
	}
	return l.flush()
}

package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/internal/fsx"
)

// OpenLedger opens or makes a ledger. A ledger that is shorter than its tip, or
// damaged before it, is refused with an error that wraps ErrCorrupt and names
// the file; a record that was cut off by a crash before anybody was told of it
// is dropped.
func OpenLedger(options LedgerOptions) (*Ledger, error) {
	if options.FS == nil {
		options.FS = fsx.OS{}
	}
	if options.SegmentBytes == 0 {
		options.SegmentBytes = SegmentBytes
	}
	if options.QueueMax == 0 {
		options.QueueMax = 1024
	}
	if options.Fatal == nil {
		options.Fatal = func(error) {}
	}
	if options.Warn == nil {
		options.Warn = func(string) {}
	}
	l := &Ledger{
		options: options,
		queue:   make(chan appendRequest, options.QueueMax),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	l.mu.segments = map[uint32]*segment{}
	l.mu.groups = map[uint32]*groupIndex{}
	if err := options.FS.MkdirAll(options.Dir); err != nil {
		return nil, fmt.Errorf("make log directory: %w", err)
	}
	if err := l.recover(); err != nil {
		for _, s := range l.mu.segments {
			s.file.Close()
		}
		if l.tip != nil && l.tip.file != nil {
			l.tip.file.Close()
		}
		return nil, err
	}
	go l.run()
	return l, nil
}

func (l *Ledger) recover() error {
	numbers, err := l.segmentNumbers()
	if err != nil {
		return err
	}
	tipFile, newest, found, err := openTip(l.options.FS, l.options.Dir)
	if err != nil {
		return err
	}
	l.tip = tipFile
	if !found && l.isUnborn(numbers) {
		numbers = nil
	}
	if len(numbers) == 0 {
		if found {
			return fmt.Errorf("%w: the log in %s must reach segment %08x and there is no segment: put the files back, or start with a new data directory", ErrCorrupt, l.options.Dir, newest.Segment)
		}
		if err := l.startSegment(1, chain{}, 0); err != nil {
			return err
		}
		l.durable = l.reached()
		return l.tip.create(l.options.FS, l.options.Dir, l.durable)
	}
	if !found && !l.isFresh(numbers) {
		return fmt.Errorf("%w: the tip file of %s is gone, so nobody can tell whether the log is whole: put it back from a copy", ErrCorrupt, l.options.Dir)
	}
	numbers = l.withoutUnborn(numbers, newest)
	if newest, err = l.newestTip(numbers[len(numbers)-1], newest); err != nil {
		return err
	}
	for i, number := range numbers {
		if err := l.recoverSegment(number, i == len(numbers)-1, newest); err != nil {
			return err
		}
	}
	if !found {
		l.durable = l.reached()
		return l.tip.create(l.options.FS, l.options.Dir, l.durable)
	}
	if newest.Segment > l.active.number {
		return l.active.corrupt(l.end, "the log must reach segment %08x, which is gone", newest.Segment)
	}
	// All slots are made whole again at once, so that one more fault is survived.
	l.durable = l.reached()
	return l.finish()
}

// newestTip gives the greater of the tip file's tip and that of the last segment.
func (l *Ledger) newestTip(last uint32, known tip) (tip, error) {
	s, err := openSegment(l.options.FS, l.options.Dir, last)
	if err != nil {
		return known, err
	}
	defer s.file.Close()
	own, err := s.tip.read()
	if err != nil {
		return known, err
	}
	if own.Segment != last {
		return known, s.corrupt(s.tip.base, "its tip is of segment %08x", own.Segment)
	}
	if own.after(known) {
		return own, nil
	}
	return known, nil
}

// withoutUnborn leaves out a last segment whose header a crash kept from being
// written: nothing can be in it, and starting it again makes it whole.
func (l *Ledger) withoutUnborn(numbers []uint32, newest tip) []uint32 {
	last := len(numbers) - 1
	if last == 0 || numbers[last] <= newest.Segment {
		return numbers
	}
	s, err := openSegment(l.options.FS, l.options.Dir, numbers[last])
	if err != nil {
		return numbers[:last]
	}
	s.file.Close()
	return numbers
}

// isUnborn reports whether a crash hit while the first segment was made, which has
// no title then and nothing in it.
func (l *Ledger) isUnborn(numbers []uint32) bool {
	if len(numbers) != 1 || numbers[0] != 1 {
		return false
	}
	file, err := l.options.FS.Open(segmentPath(l.options.Dir, 1), false)
	if err != nil {
		return false
	}
	defer file.Close()
	start := make([]byte, segmentHeaderBytes+recordHeaderBytes)
	n, err := file.ReadAt(start, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	title, first := start[:min(n, segmentTitleBytes)], start[min(n, segmentHeaderBytes):n]
	return isZero(title) && isZero(first)
}

func isZero(b []byte) bool { return len(bytes.TrimLeft(b, "\x00")) == 0 }

// isFresh reports whether a crash hit between making the first segment and its
// tip file, which is the only time that a ledger has no tip.
func (l *Ledger) isFresh(numbers []uint32) bool {
	if len(numbers) != 1 || numbers[0] != 1 {
		return false
	}
	s, err := openSegment(l.options.FS, l.options.Dir, 1)
	if err != nil {
		return false
	}
	defer s.file.Close()
	first := make([]byte, recordHeaderBytes)
	if _, err := s.file.ReadAt(first, segmentHeaderBytes); err != nil {
		return false
	}
	return isZero(first)
}

func (l *Ledger) segmentNumbers() ([]uint32, error) {
	names, err := l.options.FS.List(l.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("list log directory: %w", err)
	}
	var numbers []uint32
	for _, name := range names {
		text, ok := strings.CutSuffix(name, ".seg")
		if !ok {
			continue
		}
		number, err := strconv.ParseUint(text, 16, 32)
		if err != nil {
			return nil, fmt.Errorf("%w: %s in %s is not a segment's name", ErrCorrupt, name, l.options.Dir)
		}
		if want := uint32(len(numbers) + 1); uint32(number) != want {
			return nil, fmt.Errorf("%w: segment %s is gone: put it back from a copy", ErrCorrupt, segmentPath(l.options.Dir, want))
		}
		numbers = append(numbers, uint32(number))
	}
	return numbers, nil
}

// recoverSegment reads one segment's records into the index: from its seal when
// it lies wholly behind the tip, record by record otherwise.
func (l *Ledger) recoverSegment(number uint32, isLast bool, newest tip) error {
	s, err := openSegment(l.options.FS, l.options.Dir, number)
	if err != nil {
		return err
	}
	l.mu.segments[number] = s
	if isLast {
		if _, err := s.tip.read(); err != nil {
			return err
		}
	}
	if l.active != nil && s.first != l.link {
		return s.corrupt(0, "it does not continue segment %08x", number-1)
	}
	l.active, l.link, l.end, l.sealed = s, s.first, segmentHeaderBytes, nil
	if !isLast && number < newest.Segment {
		if l.recoverSealed(s) {
			return nil
		}
		l.options.Warn(fmt.Sprintf("segment %s has no readable seal: reading it record by record", s.path))
	}
	sealed, err := l.scan(s, newest)
	if err != nil {
		return err
	}
	if !isLast && !sealed {
		return s.corrupt(l.end, "it ends before its seal although segment %08x follows", number+1)
	}
	if isLast && sealed {
		if newest.Segment > number && newest.End > segmentHeaderBytes {
			return fmt.Errorf("%w: segment %s is gone: put it back from a copy", ErrCorrupt, segmentPath(l.options.Dir, number+1))
		}
		return l.startSegment(number+1, l.link, 0)
	}
	return nil
}

// recoverSealed fills the index from a seal's list.
func (l *Ledger) recoverSealed(s *segment) bool {
	offset, link, ok := s.readTrailer()
	if !ok {
		return false
	}
	r, stored, _, ok, err := s.readRecord(offset)
	if err != nil || !ok || r.Kind != RecordSeal || stored != link {
		return false
	}
	for _, e := range decodeSeal(r.Payload) {
		l.placeLocked(Record{Group: e.group, Kind: e.kind, Index: e.index}, Location{Segment: s.number, Offset: e.offset})
	}
	l.link = link
	return true
}

// scan reads records until the first that is not whole or does not continue the
// chain. Up to the tip that is damage; after it, it is where a crash cut off a
// write nobody was told of.
func (l *Ledger) scan(s *segment, newest tip) (sealed bool, err error) {
	for !sealed {
		if s.number == newest.Segment && l.end == newest.End && l.link != newest.Chain {
			return false, s.corrupt(l.end, "the records up to here are not those that were written last")
		}
		r, stored, end, ok, err := s.readRecord(l.end)
		if err != nil {
			return false, err
		}
		if ok {
			_, link := appendRecord(nil, l.link, r, digestOf(r.Payload))
			ok = link == stored
		}
		if !ok {
			if tipGuard && (s.number < newest.Segment || s.number == newest.Segment && l.end < newest.End) {
				return false, s.corrupt(l.end, "a record is missing or damaged, and the log must reach byte %d of segment %08x: restore the file from a copy, or start with a new data directory", newest.End, newest.Segment)
			}
			return false, nil
		}
		if _, last := l.boundsLocked(r.Group); r.Kind == RecordRaft && last > 0 && r.Index > last+1 {
			return false, s.corrupt(l.end, "record %d of group %d comes after record %d", r.Index, r.Group, last)
		}
		if sealed = r.Kind == RecordSeal; !sealed {
			at := Location{Segment: s.number, Offset: l.end + recordHeaderBytes}
			l.placeLocked(r, at)
			l.sealed = append(l.sealed, sealEntryOf(r, at))
		}
		l.link, l.end = stored, end
	}
	return true, nil
}

package log

import "fmt"

// Bounds gives the first and last index of a group; 0, 0 when it has none.
func (l *Ledger) Bounds(group uint32) (first, last uint64) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.boundsLocked(group)
}

func (l *Ledger) boundsLocked(group uint32) (first, last uint64) {
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

package log

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
)

// Promise is a scheduler's word that no entry to come of a process has a
// timestamp of UntilMS or before. A process's crons see time pass by entries and
// promises alone, so that it passes alike on every node and at every replay.
type Promise struct {
	Process ao.ID `json:"process"`
	// UntilMS may lie ahead: then the promise is for the leader's clock.
	UntilMS int64 `json:"until"`
	// Skip says that crons leave out the time since the newest entry or promise.
	Skip bool `json:"skip,omitempty"`
}

// Skip is time behind a place of a process, FromMS <= t < UntilMS, which its crons
// leave out.
type Skip struct {
	Process ao.ID
	Nonce   uint64
	FromMS  int64
	UntilMS int64
}

// Watch says whether somebody wants what a process's crons send to be delivered
// as their time comes.
type Watch struct {
	Process ao.ID `json:"process"`
	On      bool  `json:"on"`
	// FromMS is the time from which that counts. The leader sets it, and it is a
	// promise, too: of no tick from then on has been decided whether it counts.
	FromMS int64 `json:"from,omitempty"`
}

// Promised gives the head after a promise, which may change nothing.
func (h Head) Promised(p Promise) Head {
	h.PromisedMS = max(h.PromisedMS, p.UntilMS)
	return h
}

// SkipOf gives what a promise has crons leave out behind a head; false for
// nothing.
func (p Promise) SkipOf(h Head) (Skip, bool) {
	s := Skip{p.Process, h.Nonce, max(h.TimestampMS, h.PromisedMS), p.UntilMS}
	return s, p.Skip && s.FromMS < s.UntilMS
}

func skipKey(process ao.ID, nonce uint64, untilMS int64) []byte {
	return key('X', process[:], nonceBytes(nonce), nonceBytes(uint64(untilMS)))
}

func watchKey(process ao.ID) []byte { return key('M', process[:]) }

func pastWatchKey(process ao.ID, fromMS int64) []byte {
	return key('N', process[:], nonceBytes(uint64(fromMS)))
}

func (u Update) putTime(set func(k, v []byte)) {
	for _, s := range u.Skips {
		set(skipKey(s.Process, s.Nonce, s.UntilMS), nonceBytes(uint64(s.FromMS)))
	}
	for _, w := range u.Watches {
		set(watchKey(w.Process), w.encode())
		set(pastWatchKey(w.Process, w.FromMS), w.encode())
	}
	for _, w := range u.LateWatches {
		set(pastWatchKey(w.Process, w.FromMS), w.encode())
	}
}

// encode writes: from u64, on u8.
func (w Watch) encode() []byte {
	b := nonceBytes(uint64(w.FromMS))
	if w.On {
		return append(b, 1)
	}
	return append(b, 0)
}

func decodeWatch(process ao.ID, b []byte) (w Watch, err error) {
	if len(b) != 9 {
		return w, fmt.Errorf("%w: a watch of %d bytes in the log index", ErrCorrupt, len(b))
	}
	return Watch{Process: process, FromMS: int64(binary.BigEndian.Uint64(b)), On: b[8] == 1}, nil
}

// Skips lists the time behind a place of a process that its crons leave out, in
// order.
func (x *Index) Skips(process ao.ID, nonce uint64) (list []Skip, err error) {
	prefix := key('X', process[:], nonceBytes(nonce))
	err = x.scan(prefix, nil, func(k, value []byte) (bool, error) {
		if len(k) != len(prefix)+8 || len(value) != 8 {
			return false, fmt.Errorf("%w: a skip in the log index", ErrCorrupt)
		}
		list = append(list, Skip{
			process, nonce, int64(binary.BigEndian.Uint64(value)), int64(binary.BigEndian.Uint64(k[len(prefix):])),
		})
		return true, nil
	})
	return list, err
}

// Watch gives what was said last about a process; nothing said means no.
func (x *Index) Watch(process ao.ID) (Watch, error) {
	b, err := x.get(watchKey(process))
	if errors.Is(err, ErrEntryUnknown) {
		return Watch{Process: process}, nil
	}
	if err != nil {
		return Watch{}, err
	}
	w, err := decodeWatch(process, b)
	return w, x.broken(err)
}

// Watches lists all that was said about a process, in order of time.
func (x *Index) Watches(process ao.ID) (list []Watch, err error) {
	err = x.scan(key('N', process[:]), nil, func(_, value []byte) (bool, error) {
		w, err := decodeWatch(process, value)
		list = append(list, w)
		return true, err
	})
	return list, err
}

// Watched lists the processes that are watched, in order of id, after the given
// one, at most limit.
func (x *Index) Watched(after ao.ID, limit int) (list []ao.ID, err error) {
	err = x.scan([]byte{'M'}, watchKey(after), func(k, value []byte) (bool, error) {
		var process ao.ID
		copy(process[:], k[1:])
		w, err := decodeWatch(process, value)
		if w.On && process != after {
			list = append(list, process)
		}
		return len(list) < limit, err
	})
	return list, err
}

package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/lsm"
)

// Index finds entries: by process and nonce, and by message and assignment id.
// All it holds is derived from the ledger: a crash leaves what it was after some
// put, and it is put in again from there on, or from the beginning when it is lost.
//
// Keys, each beginning with a letter:
//
//	E process nonce  → place of the entry, timestamp
//	H process        → ordering: the newest epoch of which all before is here
//	G process group  → ordering of that group, where it is not the one under H
//	W group process  → opening: the group goes on with a process sealed elsewhere
//	T process epoch  → opening that began the epoch
//	U process epoch  → ordering at which the epoch was sealed
//	S voters shard   → shard: where it was moved to
//	K process nonce  → attestations of the hash chain at that nonce
//	X process nonce until → from: time behind the nonce that crons leave out
//	M process        → watch: whether its crons are driven
//	N process from   → watch: what was said about that, and from when it counts
//	I process id     → nonce; id is a dedupe key that L does not hold with that
//	                   process: of a bare assignment, or of what a push says
//	L id             → process, nonce of the entry that holds the item or the
//	                   assignment with that id
//	B id             → process, nonce of the first bare assignment of that id
//	A group          → Raft index applied last
type Index struct {
	store *lsm.Store
	// damage is told of what must not happen with whole files.
	damage func(error)
}

// Place is where the bytes of an entry are.
type Place struct {
	Location
	Length      uint32
	TimestampMS int64
}

func key(kind byte, parts ...[]byte) []byte {
	return appendKey(make([]byte, 0, 80), kind, parts...)
}

func appendKey(k []byte, kind byte, parts ...[]byte) []byte {
	k = append(k, kind)
	for _, part := range parts {
		k = append(k, part...)
	}
	return k
}

func nonceBytes(nonce uint64) []byte { return binary.BigEndian.AppendUint64(nil, nonce) }

// Indexed is an entry with its place, ready to be put into the index.
type Indexed struct {
	Entry Entry
	Place Place
	Keys  []ao.ID // dedupe keys
}

// Update is what one Raft index changes.
type Update struct {
	Entries []Indexed
	// Newest are orderings of which all before is here, Apart those of which it
	// is not, or which another group's have followed.
	Newest, Apart []Ordering
	// Sealed are orderings at the end of their epochs.
	Sealed []Ordering
	// Waiting are openings that a group must make; Opened were made.
	Waiting, Opened []Opening
	Shards          []Shard
	Attested        []Attested
	Skips           []Skip
	// Watches are the newest of their processes; later ones are known of those of
	// LateWatches.
	Watches, LateWatches []Watch
}

// Put adds what one Raft index changes and notes that the group is applied up to
// there, all at once.
func (x *Index) Put(group uint32, index uint64, u Update) error {
	// A bare assignment of an item keeps the first place.
	var first map[ao.ID]int
	for i, e := range u.Entries {
		if !e.Entry.IsBare() {
			continue
		}
		if _, again := first[e.Entry.Message]; !again && !x.has(key('B', e.Entry.Message[:])) {
			if first == nil {
				first = map[ao.ID]int{}
			}
			first[e.Entry.Message] = i
		}
	}
	return wrapStore(x.store.Put(func(set func(k, v []byte)) {
		for i, e := range u.Entries {
			at, ok := first[e.Entry.Message]
			putEntry(set, e, ok && at == i)
		}
		u.putOrderings(set)
		u.putTime(set)
		for _, s := range u.Shards {
			set(shardKey(s.Voters, s.Number), s.encode())
		}
		for _, a := range u.Attested {
			set(key('K', a.Process[:], nonceBytes(a.Nonce)), a.encode())
		}
		set(groupKey(group), binary.BigEndian.AppendUint64(nil, index))
	}))
}

func putEntry(set func(k, v []byte), e Indexed, firstBare bool) {
	// The store copies what it is given, so that all keys are made in one place.
	var memory [72 + 40]byte
	place := append(memory[72:72], e.Entry.Process[:]...)
	place = binary.BigEndian.AppendUint64(place, e.Entry.Nonce)
	process, nonce := place[:32], place[32:]
	var placed [placeBytes]byte
	set(appendKey(memory[:0], 'E', place), e.Place.appendTo(placed[:0]))
	for _, id := range ownKeys(e.Entry, e.Keys) {
		set(appendKey(memory[:0], 'I', process, id[:]), nonce)
	}
	set(appendKey(memory[:0], 'L', e.Entry.ID[:]), place)
	// A bare assignment must not hide where the message itself is, which may be
	// in another group and be indexed later.
	if id := messageOrProcess(e.Entry); !e.Entry.IsBare() {
		set(appendKey(memory[:0], 'L', id[:]), place)
	} else if firstBare {
		set(appendKey(memory[:0], 'B', id[:]), place)
	}
}

// ownKeys are the dedupe keys of an entry under which it is not located anyway.
func ownKeys(e Entry, keys []ao.ID) []ao.ID {
	if len(keys) > 0 && !e.IsBare() {
		return keys[1:] // the first is the id of the item
	}
	return keys
}

func messageOrProcess(e Entry) ao.ID {
	if e.Message.IsZero() {
		return e.Process
	}
	return e.Message
}

// keyApplied begins the keys that say how far groups are applied.
const keyApplied = 'A'

func groupKey(group uint32) []byte { return binary.BigEndian.AppendUint32([]byte{keyApplied}, group) }

// Applied gives the Raft index that the index holds a group up to.
func (x *Index) Applied(group uint32) (uint64, error) {
	b, err := x.get(groupKey(group))
	if errors.Is(err, ErrEntryUnknown) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// Place gives where an entry is, or ErrEntryUnknown.
func (x *Index) Place(process ao.ID, nonce uint64) (Place, error) {
	b, err := x.get(key('E', process[:], nonceBytes(nonce)))
	if err != nil {
		return Place{}, err
	}
	place, err := decodePlace(b)
	return place, x.broken(err)
}

// Places gives the places of nonces from..to, in order, at most limit.
func (x *Index) Places(process ao.ID, from, to uint64, limit int) ([]Place, error) {
	var places []Place
	gap := false
	err := x.store.ScanTables(key('E', process[:]), key('E', process[:], nonceBytes(from)), func(k, v []byte) (bool, error) {
		nonce := binary.BigEndian.Uint64(k[33:])
		if nonce > to || len(places) == limit {
			return false, nil
		}
		// One that another group ordered may have been put later, and be in memory.
		if gap = nonce != from+uint64(len(places)); gap {
			return false, nil
		}
		place, err := decodePlace(v)
		places = append(places, place)
		return true, err
	})
	if err != nil {
		return nil, x.broken(fmt.Errorf("list entries of %s: %w", process, wrapStore(err)))
	}
	// The newest may be in memory.
	for next := from + uint64(len(places)); next <= to && len(places) < limit; next++ {
		place, err := x.Place(process, next)
		if errors.Is(err, ErrEntryUnknown) {
			if gap {
				return nil, x.broken(fmt.Errorf("%w: the index of process %s lacks nonce %d", ErrCorrupt, process, next))
			}
			break
		}
		if err != nil {
			return nil, err
		}
		places = append(places, place)
	}
	return places, nil
}

// Find gives the nonce of an id or dedupe key within a process.
func (x *Index) Find(process, id ao.ID) (uint64, error) {
	b, err := x.get(key('L', id[:]))
	if err == nil && bytes.Equal(b[:len(process)], process[:]) {
		return binary.BigEndian.Uint64(b[len(process):]), nil
	}
	if err != nil && !errors.Is(err, ErrEntryUnknown) {
		return 0, err
	}
	b, err = x.get(key('I', process[:], id[:]))
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint64(b), nil
}

// Locate gives the process and nonce of an id: of the item itself if it is
// here, else of its first bare assignment.
func (x *Index) Locate(id ao.ID) (process ao.ID, nonce uint64, err error) {
	b, err := x.get(key('L', id[:]))
	if errors.Is(err, ErrEntryUnknown) {
		b, err = x.get(key('B', id[:]))
	}
	if err != nil {
		return process, 0, err
	}
	copy(process[:], b)
	return process, binary.BigEndian.Uint64(b[32:]), nil
}

// NonceAfter gives the first nonce whose timestamp is later.
func (x *Index) NonceAfter(head Head, timestampMS int64) (uint64, error) {
	if timestampMS >= head.TimestampMS {
		return head.Nonce + 1, nil
	}
	var first error
	n := sort.Search(int(head.Nonce)+1, func(i int) bool {
		place, err := x.Place(head.Process, uint64(i))
		if err != nil && first == nil {
			first = err
		}
		return place.TimestampMS > timestampMS
	})
	if first != nil {
		return 0, fmt.Errorf("search by time in %s: %w", head.Process, first)
	}
	return uint64(n), nil
}

func (x *Index) has(k []byte) bool {
	_, err := x.get(k)
	return err == nil
}

func (x *Index) get(k []byte) (value []byte, err error) {
	value, ok, err := x.store.Get(k)
	if err != nil {
		return nil, fmt.Errorf("read log index: %w", wrapStore(err))
	}
	if !ok {
		return nil, ErrEntryUnknown
	}
	return value, nil
}

const (
	placeBytes = 4 + 8 + 4 + 8
	headBytes  = 8 + 8 + 32 + 32 + 8 + 8 + 8
)

func (p Place) appendTo(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, p.Segment)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Offset))
	b = binary.BigEndian.AppendUint32(b, p.Length)
	return binary.BigEndian.AppendUint64(b, uint64(p.TimestampMS))
}

func decodePlace(b []byte) (p Place, err error) {
	if len(b) != placeBytes {
		return p, fmt.Errorf("%w: a place of %d bytes in the log index", ErrCorrupt, len(b))
	}
	p.Segment = binary.BigEndian.Uint32(b)
	p.Offset = int64(binary.BigEndian.Uint64(b[4:]))
	p.Length = binary.BigEndian.Uint32(b[12:])
	p.TimestampMS = int64(binary.BigEndian.Uint64(b[16:]))
	return p, nil
}

func encodeHead(h Head) []byte {
	b := make([]byte, 0, headBytes)
	b = binary.BigEndian.AppendUint64(b, h.Epoch)
	b = binary.BigEndian.AppendUint64(b, h.Nonce)
	b = append(b, h.Assignment[:]...)
	b = append(b, h.HashChain[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(h.TimestampMS))
	b = binary.BigEndian.AppendUint64(b, h.BlockHeight)
	return binary.BigEndian.AppendUint64(b, uint64(h.PromisedMS))
}

func decodeHead(process ao.ID, b []byte) (h Head, err error) {
	if len(b) != headBytes {
		return h, fmt.Errorf("%w: a head of %d bytes in the log index", ErrCorrupt, len(b))
	}
	h.Process = process
	h.Epoch = binary.BigEndian.Uint64(b)
	h.Nonce = binary.BigEndian.Uint64(b[8:])
	copy(h.Assignment[:], b[16:])
	copy(h.HashChain[:], b[48:])
	h.TimestampMS = int64(binary.BigEndian.Uint64(b[80:]))
	h.BlockHeight = binary.BigEndian.Uint64(b[88:])
	h.PromisedMS = int64(binary.BigEndian.Uint64(b[96:]))
	return h, nil
}

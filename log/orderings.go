package log

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
)

// Ordering gives the newest ordering of a process of which all before is in the
// index, or ErrProcessUnknown.
func (x *Index) Ordering(process ao.ID) (Ordering, error) {
	return x.ordering(process, key('H', process[:]))
}

// OrderingIn gives a group's own ordering of a process, which depends on nothing
// but the group's entries, or ErrProcessUnknown. whole reports that all before
// it is in the index.
func (x *Index) OrderingIn(process ao.ID, group uint32) (o Ordering, whole bool, err error) {
	newest, err := x.Ordering(process)
	known := err == nil
	if err != nil && !errors.Is(err, ErrProcessUnknown) {
		return o, false, err
	}
	mine := known && newest.Group == group
	// An epoch that this group has not sealed is its newest.
	if mine && !newest.Sealed {
		return newest, true, nil
	}
	apart, err := x.ordering(process, apartKey(process, group))
	if err != nil && !errors.Is(err, ErrProcessUnknown) {
		return o, false, err
	}
	if mine && (err != nil || apart.Epoch <= newest.Epoch) {
		return newest, true, nil
	}
	return apart, err == nil && known && newest.Epoch > apart.Epoch, err
}

func (x *Index) ordering(process ao.ID, k []byte) (Ordering, error) {
	b, err := x.get(k)
	if errors.Is(err, ErrEntryUnknown) {
		return Ordering{}, ErrProcessUnknown
	}
	if err != nil {
		return Ordering{}, err
	}
	o, err := decodeOrdering(process, b)
	return o, x.broken(err)
}

func apartKey(process ao.ID, group uint32) []byte {
	return key('G', process[:], binary.BigEndian.AppendUint32(nil, group))
}

func waitingKey(group uint32, process ao.ID) []byte {
	return key('W', binary.BigEndian.AppendUint32(nil, group), process[:])
}

func epochKey(process ao.ID, number uint64) []byte {
	return key('T', process[:], nonceBytes(number))
}

func sealedKey(process ao.ID, epoch uint64) []byte {
	return key('U', process[:], nonceBytes(epoch))
}

// SealedEpoch gives the ordering at which an epoch of a process was sealed, or
// ErrProcessUnknown when it was not yet, as far as the index goes.
func (x *Index) SealedEpoch(process ao.ID, epoch uint64) (Ordering, error) {
	return x.ordering(process, sealedKey(process, epoch))
}

func (u Update) putOrderings(set func(k, v []byte)) {
	for _, o := range u.Sealed {
		set(sealedKey(o.Process, o.Epoch), encodeOrdering(o))
	}
	for _, o := range u.Newest {
		set(key('H', o.Process[:]), encodeOrdering(o))
	}
	for _, o := range u.Apart {
		set(apartKey(o.Process, o.Group), encodeOrdering(o))
	}
	for _, o := range u.Opened {
		set(epochKey(o.Head.Process, o.Head.Epoch+1), o.encode())
		set(waitingKey(o.To, o.Head.Process), nil)
	}
	for _, o := range u.Waiting {
		set(waitingKey(o.To, o.Head.Process), o.encode())
	}
}

func (o Opening) encode() []byte {
	b, _ := json.Marshal(o) // these types always encode
	return b
}

// Epoch gives the opening that began an epoch of a process, or ErrEntryUnknown:
// the first epoch begins with the process and has none.
func (x *Index) Epoch(process ao.ID, number uint64) (o Opening, err error) {
	b, err := x.get(epochKey(process, number))
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return o, x.broken(fmt.Errorf("%w: epoch %d of %s in the log index: %w", ErrCorrupt, number, process, err))
	}
	return o, nil
}

// Waiting lists the openings that a group must make, at most limit.
func (x *Index) Waiting(group uint32, limit int) (list []Opening, err error) {
	err = x.scan(waitingKey(group, ao.ID{})[:5], nil, func(_, value []byte) (bool, error) {
		var o Opening
		if err := json.Unmarshal(value, &o); err != nil {
			return false, fmt.Errorf("%w: an opening in the log index: %w", ErrCorrupt, err)
		}
		list = append(list, o)
		return len(list) < limit, nil
	})
	return list, err
}

// Orderings lists the newest orderings in order of process id, after the given
// one, at most limit.
func (x *Index) Orderings(after ao.ID, limit int) (list []Ordering, err error) {
	err = x.scan([]byte{'H'}, key('H', after[:]), func(k, value []byte) (bool, error) {
		var process ao.ID
		copy(process[:], k[1:])
		if process == after {
			return true, nil
		}
		o, err := decodeOrdering(process, value)
		list = append(list, o)
		return len(list) < limit, err
	})
	return list, err
}

// scan calls fn for every key with a prefix, from a key on, until fn says no.
func (x *Index) scan(prefix, from []byte, fn func(key, value []byte) (bool, error)) error {
	if err := x.store.Scan(prefix, from, fn); err != nil {
		return x.broken(fmt.Errorf("list %q in the log index: %w", prefix[:1], wrapStore(err)))
	}
	return nil
}

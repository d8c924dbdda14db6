package gateway

import (
	"encoding/binary"
	"sort"

	"github.com/dgraph-io/badger/v4"
)

// postings is an ordered list of sequence numbers that can be entered anywhere.
// Ascending lists are entered from below, descending ones from above.
type postings interface {
	// seek gives the first number at or beyond this one, in list order.
	seek(from uint64) (sequence uint64, ok bool)
	close()
}

// keyPostings are the sequence numbers at the ends of keys with one prefix.
type keyPostings struct {
	it     *badger.Iterator
	prefix []byte
}

func openPostings(txn *badger.Txn, prefix []byte, descending bool) *keyPostings {
	it := txn.NewIterator(badger.IteratorOptions{Prefix: prefix, Reverse: descending})
	return &keyPostings{it: it, prefix: prefix}
}

func (p *keyPostings) seek(from uint64) (uint64, bool) {
	p.it.Seek(binary.BigEndian.AppendUint64(p.prefix[:len(p.prefix):len(p.prefix)], from))
	if !p.it.Valid() {
		return 0, false
	}
	return lastNumber(p.it.Item().Key()), true
}

func (p *keyPostings) close() { p.it.Close() }

// listPostings are known sequence numbers, in list order.
type listPostings struct {
	list       []uint64
	descending bool
}

func newListPostings(list []uint64, descending bool) *listPostings {
	sort.Slice(list, func(i, j int) bool { return (list[i] < list[j]) != descending })
	return &listPostings{list, descending}
}

func (p *listPostings) seek(from uint64) (uint64, bool) {
	i := sort.Search(len(p.list), func(i int) bool { return !before(p.list[i], from, p.descending) })
	if i == len(p.list) {
		return 0, false
	}
	return p.list[i], true
}

func (*listPostings) close() {}

// union gives what is in any of its lists.
type union struct {
	lists      []postings
	descending bool
}

func (u *union) seek(from uint64) (best uint64, ok bool) {
	for _, list := range u.lists {
		n, found := list.seek(from)
		if found && (!ok || before(n, best, u.descending)) {
			best, ok = n, true
		}
	}
	return best, ok
}

func (u *union) close() {
	for _, list := range u.lists {
		list.close()
	}
}

// intersection gives what is in all of its lists, of which there is at least
// one. Each list is moved on to where the others are, so that its cost is that
// of the rarest.
type intersection struct {
	lists      []postings
	descending bool
}

func (x *intersection) seek(from uint64) (uint64, bool) {
	at, agreed := from, 0
	for i := 0; agreed < len(x.lists); i = (i + 1) % len(x.lists) {
		n, ok := x.lists[i].seek(at)
		if !ok {
			return 0, false
		}
		if n != at {
			at, agreed = n, 0
		}
		agreed++
	}
	return at, true
}

func (x *intersection) close() {
	for _, list := range x.lists {
		list.close()
	}
}

func before(a, b uint64, descending bool) bool {
	if descending {
		return a > b
	}
	return a < b
}

package history

import (
	"bytes"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// damage is what may have happened to a history, and what must be said of it.
type damage struct {
	name string
	// make prepares the fixture before it is built.
	make func(f *fixture)
	// edit changes records, which are then written with a new index.
	edit func(f *fixture, records []Record) []Record
	// bytes changes the file.
	bytes func(f *fixture, records []Record, b []byte) []byte
	want  []string
}

// at gives the index of the record of an entry.
func at(records []Record, nonce uint64) int {
	return slices.IndexFunc(records, func(r Record) bool { return r.Kind == KindEntry && r.Nonce == nonce })
}

func kind(records []Record, kind Kind) int {
	return slices.IndexFunc(records, func(r Record) bool { return r.Kind == kind })
}

// alter changes a byte of an entry's assignment or item, counted from its end.
func alter(r Record, item bool, fromEnd int) Record {
	assignment, message, _ := r.parts()
	assignment, message = bytes.Clone(assignment), bytes.Clone(message)
	part := assignment
	if item {
		part = message
	}
	part[len(part)-fromEnd] ^= 1
	r.Payload = Joined(assignment, message)
	return r
}

// withItem gives an entry another item.
func withItem(r Record, item []byte) Record {
	assignment, _, _ := r.parts()
	r.Payload = Joined(assignment, item)
	return r
}

func itemOf(r Record) []byte {
	_, item, _ := r.parts()
	return item
}

// signatureFromEnd reaches into the signature, which follows the two bytes of the
// type.
func signatureFromEnd(b []byte) int { return len(b) - 10 }

// entryDamages are those to messages and single assignments.
var entryDamages = []damage{
	{name: "a message is missing", edit: func(_ *fixture, r []Record) []Record {
		return slices.Delete(r, at(r, 2), at(r, 2)+1)
	}, want: []string{"2 missing wrong"}},
	{name: "two messages are missing", edit: func(_ *fixture, r []Record) []Record {
		return slices.Delete(r, at(r, 1), at(r, 3))
	}, want: []string{"1 missing wrong"}},
	{name: "everything is missing", edit: func(*fixture, []Record) []Record { return nil },
		want: []string{"0 missing wrong"}},
	{name: "the process is missing", edit: func(_ *fixture, r []Record) []Record { return r[1:] },
		want: []string{"0 missing wrong", "1 scheduler unproven", "3 order wrong"}},
	{name: "the last message is missing, and the end says so", bytes: func(f *fixture, r []Record, b []byte) []byte {
		last := readAll(f.t, b)[at(r, 7)]
		size := int64(headerBytes + len(last.Payload))
		return slices.Delete(b, int(last.Offset), int(last.Offset+size))
	}, want: []string{"6 unattested unproven", "7 attestation wrong", "7 missing wrong"}},
	{name: "two messages have changed places in the file", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 1)], r[at(r, 2)] = r[at(r, 2)], r[at(r, 1)]
		return r
	}, want: []string{"1 out-of-order wrong"}},
	{name: "the messages of two assignments are swapped", edit: func(_ *fixture, r []Record) []Record {
		i, j := at(r, 1), at(r, 2)
		r[i], r[j] = withItem(r[i], itemOf(r[j])), withItem(r[j], itemOf(r[i]))
		return r
	}, want: []string{"1 message-id wrong", "2 message-id wrong"}},
	{name: "a message is there twice", edit: func(_ *fixture, r []Record) []Record {
		return slices.Insert(r, at(r, 2), r[at(r, 1)])
	}, want: []string{"1 repeated wrong"}},
	{name: "the scheduler has given a message two places", make: func(f *fixture) { f.same = true },
		want: []string{"2 message-twice wrong", "4 message-twice wrong", "5 message-twice wrong", "6 message-twice wrong", "7 message-twice wrong"}},
	{name: "the data of a message is altered", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 4)] = alter(r[at(r, 4)], true, 1)
		return r
	}, want: []string{"4 message-signature wrong"}},
	{name: "a tag of a message is altered", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 4)] = alter(r[at(r, 4)], true, 15)
		return r
	}, want: []string{"4 message-signature wrong", "4 message-target wrong"}},
	{name: "the signature of a message is altered", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 4)] = alter(r[at(r, 4)], true, signatureFromEnd(itemOf(r[at(r, 4)])))
		return r
	}, want: []string{"4 message-signature wrong", "4 message-id wrong"}},
	{name: "a message is exchanged for another that is signed", edit: func(f *fixture, r []Record) []Record {
		other := logtest.MessageItem(f.t, key(f.t, ownerSeed), f.process.ID(), "another")
		r[at(r, 5)] = withItem(r[at(r, 5)], other.Bytes())
		return r
	}, want: []string{"5 message-id wrong"}},
	{name: "a message is no item", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 5)] = withItem(r[at(r, 5)], []byte("what"))
		return r
	}, want: []string{"5 message wrong"}},
	{name: "a message has been taken out of its assignment", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 5)] = withItem(r[at(r, 5)], nil)
		return r
	}, want: []string{"5 message-missing unproven"}},
	{name: "messages are for another process", make: func(f *fixture) { f.target = &ao.ID{9} },
		want: []string{"1 message-target wrong", "2 message-target wrong", "4 message-target wrong", "5 message-target wrong", "6 message-target wrong", "7 message-target wrong"}},
	{name: "the process is exchanged for another", edit: func(f *fixture, r []Record) []Record {
		other := create(f.t, key(f.t, strangerSeed), dataitem.Draft{Tags: f.process.Tags})
		r[0] = withItem(r[0], other.Bytes())
		return r
	}, want: []string{"0 scheduler unproven", "0 message-id wrong", "3 order wrong"}},
	{name: "an assignment is altered", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 2)] = alter(r[at(r, 2)], false, 104)
		return r
	}, want: []string{"2 assignment-signature wrong"}},
	{name: "the signature of an assignment is altered", edit: func(_ *fixture, r []Record) []Record {
		assignment, _, _ := r[at(r, 2)].parts()
		r[at(r, 2)] = alter(r[at(r, 2)], false, signatureFromEnd(assignment))
		return r
	}, want: []string{"2 assignment-signature wrong"}},
	{name: "an assignment is no assignment", edit: func(f *fixture, r []Record) []Record {
		r[at(r, 2)].Payload = Joined(f.elsewhere().Bytes(), itemOf(r[at(r, 2)]))
		return r
	}, want: []string{"2 assignment wrong"}},
	{name: "an assignment was put together and does not verify", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 2)] = alter(r[at(r, 2)], false, 104)
		r[at(r, 2)].Flags = FlagAssignmentRebuilt
		return r
	}, want: []string{"2 assignment-signature unproven"}},
	{name: "a message was put together and does not verify", edit: func(_ *fixture, r []Record) []Record {
		r[at(r, 4)] = alter(r[at(r, 4)], true, 1)
		r[at(r, 4)].Flags = FlagItemRebuilt
		return r
	}, want: []string{"4 message-signature unproven"}},
}

package history

import (
	"bytes"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// orderDamages are those to the order, to what belongs to it, and to the file.
var orderDamages = []damage{
	{name: "an assignment is of another process", edit: func(f *fixture, r []Record) []Record {
		e, _ := r[at(r, 6)].Entry()
		e.Process = ao.ID{9}
		item, _ := e.Item()
		r[at(r, 6)] = EntryRecord(f.sign(e.Assignment, item))
		return r
	}, want: []string{"6 other-process wrong"}},
	{name: "a foreign scheduler has signed one place", make: func(f *fixture) {
		f.scheduler = func(nonce uint64) dataitem.Signer {
			if nonce == 5 {
				return key(f.t, strangerSeed)
			}
			return nil
		}
	}, want: []string{"5 scheduler wrong"}},
	{name: "a foreign scheduler has signed everything", make: func(f *fixture) {
		f.scheduler = func(uint64) dataitem.Signer { return key(f.t, strangerSeed) }
	}, want: []string{"0 scheduler wrong"}},
	{name: "the scheduler has broken the hash chain", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) {
			if a.Nonce == 2 {
				a.HashChain[0] ^= 1
			}
		}
	}, want: []string{"2 hash-chain wrong"}},
	{name: "the hash chain does not begin with the process", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) {
			if a.Nonce == 0 {
				a.HashChain = ao.ID{}
			}
		}
	}, want: []string{"0 hash-chain wrong"}},
	{name: "time goes backwards", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) {
			if a.Nonce == 2 {
				a.TimestampMS -= 5000
			}
		}
	}, want: []string{"2 timestamp wrong"}},
	{name: "two places have one time", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) {
			if a.Nonce == 2 {
				a.TimestampMS = f.head.TimestampMS
			}
		}
	}, want: []string{"2 timestamp remark"}},
	{name: "a place comes before a time that was promised to have passed", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) {
			if a.Nonce == 4 {
				a.TimestampMS = f.head.TimestampMS + 100
			}
		}
	}, want: []string{"4 timestamp wrong"}},
	{name: "the block height falls", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) { a.BlockHeight -= a.Nonce / 2 }
	}, want: []string{"2 block-height remark", "4 block-height remark", "6 block-height remark"}},
	{name: "the scheduler has left a nonce out", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) {
			if a.Nonce == 6 {
				a.Nonce = 7
			}
		}
	}, want: []string{"6 missing wrong", "8 unattested unproven"}},
	{name: "the process is assigned twice", make: func(f *fixture) {
		f.tamper = func(a *ao.Assignment) {
			if a.Nonce == 7 {
				a.Message = ao.ID{}
			}
		}
	}, edit: func(f *fixture, r []Record) []Record {
		r[at(r, 7)] = withItem(r[at(r, 7)], f.process.Bytes())
		return r
	}, want: []string{"7 process wrong"}},
	{name: "one place is given to two messages", edit: func(f *fixture, r []Record) []Record {
		e, _ := r[at(r, 5)].Entry()
		other := logtest.MessageItem(f.t, key(f.t, ownerSeed), f.process.ID(), "another")
		e.Message = other.ID()
		return slices.Insert(r, at(r, 6), EntryRecord(f.sign(e.Assignment, other)))
	}, want: []string{"5 two-orders wrong"}},
	{name: "an epoch begins without an opening", edit: func(_ *fixture, r []Record) []Record {
		return slices.Delete(r, kind(r, KindOpening), kind(r, KindOpening)+1)
	}, want: []string{"4 epoch wrong"}},
	{name: "an epoch goes on from another head", edit: func(_ *fixture, r []Record) []Record {
		i := kind(r, KindOpening)
		o, _ := r[i].Opening()
		o.Head.Assignment[0] ^= 1
		r[i] = OpeningRecord(o)
		return r
	}, want: []string{"3 opening wrong"}},
	{name: "the order for an epoch is altered", edit: func(_ *fixture, r []Record) []Record {
		i := kind(r, KindOpening)
		o, _ := r[i].Opening()
		o.Order[len(o.Order)-3] ^= 1
		r[i] = OpeningRecord(o)
		return r
	}, want: []string{"3 order wrong"}},
	{name: "a stranger has ordered an epoch", edit: func(f *fixture, r []Record) []Record {
		i := kind(r, KindOpening)
		o, _ := r[i].Opening()
		o.Order = create(f.t, key(f.t, strangerSeed), dataitem.Draft{Tags: orderTags(f.process.ID(), o.Mode, "1")}).Bytes()
		r[i] = OpeningRecord(o)
		return r
	}, want: []string{"3 order wrong"}},
	{name: "an epoch begins in another mode than was ordered", edit: func(_ *fixture, r []Record) []Record {
		i := kind(r, KindOpening)
		o, _ := r[i].Opening()
		o.Mode = aolog.Solo
		r[i] = OpeningRecord(o)
		return r
	}, want: []string{"3 order wrong"}},
	{name: "an operator's signature is altered", edit: func(_ *fixture, r []Record) []Record {
		i := kind(r, KindAttest)
		a, _ := r[i].Attested()
		a.Items[0][20] ^= 1
		r[i] = AttestedRecord(a)
		return r
	}, want: []string{"5 attestation wrong"}},
	{name: "operators have signed another order", edit: func(f *fixture, r []Record) []Record {
		i := kind(r, KindAttest)
		e, _ := r[at(r, 5)].Entry()
		said := aolog.StatementOf(aolog.HeadOf(e))
		said.HashChain[0] ^= 1
		r[i] = AttestedRecord(attestation(f.t, said, 4, operatorSeed, operatorSeed+1))
		return r
	}, want: []string{"5 attestation wrong", "5 attestation wrong"}},
	{name: "the last attestations are missing", edit: func(_ *fixture, r []Record) []Record {
		return slices.DeleteFunc(r, func(r Record) bool { return r.Kind == KindAttest && r.Nonce == 7 })
	}, want: []string{"6 unattested unproven"}},
	{name: "one operator has signed twice", edit: func(f *fixture, r []Record) []Record {
		return slices.Replace(r, len(r)-2, len(r)-1, AttestedRecord(attestation(f.t, aolog.StatementOf(f.head), 6, operatorSeed, operatorSeed)))
	}, want: []string{"6 unattested unproven"}},
	{name: "operators have signed what is not there", edit: func(f *fixture, r []Record) []Record {
		s := aolog.StatementOf(f.head)
		s.Nonce = 20
		return append(r, AttestedRecord(attestation(f.t, s, 8, operatorSeed)))
	}, want: []string{"20 attestation wrong"}},
	{name: "crons are told to leave out time that was before", edit: func(_ *fixture, r []Record) []Record {
		i := kind(r, KindSkip)
		s, _ := r[i].Skip()
		s.FromMS -= 5000
		r[i] = SkipRecord(s)
		return r
	}, want: []string{"3 skip wrong"}},
	{name: "an item is there that nothing names", edit: func(f *fixture, r []Record) []Record {
		other := create(f.t, key(f.t, strangerSeed), dataitem.Draft{Data: []byte("other")})
		return append(r, ItemRecord(7, other))
	}, want: []string{"7 item wrong"}},
	{name: "the item of a bare assignment is altered", edit: func(_ *fixture, r []Record) []Record {
		i := kind(r, KindItem)
		r[i].Payload = bytes.Clone(r[i].Payload)
		r[i].Payload[len(r[i].Payload)-1] ^= 1
		return r
	}, want: []string{"3 item wrong"}},
	{name: "the module is altered", edit: func(f *fixture, r []Record) []Record {
		item := bytes.Clone(moduleItem(f.t).Bytes())
		item[len(item)-1] ^= 1
		return append(r[:len(r)-1], ModuleRecord(Module{ID: moduleItem(f.t).ID(), Item: item}))
	}, want: []string{"8 module wrong"}},
	{name: "the module is another", edit: func(f *fixture, r []Record) []Record {
		return append(r[:len(r)-1], ModuleRecord(Module{ID: f.elsewhere().ID(), Item: f.elsewhere().Bytes()}))
	}, want: []string{"8 module wrong"}},
	{name: "an assignment is known from hearsay", edit: func(_ *fixture, r []Record) []Record {
		for _, nonce := range []uint64{1, 2} {
			e, _ := r[at(r, nonce)].Entry()
			r[at(r, nonce)] = ClaimRecord(Claim{ID: e.ID, Process: e.Process, Message: e.Message, Nonce: nonce, TimestampMS: e.TimestampMS}, e.ItemBytes, true)
		}
		return r
	}, want: []string{"1 claim unproven"}},
	{name: "the file ends after a message", bytes: func(f *fixture, r []Record, b []byte) []byte {
		return b[:readAll(f.t, b)[at(r, 5)].Offset]
	}, want: []string{"4 unattested unproven", "5 cut-off wrong"}},
	{name: "the file ends within a message", bytes: func(f *fixture, r []Record, b []byte) []byte {
		return b[:readAll(f.t, b)[at(r, 2)].Offset+100]
	}, want: []string{"2 cut-off wrong"}},
	{name: "the file ends before its end", bytes: func(_ *fixture, _ []Record, b []byte) []byte {
		return b[:len(b)-headerBytes-endBytes]
	}, want: []string{"8 cut-off wrong"}},
	{name: "a bit of a message is flipped on the disk", bytes: func(f *fixture, r []Record, b []byte) []byte {
		b[readAll(f.t, b)[at(r, 2)].Offset+200] ^= 4
		return b
	}, want: []string{"2 damaged wrong"}},
	{name: "a bit of a record's header is flipped on the disk", bytes: func(f *fixture, r []Record, b []byte) []byte {
		b[readAll(f.t, b)[at(r, 2)].Offset+5] ^= 4
		return b
	}, want: []string{"2 damaged wrong", "2 missing wrong"}},
	{name: "there is something between two records", bytes: func(f *fixture, r []Record, b []byte) []byte {
		return slices.Insert(b, int(readAll(f.t, b)[at(r, 2)].Offset), []byte("something")...)
	}, want: []string{"2 damaged wrong"}},
	{name: "there is something behind the end", bytes: func(_ *fixture, _ []Record, b []byte) []byte {
		return append(b, 0)
	}, want: []string{"8 damaged wrong"}},
	{name: "the index says that an entry is elsewhere", bytes: func(f *fixture, _ []Record, b []byte) []byte {
		records := readAll(f.t, b)
		index := records[len(records)-2]
		index.Payload[8]++
		return rewrite(b, index)
	}, want: []string{"8 index wrong"}},
	{name: "the end counts other entries", bytes: func(f *fixture, _ []Record, b []byte) []byte {
		records := readAll(f.t, b)
		end := records[len(records)-1]
		end.Payload[8]++
		return rewrite(b, end)
	}, want: []string{"8 index wrong"}},
}

// rewrite writes a record over the one of the same length, with right checksums.
func rewrite(b []byte, r Record) []byte {
	header := r.header()
	copy(b[r.Offset:], header[:])
	copy(b[r.Offset+headerBytes:], r.Payload)
	return b
}

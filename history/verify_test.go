package history

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func verify(t *testing.T, b []byte) Report {
	t.Helper()
	report, err := Verify(t.Context(), bytes.NewReader(b), VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// found gives findings as "nonce what severity".
func found(report Report) (list []string) {
	for _, f := range report.Findings {
		list = append(list, fmt.Sprintf("%d %s %s", f.Nonce, f.What, f.Severity))
	}
	return list
}

func TestAWholeHistoryVerifies(t *testing.T) {
	f := newFixture(t)
	report := verify(t, f.file(f.build()))
	if !report.OK() || len(report.Findings) > 0 {
		t.Fatalf("findings: %+v", report.Findings)
	}
	statement := aolog.StatementOf(f.head)
	// 8 assignments, 8 items, an order, four attestations and a module.
	if report.Entries != 8 || report.Signatures != 8+8+1+4+1 || report.Head != 7 || report.Epoch != 1 || report.Attested != 4 ||
		report.HashChain != statement.HashChain || report.Assignment != statement.Assignment || report.ModuleID != moduleItem(t).ID() {
		t.Fatalf("report %+v", report)
	}
	if diff := cmp.Diff([]string{dataitem.AddressOf(key(t, schedulerSeed).Owner()).String()}, report.Schedulers); diff != "" {
		t.Fatal(diff)
	}
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
	r.Payload = joined(assignment, message)
	return r
}

// withItem gives an entry another item.
func withItem(r Record, item []byte) Record {
	assignment, _, _ := r.parts()
	r.Payload = joined(assignment, item)
	return r
}

func itemOf(r Record) []byte {
	_, item, _ := r.parts()
	return item
}

// signatureFromEnd reaches into the signature, which follows the two bytes of the
// type.
func signatureFromEnd(b []byte) int { return len(b) - 10 }

// damages is what may have happened to a history, and what must be said of it.
var damages = []struct {
	name string
	// make prepares the fixture before it is built.
	make func(f *fixture)
	// edit changes records, which are then written with a new index.
	edit func(f *fixture, records []Record) []Record
	// bytes changes the file.
	bytes func(f *fixture, records []Record, b []byte) []byte
	want  []string
}{
	{name: "a message is missing", edit: func(_ *fixture, r []Record) []Record {
		return slices.Delete(r, at(r, 2), at(r, 2)+1)
	}, want: []string{"2 missing wrong"}},
	{name: "two messages are missing", edit: func(_ *fixture, r []Record) []Record {
		return slices.Delete(r, at(r, 1), at(r, 3))
	}, want: []string{"1 missing wrong"}},
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
		r[at(r, 2)].Payload = joined(f.elsewhere().Bytes(), itemOf(r[at(r, 2)]))
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

func TestEveryDamageIsNamed(t *testing.T) {
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			f := newFixture(t)
			if d.make != nil {
				d.make(f)
			}
			records := f.build()
			if d.edit != nil {
				records = d.edit(f, records)
			}
			b := f.file(records)
			if d.bytes != nil {
				b = d.bytes(f, records, b)
			}
			report := verify(t, b)
			if diff := cmp.Diff(d.want, found(report)); diff != "" {
				t.Fatalf("%s\n%+v", diff, report.Findings)
			}
			remarks := !slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.Severity != Remark })
			if report.OK() != remarks {
				t.Fatalf("OK is %t", report.OK())
			}
		})
	}
}

func TestFlippedBytesAreFound(t *testing.T) {
	f := newFixture(t)
	good := f.file(f.build())
	for i := 0; i < len(good); i += 19 {
		b := bytes.Clone(good)
		b[i] ^= 0x40
		report, err := Verify(t.Context(), bytes.NewReader(b), VerifyOptions{Workers: 1})
		if errors.Is(err, ErrNotHistory) {
			continue
		}
		if err != nil || report.Wrong == 0 {
			t.Fatalf("byte %d: %v, %+v", i, err, report.Findings)
		}
	}
}

func TestCutsAreFound(t *testing.T) {
	f := newFixture(t)
	good := f.file(f.build())
	for size := 0; size < len(good); size += 37 {
		report, err := Verify(t.Context(), bytes.NewReader(good[:size]), VerifyOptions{Workers: 1})
		if errors.Is(err, ErrNotHistory) {
			continue
		}
		if err != nil || !slices.ContainsFunc(report.Findings, func(f Finding) bool { return f.What == WhatCutOff }) {
			t.Fatalf("%d bytes: %v, %+v", size, err, report.Findings)
		}
	}
}

func TestVerifyTrustsWhomTheCallerNames(t *testing.T) {
	f := newFixture(t)
	f.scheduler = func(uint64) dataitem.Signer { return key(t, strangerSeed) }
	b := f.file(f.build())
	named := VerifyOptions{
		Schedulers: []string{dataitem.AddressOf(key(t, strangerSeed).Owner()).String()},
		Operators:  []string{dataitem.AddressOf(key(t, operatorSeed).Owner()).String()},
	}
	report, err := Verify(t.Context(), bytes.NewReader(b), named)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"4 unattested unproven", "5 attestation wrong", "7 attestation wrong"}
	if diff := cmp.Diff(want, found(report)); diff != "" {
		t.Fatal(diff)
	}
	named.Operators, named.Need = nil, 3
	if report, err = Verify(t.Context(), bytes.NewReader(b), named); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"4 unattested unproven"}, found(report)); diff != "" {
		t.Fatal(diff)
	}
}

func TestVerifyEndsWhenItIsTold(t *testing.T) {
	f := newFixture(t)
	f.build()
	var many []Record
	for range 100 {
		many = append(many, f.records...)
	}
	b := f.file(many)
	stop := errors.New("stop")
	if _, err := Verify(t.Context(), bytes.NewReader(b), VerifyOptions{Progress: func(Report) error { return stop }}); !errors.Is(err, stop) {
		t.Fatalf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Verify(ctx, bytes.NewReader(b), VerifyOptions{}); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestALieAboutALengthAllocatesLittle(t *testing.T) {
	f := newFixture(t)
	b := f.file(nil)
	b = b[:len(b)-2*headerBytes-endBytes]
	lie := Record{Kind: KindEntry}
	header := lie.header()
	binary.LittleEndian.PutUint32(header[4:], PayloadBytesMax)
	binary.LittleEndian.PutUint32(header[24:], crcOf(header[:24]))
	b = append(b, header[:]...)
	allocated := testing.Benchmark(func(bench *testing.B) {
		bench.ReportAllocs()
		for bench.Loop() {
			reader, err := NewReader(bytes.NewReader(b))
			if err != nil {
				bench.Fatal(err)
			}
			var damage *Damage
			if _, err := reader.Next(); !errors.As(err, &damage) || !damage.Cut {
				bench.Fatalf("got %v", err)
			}
		}
	}).AllocedBytesPerOp()
	if allocated > 1<<20 {
		t.Fatalf("%d bytes were allocated for %d that are there", allocated, len(b))
	}
}

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

	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
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

func TestEveryDamageIsNamed(t *testing.T) {
	for _, d := range slices.Concat(entryDamages, orderDamages) {
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

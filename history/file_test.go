package history

import (
	"bytes"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

var update = flag.Bool("update", false, "write testdata/history.aolog anew")

// TestTheFormatStays compares what is written with a file that older versions of
// this program have written, and other programs may read.
func TestTheFormatStays(t *testing.T) {
	f := newFixture(t)
	b := f.file(f.build())
	path := filepath.Join("testdata", "history.aolog")
	if *update {
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(golden, b) {
		t.Fatal("the format has changed: raise its version, and keep reading this one")
	}
	if report := verify(t, golden); !report.OK() {
		t.Fatalf("findings %+v", report.Findings)
	}
}

func TestRecordsReadAsTheyWereWritten(t *testing.T) {
	f := newFixture(t)
	written := f.build()
	read := readAll(t, f.file(written))
	if len(read) != len(written)+2 {
		t.Fatalf("%d records, want %d and an index and an end", len(read), len(written))
	}
	for i, r := range written {
		got := read[i]
		got.Offset = 0
		if diff := cmp.Diff(r, got); diff != "" {
			t.Fatalf("record %d: %s", i, diff)
		}
	}
	claim := Claim{ID: ao.ID{1}, Process: ao.ID{2}, Nonce: 3, TimestampMS: 4, Told: []byte(`{"a":1}`)}
	again, item, err := ClaimRecord(claim, nil, false).Claim()
	if diff := cmp.Diff(claim, again); err != nil || item != nil || diff != "" {
		t.Fatal(err, item, diff)
	}
	module := Module{ID: ao.ID{1}, Owner: "o", Tags: dataitem.Tags{{Name: "a", Value: "b"}}, Bytes: []byte("code")}
	unsigned, err := ModuleRecord(module).Module()
	if diff := cmp.Diff(module, unsigned); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	signed, err := ModuleRecord(Module{ID: moduleItem(t).ID(), Item: moduleItem(t).Bytes()}).Module()
	if err != nil || string(signed.Bytes) != "\x00asm" || signed.Owner != moduleItem(t).Address() {
		t.Fatal(err, signed)
	}
}

// long makes a file of a process and n messages, longer than a line of the index.
func long(t *testing.T, n int) (*fixture, []byte) {
	f := newFixture(t)
	f.place(aolog.Proposal{Item: f.process})
	for range n {
		f.message()
	}
	return f, f.file(f.records)
}

func openBytes(t *testing.T, b []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestAFileGivesEntriesByNonce(t *testing.T) {
	fixture, b := long(t, 3*indexEvery)
	f := openBytes(t, b)
	for _, nonce := range []uint64{0, 1, indexEvery - 1, indexEvery, indexEvery + 1, 3 * indexEvery} {
		r, ok, err := f.Entry(nonce)
		if err != nil || !ok || r.Nonce != nonce || !bytes.Equal(r.Payload, fixture.records[nonce].Payload) {
			t.Fatalf("nonce %d: %v, %t, nonce %d", nonce, err, ok, r.Nonce)
		}
	}
	if _, ok, err := f.Entry(3*indexEvery + 1); ok || err != nil {
		t.Fatalf("a nonce that is not there: %t, %v", ok, err)
	}
	if end := f.End(); end.Entries != 3*indexEvery+1 || end.Head != 3*indexEvery {
		t.Fatalf("end %+v", end)
	}
}

func TestADamagedFileIsNotOpened(t *testing.T) {
	_, good := long(t, 3)
	for _, size := range []int{len(good) - 1, len(good) / 2} {
		if _, err := Open(bytes.NewReader(good[:size]), int64(size)); err == nil {
			t.Fatalf("%d bytes of %d were opened", size, len(good))
		}
	}
	b := bytes.Clone(good)
	b[len(b)-headerBytes-endBytes-3] ^= 1
	if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
		t.Fatal("a damaged index was taken")
	}
	if _, err := Open(bytes.NewReader([]byte("no")), 2); !errors.Is(err, ErrNotHistory) {
		t.Fatalf("no history: %v", err)
	}
	f := openBytes(t, good)
	records := readAll(t, good)
	good[records[2].Offset+headerBytes+7] ^= 1 // under the open file
	var damage *Damage
	if _, _, err := f.Entry(2); !errors.As(err, &damage) || damage.Nonce != 2 {
		t.Fatalf("a damaged entry: %v", err)
	}
}

// TestAFileIsALog compares a file with the log that it was taken from.
func TestAFileIsALog(t *testing.T) {
	fixture := newFixture(t)
	l, err := NewLog(openBytes(t, fixture.file(fixture.build())))
	if err != nil {
		t.Fatal(err)
	}
	ctx, process := t.Context(), fixture.process.ID()
	head, err := l.Head(ctx, process)
	if diff := cmp.Diff(fixture.head, head); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	var nonces []uint64
	if err := l.Range(ctx, process, 2, 5, func(e aolog.Entry) error {
		nonces = append(nonces, e.Nonce)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{2, 3, 4, 5}, nonces); diff != "" {
		t.Fatal(diff)
	}
	if nonce, err := l.Find(ctx, process, head.Assignment); err != nil || nonce != 7 {
		t.Fatalf("find the newest assignment: %d, %v", nonce, err)
	}
	if nonce, err := l.Find(ctx, process, process); err != nil || nonce != 0 {
		t.Fatalf("find the process: %d, %v", nonce, err)
	}
	if nonce, err := l.NonceAfter(ctx, process, head.TimestampMS-1); err != nil || nonce != 7 {
		t.Fatalf("nonce after: %d, %v", nonce, err)
	}
	if skips, err := l.Skips(ctx, process, 3); err != nil || len(skips) != 1 || skips[0].UntilMS-skips[0].FromMS != 500 {
		t.Fatalf("skips %+v, %v", skips, err)
	}
	if item, err := l.Item(ctx, fixture.elsewhere().ID()); err != nil || string(item.Data) != "elsewhere" {
		t.Fatalf("item: %v", err)
	}
	if _, err := l.Item(ctx, ao.ID{1}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Fatalf("an item that is not there: %v", err)
	}
	if _, err := l.Read(ctx, process, 8); !errors.Is(err, aolog.ErrEntryUnknown) {
		t.Fatalf("a nonce that is not there: %v", err)
	}
	if _, err := l.Head(ctx, ao.ID{1}); !errors.Is(err, aolog.ErrProcessUnknown) {
		t.Fatalf("another process: %v", err)
	}
	if _, _, err := l.Append(ctx, aolog.Proposal{}); ao.CodeOf(err) != ao.CodeUnavailable {
		t.Fatalf("append: %v", err)
	}
}

func TestAHistoryWithoutItsBeginningIsNoLog(t *testing.T) {
	fixture := newFixture(t)
	records := fixture.build()
	for name, part := range map[string][]Record{"the beginning": records[1:], "a message": append(records[:2:2], records[3:]...)} {
		if _, err := NewLog(openBytes(t, fixture.file(part))); ao.CodeOf(err) != ao.CodeUnprocessable {
			t.Fatalf("without %s: %v", name, err)
		}
	}
}

// TestAFileIsResumed ends a file anywhere, goes on with it, and compares it with the
// one that was never ended.
func TestAFileIsResumed(t *testing.T) {
	fixture := newFixture(t)
	records := fixture.build()
	whole := fixture.file(records)
	begin := int64(len(whole)) // of the first entry
	for _, r := range readAll(t, whole) {
		begin = min(begin, r.Offset)
	}
	for size := begin; size <= int64(len(whole)); size += 211 {
		path := filepath.Join(t.TempDir(), "h.aolog")
		if err := os.WriteFile(path, whole[:size], 0o644); err != nil {
			t.Fatal(err)
		}
		disk, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		w, had, err := Resume(disk)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if had > 0 && w.Entries() != had-1 {
			t.Fatalf("%d bytes: %d entries are left of %d", size, w.Entries(), had)
		}
		// A source tells again what belongs to the place that is asked for.
		going := false
		for _, r := range records {
			if going = going || r.Kind == KindEntry && r.Nonce >= w.Next(); going {
				if err := w.Write(r); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := errors.Join(w.Close(), disk.Close()); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, whole) {
			t.Fatalf("resumed at %d of %d bytes, it became another file", size, len(whole))
		}
	}
}

func TestADamagedFileIsNotResumed(t *testing.T) {
	_, b := long(t, 3)
	b[readAll(t, b)[1].Offset+40] ^= 1
	path := filepath.Join(t.TempDir(), "h.aolog")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	disk, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	var damage *Damage
	if _, _, err := Resume(disk); !errors.As(err, &damage) || damage.Nonce != 1 {
		t.Fatalf("got %v", err)
	}
	if info, err := disk.Stat(); err != nil || info.Size() != int64(len(b)) {
		t.Fatal("the damaged file was changed")
	}
}

// small is the beginning of the golden file, as a file: short inputs are mutated
// sooner.
func small(f *testing.F) []byte {
	golden, err := os.ReadFile(filepath.Join("testdata", "history.aolog"))
	if err != nil {
		f.Fatal(err)
	}
	reader, err := NewReader(bytes.NewReader(golden))
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	w, err := NewWriter(&b, reader.Header())
	for range 2 {
		var r Record
		if err == nil {
			r, err = reader.Next()
		}
		if err == nil {
			err = w.Write(r)
		}
	}
	if err := errors.Join(err, w.Close()); err != nil {
		f.Fatal(err)
	}
	return b.Bytes()
}

// FuzzReader holds that whatever is read ends, names damage as such, and gives no
// more bytes than there are.
func FuzzReader(f *testing.F) {
	f.Add(small(f))
	f.Add([]byte(preamble))
	f.Fuzz(func(t *testing.T, b []byte) {
		reader, err := NewReader(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, ErrNotHistory) {
				t.Fatal(err)
			}
			return
		}
		total := 0
		for {
			r, err := reader.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if _, ok := errors.AsType[*Damage](err); err != nil && !ok {
				t.Fatal(err)
			}
			total += len(r.Payload)
		}
		if total > len(b) {
			t.Fatalf("%d bytes out of %d", total, len(b))
		}
		if file, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
			_ = file.Entries(0, ^uint64(0), func(Record) error { return nil })
		}
	})
}

// FuzzVerify puts a record with a right checksum into a good history: whatever it
// is, checking ends and does not fail.
func FuzzVerify(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", "history.aolog"))
	if err != nil {
		f.Fatal(err)
	}
	reader, err := NewReader(bytes.NewReader(golden))
	if err != nil {
		f.Fatal(err)
	}
	header := reader.Header()
	var good []Record // a process and a message
	for {
		r, err := reader.Next()
		if err != nil {
			break
		}
		if len(good) < 2 {
			good = append(good, r)
		}
		f.Add(uint8(r.Kind), r.Flags, r.Nonce, r.Payload, uint8(3))
	}
	f.Fuzz(func(t *testing.T, kind, flags uint8, nonce uint64, payload []byte, at uint8) {
		var b bytes.Buffer
		w, err := NewWriter(&b, header)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range good {
			if i == int(at)%len(good) {
				if err := w.append(Record{Kind: Kind(kind), Flags: flags, Nonce: nonce, Payload: payload}); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.append(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(t.Context(), bytes.NewReader(b.Bytes()), VerifyOptions{Workers: 1}); err != nil {
			t.Fatal(err)
		}
		if file, err := Open(bytes.NewReader(b.Bytes()), int64(b.Len())); err == nil {
			if l, err := NewLog(file); err == nil {
				_ = l.Range(t.Context(), header.Process, 0, ^uint64(0), func(aolog.Entry) error { return nil })
			}
		}
	})
}

package history

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
)

// flaky is a source that fails after so many records at each call.
type flaky struct {
	records []Record
	after   int
	asked   []uint64
	err     error
}

func (s *flaky) Origin() Origin { return Origin{Kind: "su", URL: "http://su.example"} }

func (s *flaky) Records(_ context.Context, _ ao.ID, from uint64, fn func(Record) error) error {
	s.asked = append(s.asked, from)
	told := 0
	for _, r := range s.records {
		if r.Nonce < from || r.Kind == KindModule {
			continue
		}
		if told == s.after {
			return s.err
		}
		told++
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

func importFrom(t *testing.T, process ao.ID, source Source, options ImportOptions) ([]byte, error) {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, Header{Process: process, Source: Origin{Kind: "file", URL: "fixture"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := Import(t.Context(), w, source, options); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), nil
}

// TestAnImportGoesOnAfterFailures loses no record that belongs to an entry, and
// writes none twice.
func TestAnImportGoesOnAfterFailures(t *testing.T) {
	f := newFixture(t)
	records := f.build()
	records = records[:len(records)-1] // without the module
	want := f.file(records)
	waited := 0
	source := &flaky{records: records, after: 5, err: ao.Errorf(ao.CodeUnavailable, "warming up")}
	got, err := importFrom(t, f.process.ID(), source, ImportOptions{Wait: func(context.Context, int) error {
		waited++
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("the history is not the source's")
	}
	if waited != len(source.asked)-1 || waited < 2 {
		t.Fatalf("asked from %v, waited %d times", source.asked, waited)
	}
}

func TestAnImportGivesUp(t *testing.T) {
	f := newFixture(t)
	records := f.build()
	for _, c := range []struct {
		err   error
		asked int
	}{{ao.Errorf(ao.CodeUnavailable, "down"), 3}, {ao.Errorf(ao.CodeNotFound, "no"), 1}} {
		source := &flaky{records: records, err: c.err}
		_, err := importFrom(t, f.process.ID(), source, ImportOptions{Attempts: 3})
		if ao.CodeOf(err) != ao.CodeOf(c.err) || len(source.asked) != c.asked {
			t.Fatalf("after %v: %v, asked %d times", c.err, err, len(source.asked))
		}
	}
	stop := errors.New("stop")
	source := &flaky{records: records, after: 100}
	if _, err := importFrom(t, f.process.ID(), source, ImportOptions{Progress: func(*Writer) error { return stop }}); !errors.Is(err, stop) || len(source.asked) != 1 {
		t.Fatalf("got %v", err)
	}
	if _, err := importFrom(t, f.process.ID(), &flaky{}, ImportOptions{}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Fatalf("nothing there: %v", err)
	}
}

func TestAFileIsASource(t *testing.T) {
	f := newFixture(t)
	records := f.build()
	b := f.file(records)
	source := FileSource{Path: "x.aolog", Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }}
	got, err := importFrom(t, f.process.ID(), source, ImportOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, got); diff != "" {
		t.Fatal("the history is not the file's")
	}
	if _, err := importFrom(t, ao.ID{1}, source, ImportOptions{}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Fatalf("another process: %v", err)
	}
}

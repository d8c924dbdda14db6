package engine

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
)

func TestCursorText(t *testing.T) {
	const text = "eyJ0aW1lc3RhbXAiOjE3MzU2ODk2MDAxMjMsIm9yZGluYXRlIjoiNyIsImNyb24iOm51bGwsInNvcnQiOiJBU0MifQ=="
	want := Cursor{TimestampMS: 1735689600123, Ordinate: "7", Sort: SortAscending}
	if got := EncodeCursor(want); got != text {
		t.Errorf("text is %s", got)
	}
	for _, form := range []string{text, strings.TrimRight(text, "="), " " + text} {
		got, err := ParseCursor(form)
		if err != nil || got != want {
			t.Errorf("%q is read as %+v, %v", form, got, err)
		}
	}
	if got, err := ParseCursor("1735689600123"); err != nil || got != (Cursor{TimestampMS: 1735689600123}) {
		t.Errorf("a timestamp is read as %+v, %v", got, err)
	}
	cron := Cursor{TimestampMS: 5, Ordinate: "7", Cron: "0-10-seconds", Sort: SortDescending}
	if got, err := ParseCursor(EncodeCursor(cron)); err != nil || got != cron {
		t.Errorf("a cron's cursor is read as %+v, %v", got, err)
	}
	for _, bad := range []string{"", "x", "eyJ9", "bnVsbA==", "12.5"} {
		if _, err := ParseCursor(bad); ao.CodeOf(err) != ao.CodeInvalid {
			t.Errorf("%q gives %v", bad, err)
		}
	}
}

// FuzzParseCursor looks for texts that break the parser, or that it takes for
// a cursor which has another text's meaning.
func FuzzParseCursor(f *testing.F) {
	f.Add("1735689600123")
	f.Add("eyJ0aW1lc3RhbXAiOjE3MzU2ODk2MDAxMjMsIm9yZGluYXRlIjoiNyIsImNyb24iOm51bGwsInNvcnQiOiJBU0MifQ==")
	f.Fuzz(func(t *testing.T, text string) {
		cursor, err := ParseCursor(text)
		if err != nil {
			return
		}
		if again, err := ParseCursor(EncodeCursor(cursor)); err != nil || again != cursor {
			t.Errorf("%q is %+v, which comes back as %+v, %v", text, cursor, again, err)
		}
	})
}

func TestResultsPages(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	var last ao.ID
	for i := 1; i <= 12; i++ {
		command := "add "
		if i%3 == 0 {
			command = "trap "
		}
		last = b.send(process, command+strconv.Itoa(i))
	}
	b.result(process, last)
	// Nonces 3, 6, 9 and 12 have errors.
	good := []uint64{0, 1, 2, 4, 5, 7, 8, 10, 11}
	page := func(q ResultsQuery) ([]uint64, bool, []Evaluation) {
		t.Helper()
		got, err := b.Results(t.Context(), process, q)
		if err != nil {
			t.Fatal(err)
		}
		var nonces []uint64
		for _, evaluation := range got.Evaluations {
			nonces = append(nonces, evaluation.Nonce)
		}
		return nonces, got.HasNext, got.Evaluations
	}
	_, _, all := page(ResultsQuery{Limit: 100})
	cursor := func(i int) *Cursor { c := CursorOf(all[i], false); return &c }
	whole := func(i int) *Cursor { return &Cursor{TimestampMS: all[i].TimestampMS} }
	for _, test := range []struct {
		name  string
		query ResultsQuery
		want  []uint64
		next  bool
	}{
		{"all", ResultsQuery{Limit: 9}, good, false},
		{"first page is full although errors lie in it", ResultsQuery{Limit: 4}, good[:4], true},
		{"from is exclusive", ResultsQuery{From: cursor(3), Limit: 4}, good[4:8], true},
		{"last page", ResultsQuery{From: cursor(7), Limit: 4}, good[8:], false},
		{"page that ends before an error at the end", ResultsQuery{From: cursor(4), Limit: 4}, good[5:], false},
		{"to is inclusive", ResultsQuery{From: cursor(1), To: cursor(3), Limit: 9}, good[2:4], false},
		{"timestamps", ResultsQuery{From: whole(1), To: whole(3), Limit: 9}, good[2:4], false},
		{"newest first", ResultsQuery{Limit: 3, Descending: true}, []uint64{11, 10, 8}, true},
		{"newest first above from", ResultsQuery{From: cursor(6), Limit: 9, Descending: true}, []uint64{11, 10}, false},
		{"newest first below to", ResultsQuery{To: cursor(2), Limit: 9, Descending: true}, []uint64{2, 1, 0}, false},
		{"nothing after the newest", ResultsQuery{From: cursor(8), Limit: 9}, nil, false},
		{"to before from", ResultsQuery{From: cursor(5), To: cursor(2), Limit: 9}, nil, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			nonces, next, _ := page(test.query)
			if diff := cmp.Diff(test.want, nonces); diff != "" || next != test.next {
				t.Errorf("next is %v (-want +got):\n%s", next, diff)
			}
		})
	}
	if _, err := b.Results(t.Context(), process, ResultsQuery{}); ao.CodeOf(err) != ao.CodeInvalid {
		t.Errorf("a limit of 0 gives %v", err)
	}
}

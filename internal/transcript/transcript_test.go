package transcript_test

import (
	"reflect"
	"testing"

	"github.com/wallaby-ao/wallaby/internal/transcript"
)

const page = "Text.\n\n<!-- session -->\n<!-- before: a -->\n```\n$ one \\\n    two\nout\n\n$ three\n```\n\n<!-- not run: far away -->\n```sh\nfour\nfive # six\n```\n```js\nno\n```\n"

func TestReadGivesCommandsAndWhatTheyPrint(t *testing.T) {
	blocks, err := transcript.Read(page)
	if err != nil {
		t.Fatal(err)
	}
	want := []transcript.Block{
		{
			Line: 5, Session: true, Before: []transcript.Step{{Line: 4, Command: "a"}},
			Steps: []transcript.Step{{Line: 6, Command: "one two", Want: []string{"out", ""}}, {Line: 10, Command: "three"}},
		},
		{Line: 14, NotRun: "far away", Steps: []transcript.Step{{Line: 15, Command: "four"}, {Line: 16, Command: "five # six"}}},
	}
	if !reflect.DeepEqual(blocks, want) {
		t.Fatalf("read\n%+v\nwant\n%+v", blocks, want)
	}
}

func TestReadRefusesWhatItCannotRead(t *testing.T) {
	for _, bad := range []string{"```\n$ x\n", "<!-- not run: -->\n```\nx\n```\n"} {
		if blocks, err := transcript.Read(bad); err == nil {
			t.Errorf("%q was read as %+v", bad, blocks)
		}
	}
}

func TestCompare(t *testing.T) {
	id, other := "Vv1p0H_z4GHzNCgJyxUlnt63y2ScbB-pbskFOAzel_Q", "zu8XzjLNlZzfiScHHYv66lNiLwNXTIAau3cNo8vTRHU"
	for name, c := range map[string]struct {
		want, got []string
		equal     bool
	}{
		"ids and times":       {[]string{"at 2026-11-23 08:18:13.210  " + id + " 5 ms"}, []string{"at 2027-01-01 00:00:00.001 " + other + " 17 ms", ""}, true},
		"other words":         {[]string{"it is equal"}, []string{"it is different"}, false},
		"an answer":           {[]string{"42"}, []string{"43"}, false},
		"a figure in a table": {[]string{"equal: 6 nonces"}, []string{"equal: 7 nonces"}, true},
		"a line too few":      {[]string{"a", "b"}, []string{"a"}, false},
		"a line too many":     {[]string{"a"}, []string{"a", "b"}, false},
		"the rest of a line":  {[]string{"connect({ …"}, []string{"connect({ MODE })"}, true},
		"lines left out":      {[]string{"a", "…", "z"}, []string{"a", "b", "c", "z"}, true},
		"lines left out, end": {[]string{"a", "…", "z"}, []string{"a", "b", "c"}, false},
		"left out twice":      {[]string{"a", "…", "m", "…", "z"}, []string{"a", "b", "m", "c", "d", "z"}, true},
		"wrong between":       {[]string{"…", "m", "…", "z"}, []string{"a", "n", "c", "z"}, false},
		"anything at the end": {[]string{"a", "…"}, []string{"a", "b", "c"}, true},
		"letters of patterns": {[]string{"a.c (x)"}, []string{"abc (x)"}, false},
	} {
		if err := transcript.Compare(c.want, c.got); (err == nil) != c.equal {
			t.Errorf("%s: %v", name, err)
		}
	}
}

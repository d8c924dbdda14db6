package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// events are what go test -json says of a package with one test of each kind,
// one that fails with a subtest, one that does not build and one without tests.
const events = `{"Action":"start","Package":"m/a"}
{"Action":"run","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestGood","Output":"quiet when good\n"}
{"Action":"pass","Package":"m/a","Test":"TestGood"}
{"Action":"output","Package":"m/a","Test":"TestAbsent","Output":"--- SKIP: TestAbsent (0.00s)\n"}
{"Action":"output","Package":"m/a","Test":"TestAbsent","Output":"    a_test.go:9: no module here\n"}
{"Action":"skip","Package":"m/a","Test":"TestAbsent"}
{"Action":"pass","Package":"m/a","Elapsed":0.5}
{"Action":"output","Package":"m/b","Test":"TestBad/sub","Output":"want 1, got 2\n"}
{"Action":"fail","Package":"m/b","Test":"TestBad/sub"}
{"Action":"fail","Package":"m/b","Test":"TestBad"}
{"Action":"fail","Package":"m/b","Elapsed":0.1}
{"ImportPath":"m/c","Action":"build-output","Output":"c.go:1: syntax error\n"}
{"ImportPath":"m/c","Action":"build-fail"}
{"Action":"fail","Package":"m/c","Elapsed":0,"FailedBuild":"m/c"}
{"Action":"skip","Package":"m/d","Elapsed":0}
{"Action":"output","Package":"m/e","Test":"TestCutOff","Output":"panic: in a goroutine\n"}
{"Action":"fail","Package":"m/e","Elapsed":0}
go: a line of the go command
`

func TestReportCountsEveryTestOnceAndShowsFailures(t *testing.T) {
	var out bytes.Buffer
	r := newReport(&out)
	if err := r.read(strings.NewReader(events)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(counts{Passed: 1, Failed: 4, Skipped: 1}, r.counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	for _, want := range []string{
		"want 1, got 2", "c.go:1: syntax error", "FAIL  m/c", "CUT   m/e TestCutOff\npanic: in a goroutine", "FAIL  m/e", "a line of the go command",
		"SKIP  m/a TestAbsent: a_test.go:9: no module here", "ok    m/a (2 tests, 500ms)",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, &out)
		}
	}
	for _, not := range []string{"quiet when good", "m/d"} {
		if strings.Contains(out.String(), not) {
			t.Errorf("the report should not show %q:\n%s", not, &out)
		}
	}
}

func TestRunAddsUpItsSteps(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counts")
	var out, errs bytes.Buffer
	step := func(want int, args ...string) {
		t.Helper()
		if got := run(args, &out, &errs); got != want {
			t.Errorf("%v: exit %d, want %d\n%s%s", args, got, want, &out, &errs)
		}
	}
	step(0, "check", path, "good", "true")
	step(0, "skip", path, "absent", "no node here")
	step(0, "run", path, "own counts", "sh", "-c", `echo "4 0 1 mine" > "$TESTSUM_COUNTS"`)
	out.Reset()
	step(0, "total", path)
	if got, want := out.String(), "5 passed, 0 failed, 2 skipped\n"; got != want {
		t.Errorf("total: %q, want %q", got, want)
	}
	step(1, "check", path, "bad", "sh", "-c", "echo broken; false")
	if !strings.Contains(out.String(), "broken") {
		t.Errorf("the output of a failed check is missing:\n%s", &out)
	}
	step(1, "run", path, "counts nothing", "true")
	step(1, "run", path, "dies", "sh", "-c", `echo "1 0 0 mine" > "$TESTSUM_COUNTS"; exit 3`)
	out.Reset()
	step(1, "total", path)
	if got, want := out.String(), "6 passed, 3 failed, 2 skipped\n"; got != want {
		t.Errorf("total: %q, want %q", got, want)
	}
}

func TestNothingCountedIsNoSuccess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "counts")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got := run([]string{"total", path}, &bytes.Buffer{}, &bytes.Buffer{}); got != 1 {
		t.Errorf("exit %d, want 1", got)
	}
	if got := run([]string{"gotest"}, &bytes.Buffer{}, &bytes.Buffer{}); got != 2 {
		t.Errorf("exit %d for a wrong command line, want 2", got)
	}
}

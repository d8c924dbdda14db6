package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// event is one line of go test -json, as far as it is used here.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// report turns the events of a go test run into counts and a short text: one
// line for a package that passed, everything that a failed test printed, and
// the reason of every skip.
type report struct {
	out    io.Writer
	counts counts
	output map[string][]string // by package and test, until its verdict is known
	failed map[string]bool     // packages in which a test failed
	ran    map[string]int      // tests per package
}

func newReport(out io.Writer) *report {
	return &report{
		out:    out,
		output: make(map[string][]string),
		failed: make(map[string]bool),
		ran:    make(map[string]int),
	}
}

func (r *report) read(in io.Reader) error {
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			r.line(line)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the output of go test: %w", err)
		}
	}
}

// line takes one line. What is no event is shown as it is: it comes from the
// go command itself.
func (r *report) line(line []byte) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprintf(r.out, "%s", line)
		return
	}
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		r.output[key] = append(r.output[key], e.Output)
	case "build-output":
		fmt.Fprint(r.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			r.packageDone(e, r.output[key])
		} else {
			r.testDone(e, r.output[key])
		}
		delete(r.output, key)
	}
}

func (r *report) testDone(e event, output []string) {
	r.ran[e.Package]++
	switch e.Action {
	case "pass":
		r.counts.Passed++
	case "skip":
		r.counts.Skipped++
		fmt.Fprintf(r.out, "SKIP  %s %s: %s\n", e.Package, e.Test, reason(output))
	case "fail":
		r.counts.Failed++
		r.failed[e.Package] = true
		fmt.Fprintf(r.out, "FAIL  %s %s\n%s", e.Package, e.Test, strings.Join(output, ""))
	}
}

// packageDone reports a package. One that failed without a failed test did not
// build, or came to its end in the middle of one, as by a panic or a timeout: that is one
// failure, and what that test printed says why.
func (r *report) packageDone(e event, output []string) {
	elapsed := time.Duration(e.Elapsed * float64(time.Second)).Round(10 * time.Millisecond)
	switch {
	case e.Action == "fail":
		if !r.failed[e.Package] {
			r.counts.Failed++
		}
		for _, key := range slices.Sorted(maps.Keys(r.output)) {
			if test, of := strings.CutPrefix(key, e.Package+" "); of && test != "" {
				fmt.Fprintf(r.out, "CUT   %s %s\n%s", e.Package, test, strings.Join(r.output[key], ""))
				delete(r.output, key)
			}
		}
		fmt.Fprintf(r.out, "FAIL  %s (%s)\n%s", e.Package, elapsed, strings.Join(output, ""))
	case r.ran[e.Package] > 0:
		fmt.Fprintf(r.out, "ok    %s (%d tests, %s)\n", e.Package, r.ran[e.Package], elapsed)
	}
}

// reason is what a skipped test said, without the lines of the go command.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "=== ") && !strings.HasPrefix(line, "--- ") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

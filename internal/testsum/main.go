// Command testsum runs the steps of `make test` one at a time and counts what
// they did, so that a run ends with one true line: N passed, N failed.
//
// A step is a Go test run, another command that counts as one check, or a
// command that counts for itself. Each step adds its counts to a file; the
// last step prints their sum and fails if anything failed.
package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
)

const usage = `usage:
  testsum gotest COUNTS STEP ARG…        run go test -json ARG… and count its tests
  testsum check COUNTS STEP COMMAND ARG… run COMMAND; it is one check
  testsum skip COUNTS STEP REASON        say loudly that a step cannot run here
  testsum run COUNTS STEP COMMAND ARG…   run COMMAND; it writes its counts to $TESTSUM_COUNTS
  testsum total COUNTS                   print the sum; exit 1 if anything failed`

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	if len(args) < 2 {
		fmt.Fprintln(stderr, usage)
		return 2
	}
	verb, path, rest := args[0], args[1], args[2:]
	if verb == "total" {
		return total(path, stdout, stderr)
	}
	if len(rest) < 2 {
		fmt.Fprintln(stderr, usage)
		return 2
	}
	step := step{name: rest[0], out: stdout}
	var c counts
	var err error
	switch verb {
	case "gotest":
		c, err = step.goTest(rest[1:])
	case "check":
		c, err = step.check(rest[1:])
	case "skip":
		c = step.skip(rest[1])
	case "run":
		c, err = step.counting(rest[1:])
	default:
		fmt.Fprintln(stderr, usage)
		return 2
	}
	if err != nil {
		fmt.Fprintf(stderr, "testsum: %s: %s\n", step.name, err)
		c.Failed++
	}
	if err := record(path, step.name, c); err != nil {
		fmt.Fprintf(stderr, "testsum: %s\n", err)
		return 1
	}
	if c.Failed > 0 {
		return 1
	}
	return 0
}

// step is one named part of a test run.
type step struct {
	name string
	out  io.Writer
}

// goTest counts the tests of one go test run.
func (s step) goTest(args []string) (counts, error) {
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), append([]string{"test", "-json"}, args...)...)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return counts{}, fmt.Errorf("open a pipe to go test: %w", err)
	}
	cmd.Stderr = s.out
	if err := cmd.Start(); err != nil {
		return counts{}, fmt.Errorf("start go test: %w", err)
	}
	report := newReport(s.out)
	readErr := report.read(stdout)
	waitErr := cmd.Wait()
	c := report.counts
	fmt.Fprintf(s.out, "%s: %s\n", s.name, c)
	if readErr != nil {
		return c, readErr
	}
	if waitErr != nil && c.Failed == 0 {
		return c, fmt.Errorf("go test ended with %w although no test failed", waitErr)
	}
	return c, nil
}

// check runs a command that passes or fails as a whole.
func (s step) check(command []string) (counts, error) {
	cmd := exec.Command(command[0], command[1:]...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		fmt.Fprintf(s.out, "FAIL  %s (%s)\n%s", s.name, err, output)
		return counts{Failed: 1}, nil
	}
	fmt.Fprintf(s.out, "ok    %s\n", s.name)
	return counts{Passed: 1}, nil
}

// skip counts a step that cannot run on this machine.
func (s step) skip(reason string) counts {
	fmt.Fprintf(s.out, "SKIP  %s: %s\n", s.name, reason)
	return counts{Skipped: 1}
}

// counting runs a command that counts its own tests.
func (s step) counting(command []string) (counts, error) {
	file, err := os.CreateTemp("", "testsum-*")
	if err != nil {
		return counts{}, fmt.Errorf("make a file for the counts: %w", err)
	}
	path := file.Name()
	file.Close()
	defer os.Remove(path)
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "TESTSUM_COUNTS="+path)
	cmd.Stdout, cmd.Stderr = s.out, s.out
	runErr := cmd.Run()
	c, err := sum(path)
	if err != nil {
		return counts{}, err
	}
	if runErr != nil && c.Failed == 0 {
		return c, fmt.Errorf("%s ended with %w although it counted no failure", command[0], runErr)
	}
	if c == (counts{}) {
		return c, fmt.Errorf("%s counted no test at all", command[0])
	}
	return c, nil
}

// total prints the line that a run ends with.
func total(path string, stdout, stderr io.Writer) int {
	c, err := sum(path)
	if err != nil {
		fmt.Fprintf(stderr, "testsum: %s\n", err)
		return 1
	}
	fmt.Fprintln(stdout, c)
	if c.Failed > 0 || c.Passed == 0 {
		return 1
	}
	return 0
}

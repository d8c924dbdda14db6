package transcript

import (
	"fmt"
	"regexp"
	"strings"
)

// varying is what differs from one run to the next, and what stands in its place
// when outputs are compared. The order matters.
var varying = []struct {
	pattern *regexp.Regexp
	instead string
}{
	{regexp.MustCompile(`0x[0-9a-fA-F]{6,40}…?`), "ADDRESS"},
	{regexp.MustCompile(`[A-Za-z0-9_-]{43}`), "ID"},
	{regexp.MustCompile(`(^|[^\w-])[\w-]{8}([^\w-]|$)`), "${1}SHORT${2}"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?`), "TIME"},
	{regexp.MustCompile(`\d\d:\d\d:\d\d(\.\d+)?`), "CLOCK"},
	{regexp.MustCompile(`\bn[1-9]\b`), "NODE"},
	{regexp.MustCompile(`[+-]?\b\d+(\.\d+)?\b`), "N"},
	{regexp.MustCompile(`N( N)+`), "N"},
	{regexp.MustCompile(`N [kMGT]?B\b`), "SIZE"},
	{regexp.MustCompile(`N (µs|ms|s|min)\b`), "TOOK"},
	{regexp.MustCompile(`\s+`), " "},
}

// onlyNumber is a line whose number is what the command was asked for: it is
// compared as it is.
var onlyNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

func normal(line string) string {
	line = strings.TrimSpace(line)
	if onlyNumber.MatchString(line) {
		return line
	}
	for _, v := range varying {
		line = v.pattern.ReplaceAllString(line, v.instead)
	}
	return line
}

// Compare tells the first line at which an output is not what a page shows, with
// ids, addresses, times and numbers in a sentence or table taken for equal. "…" in
// the page stands for anything; a line of it alone, for any lines.
func Compare(want, got []string) error {
	want, got = trim(want), trim(got)
	for i := range want {
		if strings.TrimSpace(want[i]) == "…" {
			return compareBehind(want[i+1:], got[i:])
		}
		if i >= len(got) {
			return fmt.Errorf("this line is missing: %q", want[i])
		}
		if !like(want[i], got[i]) {
			return fmt.Errorf("the page shows\n  %s\nand it was\n  %s", want[i], got[i])
		}
	}
	if len(got) > len(want) {
		return fmt.Errorf("the page does not show this line: %q", got[len(want)])
	}
	return nil
}

// compareBehind leaves out as few lines as it can.
func compareBehind(want, got []string) (nearest error) {
	if len(want) == 0 {
		return nil
	}
	for from := range got {
		err := Compare(want, got[from:])
		if err == nil {
			return nil
		}
		if like(want[0], got[from]) {
			nearest = err
		}
	}
	if nearest == nil {
		nearest = fmt.Errorf("behind … this line is missing: %q", want[0])
	}
	return nearest
}

func like(want, got string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(normal(want)), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(normal(got))
}

// trim drops empty lines at the end.
func trim(lines []string) []string {
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	return lines
}

package importtest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parseTable reads the table out of the document: the fenced block whose first
// line starts with "level 6".
func parseTable(document string) ([]level, error) {
	const fence = "```"
	_, rest, found := strings.Cut(document, fence+"\nlevel 6")
	if !found {
		return nil, fmt.Errorf("no fenced block starts with %q", "level 6")
	}
	block, _, found := strings.Cut("level 6"+rest, fence)
	if !found {
		return nil, fmt.Errorf("the block of the table is not closed")
	}
	var levels []level
	for line := range strings.Lines(block) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "level" {
			return nil, fmt.Errorf("%q is no row of the table", line)
		}
		number, err := strconv.Atoi(words[1])
		if err != nil {
			return nil, fmt.Errorf("%q is no row of the table: %w", line, err)
		}
		levels = append(levels, level{number, words[2:]})
	}
	return levels, nil
}

func TestParseTable(t *testing.T) {
	got, err := parseTable("text\n```\nno table\n```\n```\nlevel 6   cmd/*   bench\nlevel 5   node\n```\nmore\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []level{{6, []string{"cmd/*", "bench"}}, {5, []string{"node"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"no block", "```\nlevel 6 cmd\n", "```\nlevel 6 cmd\nnode\n```"} {
		if _, err := parseTable(bad); err == nil {
			t.Errorf("%q was read as a table", bad)
		}
	}
}

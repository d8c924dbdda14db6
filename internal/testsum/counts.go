package main

import (
	"bufio"
	"fmt"
	"os"
)

// counts says how many tests of a step, or of a whole run, did what.
type counts struct {
	Passed, Failed, Skipped int
}

// String is the line that people and machines look for at the end of a run.
func (c counts) String() string {
	line := fmt.Sprintf("%d passed, %d failed", c.Passed, c.Failed)
	if c.Skipped > 0 {
		line += fmt.Sprintf(", %d skipped", c.Skipped)
	}
	return line
}

// record appends one step's counts to the file that a run shares.
func record(path, step string, c counts) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return fmt.Errorf("record the counts of %s: %w", step, err)
	}
	if _, err := fmt.Fprintf(file, "%d %d %d %s\n", c.Passed, c.Failed, c.Skipped, step); err != nil {
		file.Close()
		return fmt.Errorf("record the counts of %s: %w", step, err)
	}
	if err := file.Close(); err != nil {
		return fmt.Errorf("record the counts of %s: %w", step, err)
	}
	return nil
}

// sum adds the counts of all steps in a file.
func sum(path string) (counts, error) {
	file, err := os.Open(path)
	if err != nil {
		return counts{}, fmt.Errorf("read the counts: %w", err)
	}
	defer file.Close()
	var total counts
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var c counts
		if _, err := fmt.Sscanf(lines.Text(), "%d %d %d", &c.Passed, &c.Failed, &c.Skipped); err != nil {
			return counts{}, fmt.Errorf("read the counts in %q: %w", lines.Text(), err)
		}
		total.Passed += c.Passed
		total.Failed += c.Failed
		total.Skipped += c.Skipped
	}
	if err := lines.Err(); err != nil {
		return counts{}, fmt.Errorf("read the counts: %w", err)
	}
	return total, nil
}

package bench

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// The files of a report on virtual machines.
const (
	reportPage      = "report.html"
	reportJSON      = "results.json"
	reportTable     = "results.txt"
	reportBenchstat = "benchstat.txt"
)

// WriteVMReport writes what VM measured into a directory that is there: a page to
// read, and the figures as a table, as JSON and for benchstat.
func WriteVMReport(dir string, report *Report, result *VMResult) error {
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{reportJSON, report.WriteJSON},
		{reportTable, report.WriteTable},
		{reportBenchstat, func(w io.Writer) error { return result.WriteBenchstat(w, report.Machine) }},
		{reportPage, func(w io.Writer) error { return writeVMPage(w, report, result) }},
	} {
		var b bytes.Buffer
		if err := file.write(&b); err != nil {
			return fmt.Errorf("make %s: %w", file.name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
	}
	return nil
}

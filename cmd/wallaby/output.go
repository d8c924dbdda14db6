package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// The values of -o.
const (
	outputTable = "table"
	outputJSON  = "json"
)

// printJSON writes a value for scripts, indented so that people can read it
// too.
func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// printTable writes rows in aligned columns under a heading.
func (a *app) printTable(heading []string, rows [][]string) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heading, "\t"))
	for _, row := range rows {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// printFields writes name and value pairs, one a line.
func (a *app) printFields(fields [][2]string) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, field := range fields {
		fmt.Fprintf(w, "%s\t%s\n", field[0], field[1])
	}
	return w.Flush()
}

// orUnknown is an id as people are shown it who were perhaps told none.
func orUnknown(id ao.ID) string {
	if id.IsZero() {
		return "-"
	}
	return id.String()
}

func formatTimeMS(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02 15:04:05.000")
}

// parseTags reads NAME=VALUE flags in order.
func parseTags(flags []string) (dataitem.Tags, error) {
	tags := make(dataitem.Tags, 0, len(flags))
	for _, flag := range flags {
		name, value, ok := strings.Cut(flag, "=")
		if !ok || name == "" {
			return nil, usageError{fmt.Errorf("tag %q: write it as NAME=VALUE", flag)}
		}
		tags = append(tags, dataitem.Tag{Name: name, Value: value})
	}
	return tags, nil
}

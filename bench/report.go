package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"text/tabwriter"
)

// Report is what a benchmark found, ready for a table or for JSON.
type Report struct {
	Machine Machine `json:"machine"`
	// Date is when it was measured, where that is kept.
	Date string `json:"date,omitempty"`
	// Engines are the virtual machines that were measured.
	Engines []Engine `json:"engines,omitempty"`
	Rows    []Row    `json:"rows"`
	// Notes say what was left out, and why.
	Notes []string `json:"notes,omitempty"`
	// Advice says what the figures mean for a choice.
	Advice []string `json:"advice,omitempty"`
}

// Machine says what the figures were measured on.
type Machine struct {
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"`
	Go     string `json:"go"`
	Memory string `json:"memory"`
}

// Engine is a virtual machine that was measured.
type Engine struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
}

// Row is one figure, beside the peer's where there is one.
type Row struct {
	Case      string  `json:"case"`
	Metric    string  `json:"metric"`
	Unit      string  `json:"unit"`
	Value     float64 `json:"value"`
	Peer      string  `json:"peer,omitempty"`
	PeerValue float64 `json:"peer_value,omitempty"`
	// Ratio is above 1 when Wallaby is better, whatever the metric's direction.
	Ratio float64 `json:"ratio,omitempty"`
}

// Higher makes a row of a metric of which more is better.
func Higher(name, metric, unit string, value float64, peer string, peerValue float64) Row {
	row := Row{Case: name, Metric: metric, Unit: unit, Value: value}
	if peer != "" && peerValue > 0 {
		row.Peer, row.PeerValue, row.Ratio = peer, peerValue, value/peerValue
	}
	return row
}

// Lower makes a row of a metric of which less is better.
func Lower(name, metric, unit string, value float64, peer string, peerValue float64) Row {
	row := Row{Case: name, Metric: metric, Unit: unit, Value: value}
	if peer != "" && value > 0 {
		row.Peer, row.PeerValue, row.Ratio = peer, peerValue, peerValue/value
	}
	return row
}

// NewReport describes this machine.
func NewReport() *Report {
	return &Report{Machine: Machine{
		OS: runtime.GOOS, Arch: runtime.GOARCH, Cores: runtime.NumCPU(), Go: runtime.Version(),
		CPU:    procField("/proc/cpuinfo", "model name"),
		Memory: procField("/proc/meminfo", "MemTotal"),
	}}
}

// Add appends rows.
func (r *Report) Add(rows ...Row) { r.Rows = append(r.Rows, rows...) }

// WriteJSON prints the report for scripts.
func (r *Report) WriteJSON(to io.Writer) error {
	encoder := json.NewEncoder(to)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// WriteTable prints the report for people.
func (r *Report) WriteTable(to io.Writer) error {
	m := r.Machine
	fmt.Fprintf(to, "%s, %d cores, %s, %s/%s, %s\n\n", m.CPU, m.Cores, m.Memory, m.OS, m.Arch, m.Go)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "case\tmetric\twallaby\tpeer\tpeer's\tratio")
	for _, row := range r.Rows {
		peer, peerValue, ratio := "-", "-", "-"
		if row.Peer != "" {
			peer, peerValue, ratio = row.Peer, formatValue(row.PeerValue, row.Unit), fmt.Sprintf("%.2f", row.Ratio)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Case, row.Metric, formatValue(row.Value, row.Unit), peer, peerValue, ratio)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(w, "\n"+note)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return r.writeAdvice(to)
}

func (r *Report) writeAdvice(to io.Writer) error {
	for i, sentence := range r.Advice {
		if i == 0 {
			fmt.Fprintln(to)
		}
		if _, err := fmt.Fprintln(to, "* "+sentence); err != nil {
			return err
		}
	}
	return nil
}

func formatValue(value float64, unit string) string {
	switch {
	case value >= 100:
		return fmt.Sprintf("%.0f %s", value, unit)
	case value >= 1:
		return fmt.Sprintf("%.2f %s", value, unit)
	default:
		return fmt.Sprintf("%.3g %s", value, unit)
	}
}

// procField reads one "name : value" line of a /proc file; elsewhere than on
// Linux there is none and the field stays "unknown".
func procField(path, name string) string {
	f, err := os.Open(path)
	if err != nil {
		return "unknown"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

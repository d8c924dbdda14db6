package bench

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strconv"
	"strings"
)

//go:embed vmpage.html
var vmPageText string

var vmPageTemplate = template.Must(template.New("vmpage.html").Parse(vmPageText))

// vmPage is what the template shows.
type vmPage struct {
	Date    string
	Facts   []fact
	Rounds  int
	Loader  bool
	Notes   []string
	Modules []vmPageModule
}

// fact is a line of a list.
type fact struct{ Name, Value string }

type vmPageModule struct {
	Name    string
	Engines []string
	Figures []figure
	HasGas  bool
	Works   []workTable
	Starts  [][]string // a name, and a cell for each engine
}

// figure is a diagram with its legend.
type figure struct {
	Title, Note string
	Lines       bool
	Legend      []swatch
	SVG         template.HTML
}

type swatch struct{ Name, Colour, Dash string }

// workTable is a workload's part of the table, a line for each engine.
type workTable struct {
	Name  string
	Lines []workLine
}

type workLine struct{ Engine, Median, P99, Messages, Gas, Ratio string }

// writeVMPage writes a page that needs nothing but itself.
func writeVMPage(to io.Writer, report *Report, result *VMResult) error {
	page := vmPage{Date: report.Date, Facts: machineFacts(report), Notes: report.Notes}
	for _, module := range result.Modules {
		figures, err := module.figures(result)
		if err != nil {
			return err
		}
		page.Loader = page.Loader || module.Loader != nil
		page.Modules = append(page.Modules, module.page(figures))
		for _, run := range module.Runs {
			for _, work := range run.Works {
				page.Rounds = max(page.Rounds, len(work.Rounds))
			}
		}
	}
	return vmPageTemplate.Execute(to, page)
}

func machineFacts(report *Report) []fact {
	m := report.Machine
	facts := []fact{
		{"Processor", m.CPU}, {"Cores", strconv.Itoa(m.Cores)}, {"Memory", readableMemory(m.Memory)},
		{"System", m.OS + "/" + m.Arch}, {"Go", strings.TrimPrefix(m.Go, "go")},
	}
	if report.Date != "" {
		facts = append(facts, fact{"Measured", report.Date})
	}
	for _, engine := range report.Engines {
		version := engine.Version
		if version == "" {
			version = "version not known"
		}
		facts = append(facts, fact{engine.Name, version})
	}
	return facts
}

// readableMemory makes GB of the kernel's kB.
func readableMemory(text string) string {
	number, ok := strings.CutSuffix(text, " kB")
	if kB, err := strconv.ParseFloat(number, 64); ok && err == nil {
		return fmt.Sprintf("%.1f GB", kB*1024/1e9)
	}
	return text
}

func (m VMModule) page(figures []figure) vmPageModule {
	page := vmPageModule{Name: m.Name, Figures: figures}
	for _, name := range m.workNames() {
		table := workTable{Name: name}
		for _, run := range m.all() {
			if work, ok := run.work(name); ok && len(work.times()) > 0 {
				line := m.line(run.Engine, work)
				page.HasGas = page.HasGas || line.Gas != noValue
				table.Lines = append(table.Lines, line)
			}
		}
		page.Works = append(page.Works, table)
	}
	for _, run := range m.Runs {
		page.Engines = append(page.Engines, run.Engine)
	}
	page.Starts = m.startTable()
	return page
}

// noValue stands where there is nothing to say.
const noValue = "–"

func (m VMModule) line(engine string, work VMWork) workLine {
	messages, gas := work.perSecond()
	line := workLine{
		Engine: engine, Median: formatValue(work.medianMS(), "ms"), P99: formatValue(work.p99MS(), "ms"),
		Messages: formatValue(messages, "1/s"), Gas: noValue, Ratio: noValue,
	}
	if gas > 0 {
		line.Gas = tickText(gas) + " gas/s"
	}
	if ratio, ok := m.speed(work); ok && engine != loaderName {
		line.Ratio = formatRatio(ratio)
	}
	return line
}

// speed says how many times as fast as the loader a workload's median is.
func (m VMModule) speed(work VMWork) (float64, bool) {
	reference := m.reference(work.Name)
	if len(reference.times()) == 0 || work.medianMS() == 0 {
		return 0, false
	}
	return reference.medianMS() / work.medianMS(), true
}

func formatRatio(ratio float64) string { return fmt.Sprintf("%.2f×", ratio) }

// startTable gives a line for each step of starting, and for sizes.
func (m VMModule) startTable() [][]string {
	if len(m.Runs) == 0 {
		return nil
	}
	var table [][]string
	add := func(name string, cell func(run VMRun) string) {
		line := []string{name}
		for _, run := range m.Runs {
			line = append(line, cell(run))
		}
		table = append(table, line)
	}
	for _, step := range m.Runs[0].Starts {
		add(step.Name, func(run VMRun) string {
			if ms, ok := run.startMS(step.Name); ok {
				return formatValue(ms, "ms")
			}
			return noValue
		})
	}
	add("size of a snapshot", func(run VMRun) string { return formatValue(float64(run.SnapshotBytes)/1e6, "MB") })
	add("memory of a process", func(run VMRun) string { return formatValue(float64(run.ResidentBytes)/1e6, "MB") })
	return table
}

package bench

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// madeUpRun gives an engine's figures that nobody measured: each workload takes
// so many milliseconds for its first message and a little more for each after it.
func madeUpRun(engine string, ms float64, gas uint64) *VMRun {
	run := newVMRun(engine, vmWorks())
	for w := range run.Works {
		for round := range 2 {
			r := VMRound{Gas: gas}
			for n := range 5 {
				r.Times = append(r.Times, time.Duration((ms*float64(w+1)+float64(n+round)/100)*float64(time.Millisecond)))
			}
			run.Works[w].Rounds = append(run.Works[w].Rounds, r)
		}
	}
	return run
}

func madeUpEngine(engine string, ms float64, gas uint64) VMRun {
	run := madeUpRun(engine, ms, gas)
	for i, step := range []string{startCompile, startLoad, startInstantiate, startFirst, startCold, startSnapshot, startRestore} {
		run.addStart(step, time.Duration(i+1)*time.Millisecond)
		run.addStart(step, time.Duration(i+2)*time.Millisecond)
	}
	run.SnapshotBytes, run.ResidentBytes = 2_100_000, 3_960_000
	return *run
}

// madeUpResult has a module with a loader beside it, and one that reports gas,
// has no loader, and a name that is not to become a part of the page.
func madeUpResult() *VMResult {
	return &VMResult{
		Engines: []Engine{{loaderName, "0.0.49"}, {"wazero", "wazero 1.12"}, {"odd & <b>", ""}},
		Modules: []VMModule{
			{Name: "aos", Runs: []VMRun{madeUpEngine("wazero", 0.5, 0), madeUpEngine("odd & <b>", 2, 0)}, Loader: madeUpRun(loaderName, 1, 0)},
			{Name: "<script>alert(1)</script>", Runs: []VMRun{madeUpEngine("wazero", 0.5, 1_000_000)}},
		},
		Notes: []string{"odd & <b> does not run <script>"},
	}
}

// writeMadeUp writes a report on a result and gives its files.
func writeMadeUp(t *testing.T, result *VMResult) map[string]string {
	t.Helper()
	dir := t.TempDir()
	report := NewReport()
	report.Machine = Machine{OS: "linux", Arch: "amd64", CPU: "Made <Up> CPU", Cores: 2, Go: "go1.26", Memory: "24684084 kB"}
	report.Date, report.Engines, report.Notes = "2026-01-02 03:04:05 UTC", result.Engines, result.Notes
	report.Add(result.Rows()...)
	if err := WriteVMReport(dir, report, result); err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, name := range []string{reportPage, reportJSON, reportTable, reportBenchstat} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(b)
	}
	return files
}

// textOf gives the text of a page, and fails if elements are not closed.
func textOf(t *testing.T, page string) (text string, elements map[string]int) {
	t.Helper()
	var b strings.Builder
	elements = map[string]int{}
	decoder := xml.NewDecoder(strings.NewReader(page))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return b.String(), elements
		}
		if err != nil {
			t.Fatalf("the page is not well formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			elements[token.Name.Local]++
		case xml.CharData:
			b.Write(token)
		}
	}
}

func TestVMPageShowsEverythingAndNeedsNothing(t *testing.T) {
	result := madeUpResult()
	page := writeMadeUp(t, result)[reportPage]
	text, elements := textOf(t, page)
	want := []string{"Made <Up> CPU", "25.3 GB", "2026-01-02", "<script>alert(1)</script>", "odd & <b> does not run <script>", "wazero 1.12", "gas/s", startCold, "3.96 MB"}
	for _, engine := range result.Engines {
		want = append(want, engine.Name)
	}
	for _, work := range vmWorks() {
		want = append(want, work.name)
	}
	for _, part := range want {
		if !strings.Contains(text, part) {
			t.Errorf("the page does not show %q", part)
		}
	}
	if strings.Contains(page, "<script") {
		t.Error("a name became a part of the page")
	}
	if outside := regexp.MustCompile(`(?i)(src|href)\s*=|@import|url\(|<link|<iframe`).FindString(page); outside != "" {
		t.Errorf("the page refers to something: %s", outside)
	}
	if elements["figure"] != 6 || elements["table"] != 4 || elements["h2"] != 4 {
		t.Errorf("elements of the page: %v", elements)
	}
}

func TestVMDiagramsStandBesideTheLoaderIfThereIsOne(t *testing.T) {
	result := madeUpResult()
	for i, want := range []string{"times as fast as " + loaderName, "median, ms"} {
		figures, err := result.Modules[i].figures(result)
		if err != nil {
			t.Fatal(err)
		}
		if text, _ := textOf(t, string(figures[0].SVG)); len(figures) != 3 || !strings.Contains(text, want) {
			t.Errorf("%d diagrams; the first does not say %q: %s", len(figures), want, text)
		}
	}
	// Half a millisecond and a little, beside one and a little.
	if speed, ok := result.Modules[0].speed(result.Modules[0].Runs[0].Works[0]); !ok || speed < 1.8 || speed > 2 {
		t.Errorf("wazero is %v times as fast, %v", speed, ok)
	}
	if _, ok := result.Modules[1].speed(result.Modules[1].Runs[0].Works[0]); ok {
		t.Error("a speed beside no loader")
	}
}

func TestVMPageOfNothing(t *testing.T) {
	empty := madeUpResult()
	empty.Modules = []VMModule{{Name: "none"}, {Name: "nothing", Runs: []VMRun{{Engine: "wazero"}}, Loader: &VMRun{Engine: loaderName}}}
	textOf(t, writeMadeUp(t, empty)[reportPage])
	zeros := madeUpResult()
	for _, work := range zeros.Modules[0].Runs[0].Works {
		for _, round := range work.Rounds {
			clear(round.Times)
		}
	}
	textOf(t, writeMadeUp(t, zeros)[reportPage])
}

func TestBenchstatReadsTheRounds(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(writeMadeUp(t, madeUpResult())[reportBenchstat]), "\n")
	if want := []string{"goos: linux", "goarch: amd64", "cpu: Made <Up> CPU"}; !slices.Equal(lines[:3], want) {
		t.Errorf("the head is %q", lines[:3])
	}
	// A name, how many, and values with units: all that the format knows.
	line := regexp.MustCompile(`^BenchmarkVM(Start)?/module=[^\s/]+/(work|step)=[^\s/]+/engine=[^\s/]+ [0-9]+ [0-9]+ ns/op( [0-9]+ gas/s)?$`)
	withGas := 0
	for _, text := range lines[3:] {
		if !line.MatchString(text) {
			t.Errorf("benchstat cannot read %q", text)
		}
		if strings.Contains(text, "gas/s") {
			withGas++
		}
	}
	works := len(vmWorks())
	// Two rounds: three engines and the loader, and seven steps of three engines.
	if want := 2 * (4*works + 3*7); len(lines)-3 != want || withGas != 2*works {
		t.Errorf("%d lines, want %d; %d with gas", len(lines)-3, want, withGas)
	}
	if first := "BenchmarkVM/module=aos/work=trivial_Eval/engine=ao-loader_no_copy 5 1020000 ns/op"; lines[3] != first {
		t.Errorf("the first is %q", lines[3])
	}
}

func TestVMRowsNameTheModuleIfThereAreSeveral(t *testing.T) {
	result := madeUpResult()
	compared := regexp.MustCompile(` (median|p99|messages)$`)
	var found []string
	for _, row := range result.Rows() {
		if !strings.HasPrefix(row.Case, "aos, ") && !strings.HasPrefix(row.Case, "<script>alert(1)</script>, ") {
			t.Errorf("a row of no module: %+v", row)
		}
		if want := strings.HasPrefix(row.Case, "aos, ") && compared.MatchString(row.Metric); want != (row.Peer == loaderName) {
			t.Errorf("beside the loader: %+v", row)
		}
		if row.Unit == "gas/s" && strings.HasPrefix(row.Case, "aos, ") {
			t.Errorf("gas of a format that reports none: %+v", row)
		}
		found = append(found, row.Case+" "+row.Metric)
	}
	for _, want := range []string{"aos, JSON wazero median", "<script>alert(1)</script>, JSON wazero gas", "aos, cold start odd & <b>", "aos, memory wazero of a process"} {
		if !slices.Contains(found, want) {
			t.Errorf("there is no row %q", want)
		}
	}
	result.Modules = result.Modules[:1]
	if row := result.Rows()[0]; row.Case != trivialWork || row.Metric != "wazero median" || row.Peer != loaderName {
		t.Errorf("the first row of the only module is %+v", row)
	}
}

func TestVMResultsAreThoseThatArePrinted(t *testing.T) {
	files := writeMadeUp(t, madeUpResult())
	var report Report
	if err := json.Unmarshal([]byte(files[reportJSON]), &report); err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if table.String() != files[reportTable] || len(report.Rows) == 0 || len(report.Engines) != 3 {
		t.Errorf("the table and the JSON differ:\n%s\n%s", &table, files[reportTable])
	}
}

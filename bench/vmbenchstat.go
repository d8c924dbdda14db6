package bench

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
)

// WriteBenchstat prints each round as a line of Go's benchmark format, so that
// benchstat can compare engines (-col /engine) and runs.
func (r *VMResult) WriteBenchstat(to io.Writer, machine Machine) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "goos: %s\ngoarch: %s\ncpu: %s\n", machine.OS, machine.Arch, oneLine(machine.CPU))
	for _, module := range r.Modules {
		for _, run := range module.all() {
			for _, work := range run.Works {
				for _, round := range work.Rounds {
					writeRound(w, benchName("BenchmarkVM", "module", module.Name, "work", work.Name, "engine", run.Engine), round)
				}
			}
			for _, step := range run.Starts {
				for _, took := range step.Times {
					writeRound(w, benchName("BenchmarkVMStart", "module", module.Name, "step", step.Name, "engine", run.Engine), VMRound{Times: []time.Duration{took}})
				}
			}
		}
	}
	return w.Flush()
}

// writeRound prints the mean of a round, which is what Go's benchmarks print.
func writeRound(w io.Writer, name string, round VMRound) {
	seconds := round.seconds()
	if len(round.Times) == 0 || seconds == 0 {
		return
	}
	fmt.Fprintf(w, "%s %d %.0f ns/op", name, len(round.Times), seconds*1e9/float64(len(round.Times)))
	if round.Gas > 0 {
		fmt.Fprintf(w, " %.0f gas/s", float64(round.Gas)/seconds)
	}
	fmt.Fprintln(w)
}

// benchName joins keys and values as the format asks for: without spaces, and
// without what separates them.
func benchName(name string, pairs ...string) string {
	for i := 0; i < len(pairs); i += 2 {
		name += "/" + pairs[i] + "=" + strings.Map(func(r rune) rune {
			if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("_.-", r) {
				return r
			}
			return '_'
		}, strings.ReplaceAll(pairs[i+1], ",", ""))
	}
	return name
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

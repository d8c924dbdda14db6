package bench

import (
	"slices"
	"time"
)

// VMResult is all that VM measured.
type VMResult struct {
	Engines []Engine
	Modules []VMModule
	// Notes say what was left out, and why.
	Notes []string
}

// VMModule is one module on the engines that run it.
type VMModule struct {
	Name string
	Runs []VMRun
	// Loader is the reference loader on the same work; nil without.
	Loader *VMRun
}

// VMRun is what one engine did with one module.
type VMRun struct {
	Engine string
	Works  []VMWork
	Starts []VMStart
	// SnapshotBytes is the size of a state, ChangedBytes what a node stores of it
	// after one more Eval, and ResidentBytes the size of a process in memory.
	SnapshotBytes, ChangedBytes, ResidentBytes uint64
}

// VMWork is one workload, round for round.
type VMWork struct {
	Name   string
	Rounds []VMRound
}

// VMRound is one round of messages.
type VMRound struct {
	Times []time.Duration
	// Gas is what all of them used; 0 where the module's format reports none.
	Gas uint64
}

// VMStart is one step of starting or moving a process, once for each round.
type VMStart struct {
	Name  string
	Times []time.Duration
}

// The steps of starting and moving a process.
const (
	startCompile     = "compile"
	startLoad        = "load compiled code"
	startInstantiate = "instantiate"
	startFirst       = "first message"
	startCold        = "cold start"
	startSnapshot    = "snapshot"
	startRestore     = "restore to first result"
)

const loaderName = "ao-loader, no copy"

func newVMRun(engine string, works []vmWork) *VMRun {
	run := &VMRun{Engine: engine}
	for _, work := range works {
		run.Works = append(run.Works, VMWork{Name: work.name})
	}
	return run
}

func (r *VMResult) addEngine(name, version string) {
	if !slices.ContainsFunc(r.Engines, func(e Engine) bool { return e.Name == name }) {
		r.Engines = append(r.Engines, Engine{name, version})
	}
}

func (r *VMRun) addStart(name string, took time.Duration) {
	for i := range r.Starts {
		if r.Starts[i].Name == name {
			r.Starts[i].Times = append(r.Starts[i].Times, took)
			return
		}
	}
	r.Starts = append(r.Starts, VMStart{name, []time.Duration{took}})
}

// all gives the loader, if there is one, and the engines.
func (m VMModule) all() []VMRun {
	if m.Loader == nil {
		return m.Runs
	}
	return append([]VMRun{*m.Loader}, m.Runs...)
}

// work gives a workload by its name.
func (r *VMRun) work(name string) (VMWork, bool) {
	i := slices.IndexFunc(r.Works, func(w VMWork) bool { return w.Name == name })
	if i < 0 {
		return VMWork{}, false
	}
	return r.Works[i], true
}

// startMS gives the median of a step; false if the run does not have it.
func (r *VMRun) startMS(name string) (ms float64, ok bool) {
	for _, s := range r.Starts {
		if s.Name == name && len(s.Times) > 0 {
			return quantileMS(s.Times, 0.5), true
		}
	}
	return 0, false
}

// times gives the times of all messages of all rounds.
func (w VMWork) times() []time.Duration {
	var all []time.Duration
	for _, round := range w.Rounds {
		all = append(all, round.Times...)
	}
	return all
}

func (w VMWork) medianMS() float64 { return quantileMS(w.times(), 0.5) }

func (w VMWork) p99MS() float64 { return quantileMS(w.times(), 0.99) }

// perSecond gives messages a second, and the gas they use a second.
func (w VMWork) perSecond() (messages, gas float64) {
	var count, used, seconds float64
	for _, round := range w.Rounds {
		count += float64(len(round.Times))
		used += float64(round.Gas)
		seconds += round.seconds()
	}
	if seconds == 0 {
		return 0, 0
	}
	return count / seconds, used / seconds
}

func (r VMRound) seconds() float64 {
	var sum time.Duration
	for _, took := range r.Times {
		sum += took
	}
	return sum.Seconds()
}

// quantileMS gives a quantile of some times; 0 if there are none.
func quantileMS(times []time.Duration, quantile float64) float64 {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	at := min(int(quantile*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at]) / float64(time.Millisecond)
}

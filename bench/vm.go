package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// VMOptions say what VM measures.
type VMOptions struct {
	Dir     string // scratch
	Module  string // aos
	Plugins []string
	// Rounds is how often the engines take turns.
	Rounds   int
	Progress func(what string)
}

// machine is one engine with a process of its own for each workload.
type machine struct {
	driver    vm.Driver
	open      func(cacheDir string) (vm.Driver, error)
	processes []vm.Process
	sent      []int
	answers   []string
	times     [][]time.Duration // by workload

	compile, cached, instantiate, boot, snapshot, restore []time.Duration
	snapshotBytes, residentBytes                          uint64
}

// VM compares virtual machines on the work of an aos process, and with the
// reference loader in its mode without copies. The engines take turns; figures
// are medians over all rounds. It gives an error if engines answer differently.
func VM(ctx context.Context, o VMOptions) (rows []Row, notes []string, err error) {
	source, err := readModule(o.Module)
	if err != nil {
		return nil, nil, err
	}
	machines := []*machine{{open: func(dir string) (vm.Driver, error) { return wazero.NewDriver(wazero.Options{CacheDir: dir}) }}}
	for _, path := range o.Plugins {
		machines = append(machines, &machine{open: func(dir string) (vm.Driver, error) {
			return plugin.New(plugin.Options{Path: path, CacheDir: dir}), nil
		}})
	}
	defer func() {
		for _, m := range machines {
			err = errors.Join(err, m.close())
		}
	}()
	works := vmWorks()
	for i, m := range machines {
		o.Progress(fmt.Sprintf("the start of engine %d of %d", i+1, len(machines)))
		if err := m.start(ctx, filepath.Join(o.Dir, fmt.Sprint("cache", i)), source, works); err != nil {
			return nil, nil, err
		}
	}
	loader, loaderErr := OpenLoaderPeer(ctx)
	if loaderErr != nil {
		notes = append(notes, loaderErr.Error())
	}
	reference := make([][]time.Duration, len(works))
	for w, work := range works {
		for _, m := range machines {
			if err := m.run(ctx, w, work); err != nil {
				return nil, nil, fmt.Errorf("%s on %s: %w", work.name, m.driver.Name(), err)
			}
			m.times[w] = nil // that was to warm up
		}
	}
	for round := range o.Rounds {
		for w, work := range works {
			o.Progress(fmt.Sprintf("round %d of %d: %s", round+1, o.Rounds, work.name))
			for _, m := range machines {
				if err := m.run(ctx, w, work); err != nil {
					return nil, nil, fmt.Errorf("%s on %s: %w", work.name, m.driver.Name(), err)
				}
			}
			if loader != nil {
				times, err := runLoader(ctx, loader, o.Module, source.Format, work)
				if err != nil {
					return nil, nil, err
				}
				reference[w] = append(reference[w], times...)
			}
		}
		for _, m := range machines {
			if err := m.move(ctx, source); err != nil {
				return nil, nil, err
			}
		}
	}
	for w, work := range works {
		for _, m := range machines {
			if m.answers[w] != machines[0].answers[w] {
				return nil, nil, fmt.Errorf("%s: %s answers %s and %s %s", work.name, machines[0].driver.Name(), machines[0].answers[w], m.driver.Name(), m.answers[w])
			}
			rows = append(rows, m.workRows(w, work, reference[w])...)
		}
	}
	for _, m := range machines {
		rows = append(rows, m.startRows()...)
	}
	return rows, notes, nil
}

func readModule(path string) (vm.Source, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return vm.Source{}, fmt.Errorf("read module: %w", err)
	}
	format, err := wasm.DetectFormat(b)
	return vm.Source{Format: format, Bytes: b}, err
}

// start compiles the module, finds it compiled, and boots a process for each
// workload.
func (m *machine) start(ctx context.Context, cacheDir string, source vm.Source, works []vmWork) error {
	for _, times := range []*[]time.Duration{&m.compile, &m.cached} {
		if err := m.close(); err != nil {
			return err
		}
		driver, err := m.open(cacheDir)
		if err != nil {
			return err
		}
		m.driver = driver
		if p, ok := driver.(*plugin.Driver); ok { // starting its process is not what is measured
			if _, err := p.Describe(ctx); err != nil {
				return err
			}
		}
		begun := time.Now()
		if _, err := driver.Load(ctx, source); err != nil {
			return err
		}
		*times = append(*times, time.Since(begun))
	}
	m.times, m.answers, m.sent = make([][]time.Duration, len(works)), make([]string, len(works)), make([]int, len(works))
	for w, work := range works {
		module, err := m.driver.Load(ctx, source)
		if err != nil {
			return err
		}
		begun := time.Now()
		p, err := module.New(ctx, vm.Config{}, nil)
		if err != nil {
			return err
		}
		m.instantiate = append(m.instantiate, time.Since(begun))
		m.processes = append(m.processes, p)
		took, _, err := handle(ctx, p, vmMessage(0, " "))
		if err != nil {
			return err
		}
		m.boot = append(m.boot, took)
		if _, _, err := handle(ctx, p, vmMessage(1, work.setUp())); err != nil {
			return err
		}
		m.sent[w] = 1
	}
	return nil
}

func handle(ctx context.Context, p vm.Process, message []byte) (time.Duration, vm.Output, error) {
	begun := time.Now()
	output, err := p.Handle(ctx, vm.Call{Message: message, Env: vmEnv(), GasLimit: vmGas})
	return time.Since(begun), output, err
}

// run sends one round of a workload.
func (m *machine) run(ctx context.Context, w int, work vmWork) error {
	for range work.count {
		m.sent[w]++
		took, output, err := handle(ctx, m.processes[w], vmMessage(m.sent[w], work.lua))
		if err != nil {
			return err
		}
		var answer struct{ Output struct{ Data any } }
		if err := json.Unmarshal(output.Response, &answer); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		m.times[w] = append(m.times[w], took)
		m.answers[w] = fmt.Sprint(answer.Output.Data)
	}
	return nil
}

// move takes a snapshot of the first process and has another go on from it.
func (m *machine) move(ctx context.Context, source vm.Source) error {
	var s state
	begun := time.Now()
	if err := m.processes[0].Snapshot(&s); err != nil {
		return err
	}
	m.snapshot = append(m.snapshot, time.Since(begun))
	m.snapshotBytes = s.bytes()
	m.residentBytes = m.processes[0].ResidentBytes()
	module, err := m.driver.Load(ctx, source)
	if err != nil {
		return err
	}
	begun = time.Now()
	p, err := module.New(ctx, vm.Config{}, stateReader{&s})
	if err != nil {
		return err
	}
	if _, _, err := handle(ctx, p, vmMessage(1_000_000, "return 1")); err != nil {
		return errors.Join(err, p.Close())
	}
	m.restore = append(m.restore, time.Since(begun))
	return p.Close()
}

func (m *machine) close() error {
	var err error
	for _, p := range m.processes {
		err = errors.Join(err, p.Close())
	}
	m.processes = nil
	if m.driver != nil {
		err = errors.Join(err, m.driver.Close())
		m.driver = nil
	}
	return err
}

// warmUpMS is how long the loader runs a workload before it is timed. Ours have
// nothing to warm up but caches, which their first round does.
const warmUpMS = 1500

const loaderName = "ao-loader, no copy"

func (m *machine) workRows(w int, work vmWork, reference []time.Duration) []Row {
	name := m.driver.Name()
	return []Row{
		lower(work.name, name+" median", milliseconds(m.times[w], 0.5), reference, 0.5),
		lower(work.name, name+" p99", milliseconds(m.times[w], 0.99), reference, 0.99),
	}
}

func lower(name, metric string, value float64, reference []time.Duration, quantile float64) Row {
	if len(reference) == 0 {
		return Lower(name, metric, "ms", value, "", 0)
	}
	return Lower(name, metric, "ms", value, loaderName, milliseconds(reference, quantile))
}

func (m *machine) startRows() []Row {
	name := m.driver.Name()
	var rows []Row
	for _, one := range []struct {
		what  string
		times []time.Duration
	}{
		{"compile", m.compile}, {"load compiled code", m.cached}, {"instantiate", m.instantiate}, {"first message", m.boot},
		{"snapshot", m.snapshot}, {"restore to first result", m.restore},
	} {
		rows = append(rows, Lower(one.what, name, "ms", milliseconds(one.times, 0.5), "", 0))
	}
	return append(rows,
		Lower("snapshot", name+" size", "MB", float64(m.snapshotBytes)/1e6, "", 0),
		Lower("memory", name+" of a process", "MB", float64(m.residentBytes)/1e6, "", 0))
}

// milliseconds gives a quantile of some times.
func milliseconds(times []time.Duration, quantile float64) float64 {
	sorted := slices.Sorted(slices.Values(times))
	at := min(int(quantile*float64(len(sorted))), len(sorted)-1)
	return float64(sorted[at]) / float64(time.Millisecond)
}

// runLoader gives the loader one round of a workload.
func runLoader(ctx context.Context, loader *LoaderPeer, module, format string, work vmWork) ([]time.Duration, error) {
	job := LoaderJob{Wasm: module, Format: format, Env: vmEnv(), First: vmMessage(0, " "), KeepMemory: true, WarmUpMS: warmUpMS,
		Messages: []json.RawMessage{vmMessage(1, work.setUp())}}
	for n := range work.count {
		job.Messages = append(job.Messages, vmMessage(n+2, work.lua))
	}
	timing, err := loader.Run(ctx, job)
	if err != nil {
		return nil, err
	}
	if len(timing.Milliseconds) != len(job.Messages) {
		return nil, fmt.Errorf("the loader timed %d of %d messages", len(timing.Milliseconds), len(job.Messages))
	}
	var times []time.Duration
	for _, ms := range timing.Milliseconds[1:] {
		times = append(times, time.Duration(ms*float64(time.Millisecond)))
	}
	return times, nil
}

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/klauspost/compress/s2"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
)

// machine is one engine with one module, and a process of its own for each
// workload.
type machine struct {
	open   func(cacheDir string) (vm.Driver, error)
	source vm.Source
	dir    string // for compiled code

	name, version string
	driver        vm.Driver
	module        vm.Module
	refusal       error // why the engine does not run the module
	processes     []vm.Process
	sent          []int
	answers       []string
	run           *VMRun
}

// load opens the engine and has it compile the module.
func (m *machine) load(ctx context.Context) (err error) {
	if m.driver, err = m.openDriver(ctx, filepath.Join(m.dir, "code")); err != nil {
		return err
	}
	m.name = m.driver.Name()
	if p, ok := m.driver.(*plugin.Driver); ok {
		about, err := p.Describe(ctx)
		if err != nil {
			return err
		}
		m.version = about.Engine
	}
	m.module, err = m.driver.Load(ctx, m.source)
	if refusal, ok := errors.AsType[*vm.UnsupportedError](err); ok {
		m.refusal = refusal
		return nil
	}
	return err
}

// openDriver opens a driver and, if it is a plugin, has its process started.
func (m *machine) openDriver(ctx context.Context, cacheDir string) (vm.Driver, error) {
	driver, err := m.open(cacheDir)
	if err != nil {
		return nil, err
	}
	if p, ok := driver.(*plugin.Driver); ok {
		if _, err := p.Describe(ctx); err != nil {
			return nil, errors.Join(err, driver.Close())
		}
	}
	return driver, nil
}

// worksOf gives the workloads that the module has the libraries for.
func (m *machine) worksOf(ctx context.Context) ([]vmWork, error) {
	p, err := m.module.New(ctx, vm.Config{}, nil)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if _, _, err := handle(ctx, p, vmMessage(0, " ")); err != nil {
		return nil, fmt.Errorf("boot: %w", err)
	}
	var works []vmWork
	for i, work := range vmWorks() {
		if work.library != "" {
			_, output, err := handle(ctx, p, vmMessage(i+1, libraryLua(work.library)))
			if err != nil {
				return nil, fmt.Errorf("look for %s: %w", work.library, err)
			}
			if !strings.Contains(string(output.Response), libraryAnswer) {
				continue
			}
		}
		works = append(works, work)
	}
	return works, nil
}

// boot starts a process for each workload.
func (m *machine) boot(ctx context.Context, works []vmWork) error {
	m.answers, m.sent, m.run = make([]string, len(works)), make([]int, len(works)), newVMRun(m.name, works)
	for w, work := range works {
		p, err := m.module.New(ctx, vm.Config{}, nil)
		if err != nil {
			return err
		}
		m.processes = append(m.processes, p)
		for n, lua := range []string{" ", work.setUp()} {
			if _, _, err := handle(ctx, p, vmMessage(n, lua)); err != nil {
				return err
			}
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

// work sends one round of a workload.
func (m *machine) work(ctx context.Context, w int, work vmWork) (round VMRound, err error) {
	for range work.count {
		m.sent[w]++
		took, output, err := handle(ctx, m.processes[w], vmMessage(m.sent[w], work.lua))
		if err != nil {
			return round, err
		}
		var answer struct{ Output struct{ Data any } }
		if err := json.Unmarshal(output.Response, &answer); err != nil {
			return round, fmt.Errorf("read the answer: %w", err)
		}
		round.Times = append(round.Times, took)
		round.Gas += output.GasUsed
		m.answers[w] = fmt.Sprint(answer.Output.Data)
	}
	return round, nil
}

// start is how long each step of a beginning takes.
type start struct{ open, load, instantiate, first time.Duration }

// starts measures what it takes to begin, with no compiled code and with it.
func (m *machine) starts(ctx context.Context) error {
	cacheDir := filepath.Join(m.dir, "fresh")
	defer os.RemoveAll(cacheDir)
	fresh, err := m.start(ctx, cacheDir)
	if err != nil {
		return err
	}
	warm, err := m.start(ctx, cacheDir)
	if err != nil {
		return err
	}
	m.run.addStart(startCompile, fresh.load)
	m.run.addStart(startLoad, warm.load)
	m.run.addStart(startInstantiate, warm.instantiate)
	m.run.addStart(startFirst, warm.first)
	m.run.addStart(startCold, warm.open+warm.load+warm.instantiate+warm.first)
	return nil
}

// start opens a driver of its own and gets the first result out of it.
func (m *machine) start(ctx context.Context, cacheDir string) (s start, err error) {
	var clock stopwatch
	clock.start()
	driver, err := m.openDriver(ctx, cacheDir)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, driver.Close()) }()
	s.open = clock.lap()
	module, err := driver.Load(ctx, m.source)
	if err != nil {
		return s, err
	}
	s.load = clock.lap()
	p, err := module.New(ctx, vm.Config{}, nil)
	if err != nil {
		return s, err
	}
	s.instantiate = clock.lap()
	s.first, _, err = handle(ctx, p, vmMessage(0, " "))
	return s, errors.Join(err, p.Close())
}

// stopwatch gives the time between laps.
type stopwatch struct{ begun time.Time }

func (s *stopwatch) start() { s.begun = time.Now() }

func (s *stopwatch) lap() time.Duration {
	took := time.Since(s.begun)
	s.start()
	return took
}

// move takes a snapshot of the first process and has another go on from it.
func (m *machine) move(ctx context.Context) error {
	s := vm.NewState()
	var clock stopwatch
	clock.start()
	if err := m.processes[0].Snapshot(s); err != nil {
		return err
	}
	m.run.addStart(startSnapshot, clock.lap())
	m.run.SnapshotBytes = uint64(len(s.Pages)) * vm.PageBytes
	m.run.ResidentBytes = m.processes[0].ResidentBytes()
	clock.start()
	p, err := m.module.New(ctx, vm.Config{}, s.Reader())
	if err != nil {
		return err
	}
	if _, _, err := handle(ctx, p, vmMessage(1_000_000, "return 1")); err != nil {
		return errors.Join(err, p.Close())
	}
	m.run.addStart(startRestore, clock.lap())
	changed := vm.NewState()
	if err := p.Snapshot(changed); err != nil {
		return errors.Join(err, p.Close())
	}
	m.run.ChangedBytes = changedBytes(s, changed)
	return p.Close()
}

// changedBytes is what a node stores for a state after another: the pages that
// differ, compressed as it does.
func changedBytes(before, after *vm.State) (total uint64) {
	for index, page := range after.Pages {
		if !bytes.Equal(before.Pages[index], page) {
			total += uint64(len(s2.Encode(nil, page)))
		}
	}
	return total
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

package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/plugin"
	"github.com/wallaby-ao/wallaby/vm/wasm"
	"github.com/wallaby-ao/wallaby/vm/wazero"
)

// VMOptions say what VM measures.
type VMOptions struct {
	Dir     string   // scratch
	Modules []string // aos; no two of one name
	Plugins []string
	// BuiltIn is the engine in this program, with its version, for the report.
	BuiltIn string
	// Rounds is how often the engines take turns.
	Rounds   int
	Progress func(what string)
}

// vmBench is a run of VM.
type vmBench struct {
	VMOptions
	loader *LoaderPeer // nil: it cannot be measured
	result VMResult
}

// VM compares virtual machines on the work of aos processes, and with the
// reference loader in its mode without copies. The engines take turns. It gives
// an error if engines answer differently.
func VM(ctx context.Context, o VMOptions) (*VMResult, error) {
	names, err := VMModuleNames(o.Modules)
	if err != nil {
		return nil, err
	}
	b := &vmBench{VMOptions: o}
	if b.loader, err = OpenLoaderPeer(ctx); err != nil {
		b.loader = nil
		b.note(err.Error())
	} else {
		b.result.addEngine(loaderName, b.loader.Version(ctx))
	}
	for i, path := range o.Modules {
		if err := b.module(ctx, names[i], path); err != nil {
			return nil, fmt.Errorf("%s: %w", names[i], err)
		}
	}
	return &b.result, nil
}

// VMModuleNames gives what modules are called in a report, which is what their
// files are called.
func VMModuleNames(paths []string) ([]string, error) {
	var names []string
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".wasm")
		if slices.Contains(names, name) {
			return nil, fmt.Errorf("two modules are called %s: give one of the files another name", name)
		}
		names = append(names, name)
	}
	return names, nil
}

func (b *vmBench) note(text string) { b.result.Notes = append(b.result.Notes, text) }

// module measures one module on all engines that can run it.
func (b *vmBench) module(ctx context.Context, name, path string) (err error) {
	source, err := readModule(path)
	if err != nil {
		return err
	}
	machines := b.machines(source, filepath.Join(b.Dir, name))
	defer func() {
		for _, m := range machines {
			err = errors.Join(err, m.close())
		}
	}()
	for i, m := range machines {
		b.Progress(fmt.Sprintf("%s: the start of engine %d of %d", name, i+1, len(machines)))
		if err := m.load(ctx); err != nil {
			return err
		}
		b.result.addEngine(m.name, m.version)
	}
	able := slices.DeleteFunc(slices.Clone(machines), func(m *machine) bool {
		if m.refusal != nil {
			b.note(fmt.Sprintf("%s does not run %s: %v", m.name, name, m.refusal))
		}
		return m.refusal != nil
	})
	if len(able) == 0 {
		return fmt.Errorf("no engine runs it: %w", machines[0].refusal)
	}
	works, err := able[0].worksOf(ctx)
	if err != nil {
		return err
	}
	for _, m := range able {
		if err := m.boot(ctx, works); err != nil {
			return fmt.Errorf("boot on %s: %w", m.name, err)
		}
	}
	measured := VMModule{Name: name}
	if b.loader != nil {
		measured.Loader = newVMRun(loaderName, works)
	}
	if err := b.rounds(ctx, able, works, path, measured.Loader); err != nil {
		return err
	}
	for _, m := range able {
		measured.Runs = append(measured.Runs, *m.run)
	}
	b.result.Modules = append(b.result.Modules, measured)
	return sameAnswers(able, works)
}

// machines gives a machine for each engine, the built-in one first.
func (b *vmBench) machines(source vm.Source, dir string) []*machine {
	machines := []*machine{{version: b.BuiltIn, open: func(cacheDir string) (vm.Driver, error) {
		return wazero.NewDriver(wazero.Options{CacheDir: cacheDir})
	}}}
	for _, path := range b.Plugins {
		machines = append(machines, &machine{open: func(cacheDir string) (vm.Driver, error) {
			return plugin.New(plugin.Options{Path: path, CacheDir: cacheDir}), nil
		}})
	}
	for i, m := range machines {
		m.source, m.dir = source, filepath.Join(dir, fmt.Sprint(i))
	}
	return machines
}

// rounds has the machines take turns, after one round to warm up that does not
// count.
func (b *vmBench) rounds(ctx context.Context, machines []*machine, works []vmWork, path string, loader *VMRun) error {
	for round := range b.Rounds + 1 {
		for w, work := range works {
			b.Progress(fmt.Sprintf("round %d of %d: %s", round, b.Rounds, work.name))
			for _, m := range machines {
				took, err := m.work(ctx, w, work)
				if err != nil {
					return fmt.Errorf("%s on %s: %w", work.name, m.name, err)
				}
				if round > 0 {
					m.run.Works[w].Rounds = append(m.run.Works[w].Rounds, took)
				}
			}
			if loader == nil || round == 0 { // the loader warms up by itself each time
				continue
			}
			times, err := runLoader(ctx, b.loader, path, machines[0].source.Format, work)
			if err != nil {
				return err
			}
			loader.Works[w].Rounds = append(loader.Works[w].Rounds, VMRound{Times: times})
		}
		if round == 0 {
			continue
		}
		b.Progress(fmt.Sprintf("round %d of %d: starts", round, b.Rounds))
		for _, m := range machines {
			if err := errors.Join(m.starts(ctx), m.move(ctx)); err != nil {
				return fmt.Errorf("starts on %s: %w", m.name, err)
			}
		}
	}
	return nil
}

// sameAnswers compares what machines answered last. All have been sent the same.
func sameAnswers(machines []*machine, works []vmWork) error {
	for w, work := range works {
		for _, m := range machines {
			if m.answers[w] != machines[0].answers[w] {
				return fmt.Errorf("%s: %s answers %s and %s %s", work.name, machines[0].name, machines[0].answers[w], m.name, m.answers[w])
			}
		}
	}
	return nil
}

func readModule(path string) (vm.Source, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return vm.Source{}, fmt.Errorf("read module: %w", err)
	}
	format, err := wasm.DetectFormat(b)
	return vm.Source{Format: format, Bytes: b}, err
}

package bench

import (
	"context"
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
	// Format is what modules are run as; "" is what they look like. Metered ones
	// look like others.
	Format  string
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
		if err := b.measure(ctx, names[i], path); err != nil {
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

func readModule(path, format string) (vm.Source, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return vm.Source{}, fmt.Errorf("read module: %w", err)
	}
	if format == "" {
		format, err = wasm.DetectFormat(b)
	}
	return vm.Source{Format: format, Bytes: b}, err
}

package wasm

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// Driver runs ao's wasm modules on one engine.
type Driver struct {
	engine Engine

	mu struct {
		sync.Mutex
		modules map[[32]byte]*loading
	}
}

var _ vm.Driver = (*Driver)(nil)

// loading is a module that is being compiled or is ready, so that many
// processes of one module compile it once.
type loading struct {
	done   chan struct{}
	module *Module
	err    error
}

// NewDriver makes a driver that owns the engine.
func NewDriver(engine Engine) *Driver {
	d := &Driver{engine: engine}
	d.mu.modules = map[[32]byte]*loading{}
	return d
}

// Name is the engine's name.
func (d *Driver) Name() string { return d.engine.Name() }

// Formats lists the module formats.
func (d *Driver) Formats() []string { return Formats() }

// Close frees the engine and all compiled code.
func (d *Driver) Close() error { return d.engine.Close() }

// Load prepares and compiles a module, once for all who ask.
func (d *Driver) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	how, ok := behaviourOf(source.Format)
	if !ok {
		return nil, &vm.UnsupportedError{Feature: fmt.Sprintf("Module-Format %q is not known", source.Format)}
	}
	options := binary.PrepareOptions{Metering: binary.MeteringBudget, Lower64: !d.engine.Memory64()}
	if how.metered {
		options.Metering = binary.MeteringExact
	}
	key := binary.Fingerprint(append([]byte(source.Format+"\x00"), source.Bytes...), options)
	d.mu.Lock()
	l, ok := d.mu.modules[key]
	if !ok {
		l = &loading{done: make(chan struct{})}
		d.mu.modules[key] = l
	}
	d.mu.Unlock()
	if !ok {
		// The work is for all who wait, so no single caller may cancel it.
		l.module, l.err = d.compile(context.WithoutCancel(ctx), source, how, options, key)
		if l.err != nil {
			d.mu.Lock()
			delete(d.mu.modules, key)
			d.mu.Unlock()
		}
		close(l.done)
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if l.err != nil {
		return nil, fmt.Errorf("load module %s: %w", source.ID, l.err)
	}
	return l.module, nil
}

func (d *Driver) compile(ctx context.Context, source vm.Source, how behaviour, options binary.PrepareOptions, key [32]byte) (*Module, error) {
	prepared, err := binary.Prepare(source.Bytes, options)
	if unsupported, ok := errors.AsType[*binary.UnsupportedError](err); ok {
		return nil, &vm.UnsupportedError{Feature: "it needs " + unsupported.Feature}
	}
	if err != nil {
		return nil, &vm.UnsupportedError{Feature: err.Error()}
	}
	if err := checkExports(prepared.Info); err != nil {
		return nil, err
	}
	compiled, err := d.engine.Compile(ctx, prepared.Wasm, prepared.Info.Imports, key)
	if err != nil {
		return nil, err
	}
	m := &Module{code: compiled, info: prepared.Info, how: how, format: source.Format, fingerprint: key, counters: []string{binary.GasExport}}
	if prepared.Info.BakedGas {
		m.counters = append(m.counters, binary.BudgetExport)
	}
	return m, nil
}

// Module is a compiled module.
type Module struct {
	code        Code
	info        binary.Info
	how         behaviour
	format      string
	fingerprint [32]byte
	counters    []string // the exported globals that the guest pays from

	// written marks the pages that a new instance has data in.
	written     []bool
	writtenOnce sync.Once
}

var _ vm.Module = (*Module)(nil)

// Info describes the module.
func (m *Module) Info() vm.Info {
	return vm.Info{
		Format:         m.format,
		PointerBits:    m.info.PointerBits,
		MemoryBytesMin: m.info.MemoryPagesMin * vm.PageBytes,
		MemoryBytesMax: m.info.MemoryPagesMax * vm.PageBytes,
		Metered:        m.reportsGas(),
		Fingerprint:    m.fingerprint,
	}
}

func (m *Module) reportsGas() bool { return m.how.metered || m.info.BakedGas }

// New makes a process in the module's first state, or in a stored one.
func (m *Module) New(ctx context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	p, err := m.newProcess(ctx, config)
	if err != nil {
		return nil, err
	}
	if snapshot != nil {
		err = p.restore(ctx, snapshot)
	} else if err = p.boot(ctx); err == nil {
		err = p.refreshBase()
		p.journal.first = true
	}
	if err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

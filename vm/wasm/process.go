package wasm

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// Process is a live module with the means to go back one message.
//
// A full copy of memory for every message would cost more than the message. So
// it keeps base, an older image, and the messages since. Rollback restores base
// and runs them again, then makes base equal to the state, so that the next
// rollback runs nothing. Base is also renewed whenever the messages since it
// have taken many times as long as renewing does. Thus a message runs at most
// twice, and the copying stays a few percent of the whole.
type Process struct {
	module   *Module
	config   vm.Config
	instance Instance
	host     *host

	base        *image
	baseGlobals []uint64
	baseHost    hostState
	journal     journal
	watchdog    watchdog
	refreshCost time.Duration
	undoable    bool // there was a Handle since the last Rollback
	failed      bool // the last Handle did not end well
}

var _ vm.Process = (*Process)(nil)

const (
	// memoryLimitDefault is all that 32 bits address but one page: an engine may
	// count a memory's bytes in 32 bits.
	memoryLimitDefault = 4<<30 - vm.PageBytes
	outputLimitDefault = 64 << 20
)

func (m *Module) newProcess(ctx context.Context, config vm.Config) (*Process, error) {
	if config.MemoryLimitBytes == 0 {
		config.MemoryLimitBytes = memoryLimitDefault
	}
	if config.OutputLimitBytes == 0 {
		config.OutputLimitBytes = outputLimitDefault
	}
	limit := min(config.MemoryLimitBytes, m.info.MemoryPagesMax*vm.PageBytes)
	if m.info.MemoryPagesMin*vm.PageBytes > limit {
		return nil, fmt.Errorf("%w: the module begins with %d bytes of memory and its limit is %d", vm.ErrMemoryLimit, m.info.MemoryPagesMin*vm.PageBytes, limit)
	}
	p := &Process{module: m, config: config}
	p.host = newHost(m, config)
	instance, err := m.code.Instantiate(ctx, p.host.imports(), limit)
	if err != nil {
		return nil, fmt.Errorf("instantiate module: %w", err)
	}
	if err := p.adopt(instance, limit); err != nil {
		return nil, err
	}
	m.writtenOnce.Do(func() { m.written = writtenPages(instance.Memory(), instance.Touched()) })
	if p.base, err = newImage(limit); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

// adopt makes an instance the process's own and bounds its memory.
func (p *Process) adopt(instance Instance, memoryBytesMax uint64) error {
	p.instance, p.host.instance, p.host.memoryBytesMax = instance, instance, memoryBytesMax
	return instance.SetGlobal(binary.PagesExport, memoryBytesMax/vm.PageBytes)
}

// bootGas is what a module may use before its first message: a second or two, and a
// hundred thousand times what aos uses.
const bootGas = 10_000_000_000

// boot runs what the module itself wants to be run at its start, and what the
// loader's glue runs before the first message, within the wall clock of a message
// and within bootGas.
func (p *Process) boot(ctx context.Context) error {
	p.host.begin(ctx)
	if err := p.refill(bootGas); err != nil {
		return err
	}
	stop := p.watchdog.watch(ctx, p.host.fuel.interrupt, p.config.TimeoutMS)
	var err error
	if p.host.has(binary.StartExport) {
		_, err = p.instance.Call(ctx, binary.StartExport)
	}
	if err == nil {
		err = p.host.boot(ctx)
	}
	if why := stop(); why != nil {
		return fmt.Errorf("start module: %w", why)
	}
	if err != nil {
		return fmt.Errorf("start module: %w", p.explain(err))
	}
	return nil
}

// refill gives the guest its first portion of gas, the budget if it has one, and
// an empty call stack, and lets it run.
func (p *Process) refill(limit uint64) error {
	portion := uint64(p.host.fuel.begin(limit))
	for _, name := range p.module.counters {
		if err := p.instance.SetGlobal(name, portion); err != nil {
			return err
		}
	}
	if err := p.instance.SetGlobal(binary.StackExport, binary.StackBytes); err != nil {
		return err
	}
	return p.instance.SetGlobal(binary.StopExport, 0)
}

// Handle runs one message; see vm.Process.
func (p *Process) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	if err := ctx.Err(); err != nil {
		p.undoable = p.failed // this message did nothing that could be undone
		return vm.Output{}, err
	}
	if p.failed {
		if err := p.Rollback(ctx); err != nil {
			return vm.Output{}, err
		}
	}
	if p.journal.due(p.refreshCost) {
		if err := p.refreshBase(); err != nil {
			return vm.Output{}, err
		}
	}
	started := time.Now()
	output, err := p.run(ctx, call, p.config.TimeoutMS)
	p.journal.add(call, time.Since(started))
	p.undoable, p.failed = true, err != nil
	if err != nil && ctx.Err() != nil {
		// Whoever gave up on the message wants the state that it had.
		return vm.Output{}, errors.Join(ctx.Err(), p.Rollback(context.WithoutCancel(ctx)))
	}
	return output, err
}

// run gives one message to the guest and reads its answer.
func (p *Process) run(ctx context.Context, call vm.Call, timeoutMS int64) (vm.Output, error) {
	p.host.begin(ctx)
	if err := p.refill(call.GasLimit); err != nil {
		return vm.Output{}, err
	}
	stop := p.watchdog.watch(ctx, p.host.fuel.interrupt, timeoutMS)
	text, err := p.host.handle(ctx, call.Message, call.Env)
	why := stop()
	output := vm.Output{MemoryBytes: uint64(len(p.instance.Memory()))}
	if left, ok := p.instance.Global(binary.GasExport); ok && p.module.reportsGas() && why == nil {
		output.GasUsed = p.host.fuel.used(int64(left))
	}
	switch {
	case why != nil: // even if the guest was quicker: nobody waits for it any more
		return output, why
	case err != nil:
		return output, p.explain(err)
	case len(text) > p.config.OutputLimitBytes:
		return output, fmt.Errorf("%w: %d bytes, at most %d are allowed", vm.ErrOutputLimit, len(text), p.config.OutputLimitBytes)
	}
	output.Response, err = decodeResponse(text)
	return output, err
}

// Rollback goes back to before the last message; see vm.Process. Twice does no
// more than once.
func (p *Process) Rollback(ctx context.Context) error {
	if !p.undoable {
		return nil
	}
	again := p.journal.calls[:len(p.journal.calls)-1]
	if err := p.restoreBase(ctx); err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	for i, call := range again {
		// They went well in time once; how long they take now is no matter.
		if _, err := p.run(context.WithoutCancel(ctx), call, 0); err != nil {
			return fmt.Errorf("roll back: message %d of %d went well before and does not now: %w", i+1, len(again), err)
		}
	}
	p.undoable, p.failed = false, false
	if len(again) == 0 {
		p.journal = journal{first: p.journal.first}
		return nil
	}
	return p.refreshBase()
}

// refreshBase makes the image equal to the state, so that there is nothing to
// run again.
func (p *Process) refreshBase() error {
	started := time.Now()
	if !p.base.update(p.instance.Memory(), p.instance.Touched()) {
		return fmt.Errorf("%w: there is no room for a copy of %d bytes", vm.ErrMemoryLimit, len(p.instance.Memory()))
	}
	globals, err := p.globals()
	if err != nil {
		return err
	}
	p.baseGlobals, p.baseHost = globals, p.host.state
	p.journal, p.refreshCost = journal{}, time.Since(started)
	return nil
}

// startFromBase puts the image into a new instance.
func (p *Process) startFromBase() error {
	if err := p.growTo(uint64(len(p.base.bytes))); err != nil {
		return err
	}
	p.base.fill(p.instance.Memory(), p.module.written)
	p.host.state = p.baseHost
	return p.setGlobals(p.baseGlobals)
}

// restoreBase puts the image back. A memory that has grown since cannot shrink,
// so the instance is made anew.
func (p *Process) restoreBase(ctx context.Context) error {
	if len(p.instance.Memory()) != len(p.base.bytes) {
		return p.renewInstance(ctx)
	}
	p.base.putBack(p.instance.Memory(), p.instance.Touched())
	p.host.state = p.baseHost
	return p.setGlobals(p.baseGlobals)
}

func (p *Process) renewInstance(ctx context.Context) error {
	if err := p.instance.Close(); err != nil {
		return err
	}
	limit := p.base.space.Max()
	instance, err := p.module.code.Instantiate(ctx, p.host.imports(), limit)
	if err != nil {
		return fmt.Errorf("instantiate module: %w", err)
	}
	if err := p.adopt(instance, limit); err != nil {
		return err
	}
	return p.startFromBase()
}

func (p *Process) growTo(size uint64) error {
	have := uint64(len(p.instance.Memory()))
	if have > size || size%vm.PageBytes != 0 || size > p.base.space.Max() || !p.instance.Grow((size-have)/vm.PageBytes) {
		return fmt.Errorf("%w: a memory of %d bytes cannot become one of %d", vm.ErrMemoryLimit, have, size)
	}
	return nil
}

func (p *Process) globals() ([]uint64, error) {
	values := make([]uint64, len(p.module.info.Globals))
	for i, g := range p.module.info.Globals {
		value, ok := p.instance.Global(g.Name)
		if !ok {
			return nil, fmt.Errorf("global %s is not there", g.Name)
		}
		values[i] = value
	}
	return values, nil
}

func (p *Process) setGlobals(values []uint64) error {
	for i, g := range p.module.info.Globals {
		if err := p.instance.SetGlobal(g.Name, values[i]); err != nil {
			return err
		}
	}
	return nil
}

// Fork makes an independent process in the same state; see vm.Process.
func (p *Process) Fork(ctx context.Context) (vm.Process, error) {
	if p.failed {
		if err := p.Rollback(ctx); err != nil {
			return nil, fmt.Errorf("fork: %w", err)
		}
	}
	fork, err := p.module.newProcess(ctx, p.config)
	if err != nil {
		return nil, fmt.Errorf("fork: %w", err)
	}
	fork.baseHost = p.host.state
	fork.baseGlobals, err = p.globals()
	if err == nil && !fork.base.update(p.instance.Memory(), p.instance.Touched()) {
		err = vm.ErrMemoryLimit
	}
	if err == nil {
		err = fork.startFromBase()
	}
	if err != nil {
		_ = fork.Close()
		return nil, fmt.Errorf("fork: %w", err)
	}
	return fork, nil
}

// ResidentBytes takes the instance for as large as the image, which holds about
// the same pages.
func (p *Process) ResidentBytes() uint64 {
	return 2 * p.base.residentBytes()
}

// Close frees the instance and the image.
func (p *Process) Close() error {
	p.watchdog.close()
	var err error
	if p.instance != nil {
		err = p.instance.Close()
		p.instance = nil
	}
	if p.base != nil {
		p.base.close()
	}
	return err
}

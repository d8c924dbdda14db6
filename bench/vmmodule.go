package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
)

// moduleBench is one module's part of a run of VM.
type moduleBench struct {
	*vmBench
	name, path string
	machines   []*machine // first all, then those that run the module
	works      []vmWork
	loaderRun  *VMRun // nil: the loader cannot be measured
}

// measure measures one module on all engines that can run it.
func (b *vmBench) measure(ctx context.Context, name, path string) (err error) {
	source, err := readModule(path, b.Format)
	if err != nil {
		return err
	}
	all := b.machines(source, filepath.Join(b.Dir, name))
	defer func() {
		for _, m := range all {
			err = errors.Join(err, m.close())
		}
	}()
	mb := &moduleBench{vmBench: b, name: name, path: path, machines: all}
	for _, step := range []func(context.Context) error{mb.load, mb.boot, mb.warmUp, mb.rounds} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	module := VMModule{Name: name, Loader: mb.loaderRun}
	for _, m := range mb.machines {
		module.Runs = append(module.Runs, *m.run)
	}
	b.result.Modules = append(b.result.Modules, module)
	return sameAnswers(mb.machines, mb.works)
}

// load has every engine compile the module, and leaves those out that cannot.
func (b *moduleBench) load(ctx context.Context) error {
	var able []*machine
	for i, m := range b.machines {
		b.Progress(fmt.Sprintf("%s: the start of engine %d of %d", b.name, i+1, len(b.machines)))
		if err := m.load(ctx); err != nil {
			return err
		}
		b.result.addEngine(m.name, m.version)
		if m.refusal != nil {
			b.note(fmt.Sprintf("%s does not run %s: %v", m.name, b.name, m.refusal))
			continue
		}
		able = append(able, m)
	}
	if len(able) == 0 {
		return fmt.Errorf("no engine runs it: %w", b.machines[0].refusal)
	}
	b.machines = able
	return nil
}

// boot finds out what the module can do, and starts a process for each workload.
func (b *moduleBench) boot(ctx context.Context) (err error) {
	if b.works, err = b.machines[0].worksOf(ctx); err != nil {
		return err
	}
	for _, m := range b.machines {
		if err := m.boot(ctx, b.works); err != nil {
			return fmt.Errorf("boot on %s: %w", m.name, err)
		}
	}
	if b.loader != nil {
		b.loaderRun = newVMRun(loaderName, b.works)
	}
	return nil
}

// warmUp is a round that does not count. The loader warms up each time it runs.
func (b *moduleBench) warmUp(ctx context.Context) error {
	for w := range b.works {
		b.Progress(fmt.Sprintf("%s: %s, to warm up", b.name, b.works[w].name))
		if _, err := b.turn(ctx, w); err != nil {
			return err
		}
	}
	return nil
}

func (b *moduleBench) rounds(ctx context.Context) error {
	for round := range b.Rounds {
		turn := fmt.Sprintf("%s: round %d of %d, ", b.name, round+1, b.Rounds)
		for w, work := range b.works {
			b.Progress(turn + work.name)
			took, err := b.turn(ctx, w)
			if err != nil {
				return err
			}
			for i, m := range b.machines {
				m.run.Works[w].Rounds = append(m.run.Works[w].Rounds, took[i])
			}
			if err := b.loaderTurn(ctx, w); err != nil {
				return err
			}
		}
		b.Progress(turn + "starts")
		for _, m := range b.machines {
			if err := errors.Join(m.starts(ctx), m.move(ctx)); err != nil {
				return fmt.Errorf("starts on %s: %w", m.name, err)
			}
		}
	}
	return nil
}

// turn has each machine do one round of a workload.
func (b *moduleBench) turn(ctx context.Context, w int) ([]VMRound, error) {
	var rounds []VMRound
	for _, m := range b.machines {
		round, err := m.work(ctx, w, b.works[w])
		if err != nil {
			return nil, fmt.Errorf("%s on %s: %w", b.works[w].name, m.name, err)
		}
		rounds = append(rounds, round)
	}
	return rounds, nil
}

// loaderTurn has the reference loader do the same.
func (b *moduleBench) loaderTurn(ctx context.Context, w int) error {
	if b.loaderRun == nil {
		return nil
	}
	times, err := runLoader(ctx, b.loader, b.path, b.machines[0].source.Format, b.works[w])
	if err != nil {
		return err
	}
	b.loaderRun.Works[w].Rounds = append(b.loaderRun.Works[w].Rounds, VMRound{Times: times})
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

package engine

import (
	"context"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

// twisted is the test driver under another name, which answers wrongly to one
// command, or keeps another state of it, or is lost at it.
type twisted struct {
	*testDriver
	name, command string
	state         bool
	lost          bool
}

func (d twisted) Name() string { return d.name }

func (d twisted) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	m, err := d.testDriver.Load(ctx, source)
	if err != nil {
		return nil, err
	}
	return twistedModule{m, d}, nil
}

type twistedModule struct {
	vm.Module
	driver twisted
}

func (m twistedModule) New(ctx context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	p, err := m.Module.New(ctx, config, snapshot)
	if err != nil {
		return nil, err
	}
	return twistedMachine{p.(*testMachine), m.driver}, nil
}

type twistedMachine struct {
	*testMachine
	driver twisted
}

func (p twistedMachine) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	output, err := p.testMachine.Handle(ctx, call)
	if p.driver.command == "" || !strings.Contains(string(call.Message), p.driver.command) {
		return output, err
	}
	if p.driver.lost {
		return vm.Output{}, &vm.LostError{Reason: "as told"}
	}
	if p.driver.state {
		p.words[0] = "changed"
		return output, err
	}
	return p.answer(`{"Output":"wrong"}`)
}

func (p twistedMachine) Fork(ctx context.Context) (vm.Process, error) {
	forked, err := p.testMachine.Fork(ctx)
	if err != nil {
		return nil, err
	}
	return twistedMachine{forked.(*testMachine), p.driver}, nil
}

func twistedDrivers(d *testDriver) []vm.Driver {
	return []vm.Driver{
		twisted{testDriver: d, name: "same"},
		twisted{testDriver: d, name: "wrong", command: "add odd"},
		twisted{testDriver: d, name: "rotten", command: "add odd", state: true},
		twisted{testDriver: d, name: "fragile", command: "add odd", lost: true},
	}
}

func TestReplaySideBySide(t *testing.T) {
	b := newBench(t, func(o *Options) {
		d := o.Drivers[0].(*testDriver)
		o.Drivers = append(o.Drivers, twistedDrivers(d)...)
	})
	p := b.spawn()
	var last ao.ID
	for _, data := range []string{"add a", "trap b", "error c", "add odd", "add d"} {
		last = b.send(p, data)
	}
	b.output(p, last)
	runs := b.driver.runs.Load()
	replay := func(machines ...string) (state Replay) {
		t.Helper()
		err := b.Replay(t.Context(), p, machines, func(s Replay) error {
			state = s
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if !state.Done {
			t.Error("it did not say that it is done")
		}
		return state
	}
	equal := replay("test", "same", "test")
	if equal.Divergence != nil || equal.Messages != 6 || len(equal.Machines) != 3 {
		t.Fatalf("%+v", equal)
	}
	for _, m := range equal.Machines {
		if m.Results != equal.Machines[0].Results || m.Root != equal.Machines[0].Root || m.Root.IsZero() || m.Results.IsZero() {
			t.Errorf("%+v", m)
		}
	}
	if ran := b.driver.runs.Load() - runs; ran != 18 {
		t.Errorf("%d messages were run", ran)
	}
	for _, machines := range [][]string{{"test", "wrong"}, {"wrong"}} {
		d := replay(machines...).Divergence
		if d == nil || d.Nonce != 4 || d.VM != "wrong" || !strings.Contains(d.Result, "wrong") || strings.Contains(d.Wanted, "wrong") {
			t.Errorf("%s: %+v", machines, d)
		}
		if want := map[bool]string{true: "test", false: "stored"}[len(machines) == 2]; d.Against != want {
			t.Errorf("%s: against %s", machines, d.Against)
		}
	}
	// A state that differs shows although the results do not, at the end.
	hidden := b.spawn()
	b.output(hidden, b.send(hidden, "effects add odd"))
	var state Replay
	if err := b.Replay(t.Context(), hidden, []string{"test", "rotten"}, func(s Replay) error { state = s; return nil }); err != nil {
		t.Fatal(err)
	}
	if state.Divergence == nil || !strings.Contains(state.Divergence.Result, "state root") {
		t.Errorf("%+v", state)
	}
	for _, machines := range [][]string{nil, make([]string, 9), {"nobody"}} {
		if err := b.Replay(t.Context(), p, machines, func(Replay) error { return nil }); err == nil {
			t.Errorf("a replay on %q", machines)
		}
	}
	if live := b.driver.live.Load(); live > 2 {
		t.Errorf("%d processes are open", live)
	}
}

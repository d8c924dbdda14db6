package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
)

// newShadowBench has machines that agree and others that do not.
func newShadowBench(t *testing.T, change func(*Options)) *bench {
	t.Helper()
	return newBench(t, func(o *Options) {
		o.Drivers = append(o.Drivers, twistedDrivers(o.Drivers[0].(*testDriver))...)
		if change != nil {
			change(o)
		}
	})
}

func (b *bench) machine(process ao.ID) MachineChoice {
	b.Helper()
	state, err := b.Machine(b.Context(), process)
	if err != nil {
		b.Fatal(err)
	}
	return state
}

func (b *bench) setMachine(process ao.ID, name string, shadow uint64) MachineChoice {
	b.Helper()
	state, err := b.SetMachine(b.Context(), process, name, shadow)
	if err != nil {
		b.Fatal(err)
	}
	return state
}

func TestAShadowThatAgreesTakesOver(t *testing.T) {
	b := newShadowBench(t, nil)
	p := b.spawn()
	b.output(p, b.send(p, "add a"))
	if state := b.machine(p); state != (MachineChoice{Process: p, VM: "test"}) {
		t.Fatalf("before: %+v", state)
	}
	if state := b.setMachine(p, "same", 4); state != (MachineChoice{Process: p, VM: "test", Candidate: "same", Shadow: 4}) {
		t.Fatalf("set: %+v", state)
	}
	runs := b.driver.runs.Load()
	for _, data := range []string{"add b", "trap c", "error d"} {
		b.result(p, b.send(p, data))
	}
	if state := b.machine(p); state.VM != "test" || state.Agreed != 3 {
		t.Fatalf("after three: %+v", state)
	}
	if got := b.output(p, b.send(p, "add e")); got != `",a,b,e"` {
		t.Errorf("the last message in common: %s", got)
	}
	if more := b.driver.runs.Load() - runs; more != 8 {
		t.Errorf("%d messages were run for 4", more)
	}
	b.eventually("the other has taken over", func() bool { return b.machine(p) == MachineChoice{Process: p, VM: "same"} })
	if got := b.output(p, b.send(p, "add f")); got != `",a,b,e,f"` {
		t.Errorf("after the change: %s", got)
	}
	if more := b.driver.runs.Load() - runs; more != 9 {
		t.Errorf("%d messages were run for 5", more)
	}
	b.close()
	b.open()
	if state := b.machine(p); state.VM != "same" {
		t.Errorf("after a restart: %+v", state)
	}
	if got := b.output(p, b.send(p, "add g")); got != `",a,b,e,f,g"` {
		t.Errorf("after a restart: %s", got)
	}
}

// TestAShadowThatDiffersIsLeft has candidates that answer wrongly, keep another
// state and crash: the process goes on as if they had never been there.
func TestAShadowThatDiffersIsLeft(t *testing.T) {
	for name, want := range map[string]string{
		"wrong":   `wrong: its result at nonce 3 is {`,
		"rotten":  "rotten: its state after nonce 3 has root ",
		"fragile": "fragile: at nonce 3: the virtual machine was lost: as told",
	} {
		b := newShadowBench(t, nil)
		p := b.spawn()
		b.output(p, b.send(p, "add a"))
		b.setMachine(p, name, 100)
		b.output(p, b.send(p, "add b"))
		if got := b.output(p, b.send(p, "add odd")); got != `",a,b,odd"` {
			t.Errorf("%s: the process's own result: %s", name, got)
		}
		b.eventually("it is refused", func() bool { return b.machine(p).Refused != "" })
		state := b.machine(p)
		if state.VM != "test" || state.Candidate != "" || !strings.HasPrefix(state.Refused, want) {
			t.Errorf("%s: %+v", name, state)
		}
		if got := b.output(p, b.send(p, "add c")); got != `",a,b,odd,c"` {
			t.Errorf("%s: after it: %s", name, got)
		}
		if s := b.Status(); s.LostTotal != 0 || s.VMFailuresTotal != 0 {
			t.Errorf("%s: its loss is counted as the process's: %+v", name, s)
		}
	}
}

// TestAShadowSurvivesEviction compares while the process is put away after every
// message.
func TestAShadowSurvivesEviction(t *testing.T) {
	b := newShadowBench(t, func(o *Options) { o.Workers, o.HotBytesMax, o.SnapshotWorthMS = 1, 1, 1 })
	p, other := b.spawn(), b.spawn()
	b.setMachine(p, "same", 3)
	for range 3 {
		b.output(p, b.send(p, "add a"))
		b.output(other, b.send(other, "add x"))
	}
	b.eventually("the other has taken over", func() bool { return b.machine(p).VM == "same" })
	if state := b.machine(other); state.VM != "test" {
		t.Errorf("another process: %+v", state)
	}
	if got := b.output(p, b.send(p, "add b")); got != `",a,a,a,b"` {
		t.Errorf("after all: %s", got)
	}
}

func TestAMachineIsChosenAtOnce(t *testing.T) {
	b := newShadowBench(t, nil)
	p := b.spawn()
	b.output(p, b.send(p, "add a"))
	b.setMachine(p, "wrong", 5)
	if state := b.setMachine(p, "same", 0); state != (MachineChoice{Process: p, VM: "same"}) {
		t.Errorf("%+v", state)
	}
	if got := b.output(p, b.send(p, "add odd")); got != `",a,odd"` {
		t.Errorf("on the other: %s", got)
	}
	if state := b.setMachine(p, "same", 7); state != (MachineChoice{Process: p, VM: "same"}) {
		t.Errorf("a shadow of itself: %+v", state)
	}
}

func TestMachinesThatCannotBeChosen(t *testing.T) {
	b := newShadowBench(t, nil)
	p := b.spawn()
	for name, shadow := range map[string]uint64{"": 1, "nothing": 3, "same": ShadowMax + 1} {
		_, err := b.SetMachine(t.Context(), p, name, shadow)
		if refusal, ok := errors.AsType[*ao.Error](err); !ok || refusal.Code == ao.CodeInternal {
			t.Errorf("%q with %d: %v", name, shadow, err)
		}
	}
	if _, err := b.SetMachine(t.Context(), ao.ID{9}, "same", 1); err == nil {
		t.Error("a process that is not there")
	}
	if state := b.machine(p); state != (MachineChoice{Process: p, VM: "test"}) {
		t.Errorf("after refusals: %+v", state)
	}
}

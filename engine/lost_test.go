package engine

import (
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
)

// TestALostMachineCostsOneAttempt loses the machine at a message once: nobody
// notices.
func TestALostMachineCostsOneAttempt(t *testing.T) {
	b := newBench(t, nil)
	p := b.spawn()
	b.send(p, "add a")
	crash := b.send(p, "crash 1")
	last := b.send(p, "add b")
	if got := b.output(p, last); got != `",a,1,b"` {
		t.Errorf("after a lost machine: %s", got)
	}
	if result := b.result(p, crash); result.Result.Error != nil {
		t.Errorf("the message that was tried again: %s", result.Result.JSON())
	}
	if s := b.Status(); s.LostTotal != 1 || s.VMFailuresTotal != 0 {
		t.Errorf("%d lost, %d failures", s.LostTotal, s.VMFailuresTotal)
	}
}

// TestAMessageThatLosesItsMachineTwiceHasNoResult says so to those who ask, loses
// nothing, and goes on when the fault is gone.
func TestAMessageThatLosesItsMachineTwiceHasNoResult(t *testing.T) {
	b := newBench(t, nil)
	p := b.spawn()
	b.output(p, b.send(p, "add a"))
	crash := b.send(p, "broken b")
	if _, err := b.Result(b.Context(), p, crash); ao.CodeOf(err) != ao.CodeUnavailable || !strings.Contains(err.Error(), "lost twice at nonce 2") {
		t.Fatalf("error %v", err)
	}
	if s := b.Status(); s.VMFailuresTotal == 0 {
		t.Error("the failure is not counted")
	}
	if m, err := b.Machine(b.Context(), p); err != nil || m.Failure == nil || m.Failure.Nonce != 2 || m.Failure.Times == 0 || m.Failure.Reason == "" {
		t.Errorf("an operator sees %+v, %v", m.Failure, err)
	}
	other := b.spawn()
	if got := b.output(other, b.send(other, "add x")); got != `",x"` {
		t.Errorf("another process: %s", got)
	}
	b.driver.mended.Store(true)
	b.eventually("the process goes on", func() bool {
		result, err := b.Result(b.Context(), p, crash)
		return err == nil && string(result.Result.Output) == `",a,b"`
	})
	if m, err := b.Machine(b.Context(), p); err != nil || m.Failure != nil {
		t.Errorf("an operator still sees %+v, %v", m.Failure, err)
	}
}

// TestADryRunOnALostMachineIsRunOnAnother loses the machine of a copy.
func TestADryRunOnALostMachineIsRunOnAnother(t *testing.T) {
	b := newBench(t, nil)
	p := b.spawn()
	b.output(p, b.send(p, "add a"))
	result, err := b.DryRun(b.Context(), p, DryRunMessage{Owner: "owner", Data: new("crash 1")}, nil)
	if err != nil || string(result.Output) != `",a,1"` {
		t.Errorf("%s, %v", result.Output, err)
	}
	if _, err := b.DryRun(b.Context(), p, DryRunMessage{Owner: "owner", Data: new("crash 9")}, nil); !isLost(err) {
		t.Errorf("a dry run that loses every machine: %v", err)
	}
	if got := b.output(p, b.send(p, "add b")); got != `",a,b"` {
		t.Errorf("the process itself: %s", got)
	}
}

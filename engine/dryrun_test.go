package engine

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/vm"
)

func text(s string) *string { return &s }

func TestDryRunLeavesNoTrace(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	message := b.send(process, "add a")
	for range 2 {
		got, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("add tried")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Output) != `",a,tried"` {
			t.Errorf("output is %s", got.Output)
		}
	}
	if got, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("effects")}, &message); err != nil || len(got.Messages) != 2 {
		t.Errorf("result is %s, %v", got.JSON(), err)
	}
	if got, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("trap x")}, nil); err != nil || string(got.Error) != `"trap: unreachable"` {
		t.Errorf("result is %s, %v", got.JSON(), err)
	}
	if count := b.Outbox().Count(); count != 0 {
		t.Errorf("%d effects are pending", count)
	}
	if got := b.output(process, b.send(process, "add b")); got != `",a,b"` {
		t.Errorf("afterwards the output is %s", got)
	}
	// A copy is kept at hand, but never one of an older state.
	if got, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("add tried")}, nil); err != nil || string(got.Output) != `",a,b,tried"` {
		t.Errorf("result is %s, %v", got.JSON(), err)
	}
}

func TestDryRunsShareACopy(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.result(process, b.send(process, "add a"))
	for range 5 {
		if _, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("trap x")}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if live := b.driver.live.Load(); live != 2 {
		t.Errorf("%d machines are open, not the process's and one copy", live)
	}
	if _, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("panic")}, nil); err == nil {
		t.Error("a fault in the driver went unnoticed")
	}
	if live := b.driver.live.Load(); live != 1 {
		t.Errorf("%d machines are open: a copy with a fault was kept", live)
	}
}

func TestDryRunSeesWhatItIsToldAndTheLastEvaluation(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	last := b.result(process, b.send(process, "add a"))
	got, err := b.DryRun(t.Context(), process, DryRunMessage{
		Owner: "o", Data: text("time"), Anchor: text("1"), ID: text("i"), Tags: testTags[:1],
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var output string
	decode(t, got.Output, &output)
	message, _, _ := strings.Cut(output, "\n")
	want := `{"Id":"i","Data":"time","Owner":"o","Target":"` + process.String() + `","Anchor":"1","From":"o",` +
		`"Tags":[{"name":"Module-Format","value":"test-format"}],"Timestamp":` + itoa(last.TimestampMS) +
		`,"Block-Height":` + itoa(int64(last.BlockHeight)) + `,"Cron":false,"Read-Only":true}`
	if diff := cmp.Diff(want, message); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDryRunRefusals(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.send(process, "add a")
	b.send(process, "add b")
	unknown := ao.ID{9}
	for _, test := range []struct {
		process ao.ID
		owner   string
		to      *ao.ID
		code    ao.Code
	}{
		{process, "", nil, ao.CodeInvalid},
		{unknown, "o", nil, ao.CodeNotFound},
		{process, "o", &unknown, ao.CodeNotFound},
	} {
		_, err := b.DryRun(t.Context(), test.process, DryRunMessage{Owner: test.owner, Data: text("add c")}, test.to)
		if ao.CodeOf(err) != test.code {
			t.Errorf("%+v gives %v", test, err)
		}
	}
}

func TestDryRunsDoNotDelayEvaluation(t *testing.T) {
	b := newBench(t, func(o *Options) { o.DryRunWorkers, o.DryRunQueueMax = 1, 1 })
	process := b.spawn()
	b.result(process, process)
	try := func() chan error {
		done := make(chan error, 1)
		go func() {
			_, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("wait")}, nil)
			done <- err
		}()
		return done
	}
	first := try()
	<-b.driver.stuck
	second := try()
	b.eventually("the second waits", func() bool { return b.Status().DryRuns == 2 })
	if err := <-try(); ao.CodeOf(err) != ao.CodeRateLimited {
		t.Errorf("the third gives %v", err)
	}
	b.result(process, b.send(process, "add a"))
	close(b.driver.gate)
	for _, done := range []chan error{first, second} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestStateIsTheRawMemory(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	message := b.result(process, b.send(process, "add a"))
	state, err := b.State(t.Context(), process)
	if err != nil {
		t.Fatal(err)
	}
	var memory bytes.Buffer
	n, err := state.WriteTo(&memory)
	if err != nil || n != 3*vm.PageBytes || memory.Len() != 3*vm.PageBytes {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
	want := make([]byte, 3*vm.PageBytes)
	copy(want, "\x00\x00\x00\x03\na")
	want[2*vm.PageBytes] = 1
	if !bytes.Equal(want, memory.Bytes()) {
		t.Error("memory is another")
	}
	if state.Nonce != 1 || state.TimestampMS != message.TimestampMS {
		t.Errorf("state is %+v", state)
	}
	if err := state.Close(); err != nil {
		t.Error(err)
	}
}

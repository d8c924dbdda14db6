package wasm

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
)

// sleeper is a guest of which only interrupts matter.
type sleeper struct {
	interrupted chan struct{}
	count       atomic.Int64
}

func newSleeper() *sleeper { return &sleeper{interrupted: make(chan struct{})} }

func (s *sleeper) interrupt() {
	if s.count.Add(1) == 1 {
		close(s.interrupted)
	}
}

func TestWatchdogActsOnTheCallThatTakesTooLong(t *testing.T) {
	synctest.Test(t, watchLongCalls)
}

func watchLongCalls(t *testing.T) {
	var d watchdog
	defer d.close()
	// Short calls leave the timer set, and it must not act on the next one.
	for range 50 {
		s := newSleeper()
		stop := d.watch(t.Context(), s.interrupt, 40)
		time.Sleep(7 * time.Millisecond)
		if err := stop(); err != nil || s.count.Load() != 0 {
			t.Fatalf("a short call was interrupted: %v", err)
		}
	}
	for range 3 {
		s := newSleeper()
		started := time.Now()
		stop := d.watch(t.Context(), s.interrupt, 40)
		<-s.interrupted
		if took := time.Since(started); took != 40*time.Millisecond {
			t.Errorf("a call that may take 40 ms was interrupted after %v", took)
		}
		if err := stop(); !errors.Is(err, vm.ErrTimeout) {
			t.Errorf("a long call ended with %v", err)
		}
		count := s.count.Load()
		time.Sleep(5 * time.Millisecond)
		if s.count.Load() != count {
			t.Error("a call was interrupted after its end")
		}
	}
}

func TestWatchdogActsWhenTheCallerGivesUp(t *testing.T) {
	var d watchdog
	defer d.close()
	for _, timeoutMS := range []int64{0, 60_000} {
		ctx, cancel := context.WithCancel(t.Context())
		s := newSleeper()
		stop := d.watch(ctx, s.interrupt, timeoutMS)
		cancel()
		<-s.interrupted
		if err := stop(); !errors.Is(err, context.Canceled) {
			t.Errorf("a call that was given up ended with %v", err)
		}
	}
	s := newSleeper()
	if err := d.watch(context.Background(), s.interrupt, 0)(); err != nil || s.count.Load() != 0 {
		t.Errorf("nothing to watch for, and %v", err)
	}
}

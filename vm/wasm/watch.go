package wasm

import (
	"context"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
)

// watch interrupts a guest that runs longer than its wall clock, or whose caller
// has given up. The returned function ends the watch and gives the reason if it
// had to act.
func watch(ctx context.Context, instance Instance, timeoutMS int64) (stop func() error) {
	if timeoutMS <= 0 && ctx.Done() == nil {
		return func() error { return nil }
	}
	var (
		once   sync.Once
		acting sync.WaitGroup
		reason error
		done   = make(chan struct{})
	)
	act := func(why error) {
		once.Do(func() {
			reason = why
			interrupt(instance, done)
		})
	}
	acting.Add(1)
	forget := context.AfterFunc(ctx, func() {
		defer acting.Done()
		act(ctx.Err())
	})
	unset := func() bool { return false }
	if timeoutMS > 0 {
		acting.Add(1)
		unset = time.AfterFunc(time.Duration(timeoutMS)*time.Millisecond, func() {
			defer acting.Done()
			act(vm.ErrTimeout)
		}).Stop
	}
	return func() error {
		close(done)
		if forget() {
			acting.Done()
		}
		if unset() {
			acting.Done()
		}
		acting.Wait()
		return reason
	}
}

// interrupt interrupts the guest until done.
func interrupt(instance Instance, done <-chan struct{}) {
	const every = time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		default:
		}
		instance.Interrupt()
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

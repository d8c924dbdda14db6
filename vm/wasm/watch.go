package wasm

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// watch stops a guest that runs longer than its wall clock, or whose caller has
// given up, by taking its gas away, which its next loop or call notices. The
// store may fall between a load and a store of the guest's own and be lost, so
// it is repeated until the guest stops. The returned function ends the watch
// and gives the reason if it had to act.
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
			takeGas(instance, done)
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

// takeGas leaves the guest without gas until done.
func takeGas(instance Instance, done <-chan struct{}) {
	const every = time.Millisecond
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		default:
		}
		_ = instance.SetGlobal(binary.GasExport, math.MaxUint64)
		select {
		case <-done:
			return
		case <-ticker.C:
		}
	}
}

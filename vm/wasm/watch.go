package wasm

import (
	"context"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
)

// watchdog interrupts a guest that runs longer than its wall clock, or whose
// caller has given up. A process has one for all its calls, one after the other:
// a timer that is set for each would wake another thread each time, which costs
// a noticeable part of a short message.
type watchdog struct {
	mu    sync.Mutex
	timer *time.Timer
	armed bool // the timer will fire
	call  *watchedCall
}

// watchedCall is the call in hand.
type watchedCall struct {
	interrupt func()
	deadline  time.Time // zero: none
	once      sync.Once
	acting    sync.WaitGroup
	reason    error
}

// watch begins a call. The returned function ends it and gives the reason if the
// watchdog had to act, which it does by calling interrupt from another goroutine,
// once and never after the call's end.
func (d *watchdog) watch(ctx context.Context, interrupt func(), timeoutMS int64) (stop func() error) {
	if timeoutMS <= 0 && ctx.Done() == nil {
		return func() error { return nil }
	}
	c := &watchedCall{interrupt: interrupt}
	c.acting.Add(1)
	forget := context.AfterFunc(ctx, func() {
		defer c.acting.Done()
		c.end(ctx.Err())
	})
	if timeoutMS > 0 {
		timeout := time.Duration(timeoutMS) * time.Millisecond
		c.deadline = time.Now().Add(timeout)
		d.begin(c, timeout)
	}
	return func() error {
		d.end()
		if forget() {
			c.acting.Done()
		}
		c.acting.Wait()
		return c.reason
	}
}

// begin makes a call the one that the timer looks at. A timer that is still set
// from a call before fires too early, and is then set again.
func (d *watchdog) begin(c *watchedCall, timeout time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.call = c
	if !d.armed {
		d.arm(timeout)
	}
}

func (d *watchdog) arm(wait time.Duration) {
	d.armed = true
	if d.timer == nil {
		d.timer = time.AfterFunc(wait, d.look)
		return
	}
	d.timer.Reset(wait)
}

// look is what the timer does.
func (d *watchdog) look() {
	d.mu.Lock()
	d.armed = false
	c := d.call
	if c == nil {
		d.mu.Unlock()
		return
	}
	if wait := time.Until(c.deadline); wait > 0 {
		d.arm(wait)
		d.mu.Unlock()
		return
	}
	c.acting.Add(1)
	d.mu.Unlock()
	defer c.acting.Done()
	c.end(vm.ErrTimeout)
}

func (d *watchdog) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.call = nil
}

// close ends the timer.
func (d *watchdog) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
}

// end interrupts the guest, for the first reason there is.
func (c *watchedCall) end(why error) {
	c.once.Do(func() {
		c.reason = why
		c.interrupt()
	})
}

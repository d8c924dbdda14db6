package measure

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Loop is a closed loop: so many clients, each of which asks again as soon as it
// was answered.
type Loop struct {
	Clients int
	// WarmUp goes by before Window, in which alone is counted.
	WarmUp, Window time.Duration
}

// Result is what the clients of a loop saw, and what the process that they and
// all that they asked ran in took for it.
type Result struct {
	Count          int     `json:"count"`
	Seconds        float64 `json:"seconds"`
	PerSecond      float64 `json:"per_second"`
	MedianMS       float64 `json:"median_ms"`
	Percentile99MS float64 `json:"percentile_99_ms"`
	// CPUMicros is the process's CPU time for each request.
	CPUMicros float64 `json:"cpu_us"`
	// WrittenBytes is what the process had the disk write for each request; 0
	// where the system does not tell.
	WrittenBytes float64 `json:"written_bytes"`
}

// ErrSpent is returned by a request that finds no work left: the loop then ends
// before its time, and its result is good.
var ErrSpent = errors.New("no work left")

// The phases of a loop.
const (
	warmingUp = iota
	counting
	over
)

// Run asks until the window is over, ctx ends or a request fails. A request
// counts when it was answered within the window, which lasts at least until one
// was.
func (l Loop) Run(ctx context.Context, ask func(ctx context.Context, client int) error) (Result, error) {
	asking, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		wait  sync.WaitGroup
		phase atomic.Int32
		took  = make([][]time.Duration, l.Clients)
		spent = make(chan struct{})
		once  sync.Once
		first = make(chan struct{})
		begun sync.Once
	)
	for client := range l.Clients {
		wait.Go(func() {
			for phase.Load() != over {
				start := time.Now()
				if err := ask(asking, client); errors.Is(err, ErrSpent) {
					once.Do(func() { close(spent) })
					return
				} else if err != nil {
					cancel(err)
					return
				}
				if phase.Load() == counting {
					took[client] = append(took[client], time.Since(start))
					begun.Do(func() { close(first) })
				}
			}
		})
	}
	pause(asking, spent, l.WarmUp)
	before := now()
	phase.Store(counting)
	pause(asking, spent, l.Window)
	select {
	case <-first:
	case <-spent:
	case <-asking.Done():
	}
	phase.Store(over)
	after := now()
	wait.Wait()
	if err := context.Cause(asking); err != nil {
		return Result{}, err
	}
	return result(slices.Concat(took...), before, after)
}

// pause waits for d, unless a request fails or finds nothing left.
func pause(ctx context.Context, spent <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-spent:
	case <-ctx.Done():
	}
}

func result(took []time.Duration, before, after usage) (Result, error) {
	if len(took) == 0 {
		return Result{}, fmt.Errorf("nothing was answered in %s: measure for longer", after.at.Sub(before.at))
	}
	slices.Sort(took)
	count, seconds := float64(len(took)), after.at.Sub(before.at).Seconds()
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return Result{
		Count: len(took), Seconds: seconds, PerSecond: count / seconds,
		MedianMS: ms(took[len(took)/2]), Percentile99MS: ms(took[len(took)*99/100]),
		CPUMicros:    float64((after.cpu - before.cpu).Microseconds()) / count,
		WrittenBytes: float64(after.written-before.written) / count,
	}, nil
}

package history

import (
	"cmp"
	"context"
	"errors"
	"io"
	"runtime"
	"slices"
	"sync"
)

// VerifyOptions say what a history is checked against.
type VerifyOptions struct {
	// Schedulers are the addresses that may sign assignments. Without any, those
	// that the process names.
	Schedulers []string
	// Operators are the addresses whose attestations count; without any, all do.
	Operators []string
	// Need is how many operators must have signed each place of a cosigned epoch;
	// 0: as many as its mode asks for.
	Need int
	// From is where the history goes on after the process itself: the places between
	// need not be there (0: all must).
	From uint64
	// Workers check signatures in parallel (one for each of Go's processors; with more
	// of those than cores, reading and ordering keep no core waiting).
	Workers int
	// Progress is called now and then with what is known so far, and its error ends
	// the check.
	Progress func(Report) error
}

const (
	// verifyQueue is how many records per worker are read ahead.
	verifyQueue = 8
	// verifyProgress is after how many records Progress is called.
	verifyProgress = 256
)

// Verify checks a whole history file: records, signatures, order, hash chain,
// timestamps, epochs and attestations. It goes on after a finding, to the end. The
// error is one of reading, or ErrNotHistory; what is found is in the report, in
// order of nonces.
//
// One goroutine reads, Workers check each record by itself, and the caller's looks
// at the order.
func Verify(ctx context.Context, in io.Reader, options VerifyOptions) (Report, error) {
	reader, err := NewReader(in)
	if err != nil {
		return Report{}, err
	}
	if options.Workers <= 0 {
		options.Workers = runtime.GOMAXPROCS(0)
	}
	ctx, cancel := context.WithCancel(ctx)
	p := &pipeline{
		work:  make(chan *inspection, verifyQueue*options.Workers),
		order: make(chan *inspection, verifyQueue*options.Workers),
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { p.read(ctx, reader) })
	for range options.Workers {
		wg.Go(p.inspect)
	}
	c := newChecker(reader.Header(), options)
	for n := 0; ; n++ {
		var next *inspection
		select {
		case next = <-p.order:
		case <-ctx.Done():
			return c.report, ctx.Err()
		}
		<-next.done
		if errors.Is(next.err, io.EOF) {
			break
		}
		if next.err != nil {
			return c.report, next.err
		}
		c.take(next)
		if n%verifyProgress == verifyProgress-1 && options.Progress != nil {
			if err := options.Progress(c.report); err != nil {
				return c.report, err
			}
		}
	}
	c.finish()
	slices.SortStableFunc(c.report.Findings, func(a, b Finding) int { return cmp.Compare(a.Nonce, b.Nonce) })
	c.report.Done = true
	return c.report, nil
}

// pipeline takes records to workers, and in their order to the checker.
type pipeline struct {
	work  chan *inspection
	order chan *inspection
}

// read reads until the end, which it sends as an error.
func (p *pipeline) read(ctx context.Context, reader *Reader) {
	defer close(p.work)
	for {
		next := &inspection{done: make(chan struct{})}
		var err error
		next.record, err = reader.Next()
		if damage, ok := errors.AsType[*Damage](err); ok {
			next.damage = damage
		} else {
			next.err = err
		}
		next.size = reader.offset
		select {
		case p.order <- next:
		case <-ctx.Done():
			return
		}
		if next.err != nil {
			close(next.done)
			return
		}
		select {
		case p.work <- next:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pipeline) inspect() {
	for next := range p.work {
		next.inspect()
		close(next.done)
	}
}

package history

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
)

// Source tells a process's history.
type Source interface {
	// Origin says what it is.
	Origin() Origin
	// Records calls fn for what there is of a process from a nonce on: entries in
	// order, and after each what belongs to it. An error of fn ends it.
	Records(ctx context.Context, process ao.ID, from uint64, fn func(Record) error) error
}

// ImportOptions say how to import.
type ImportOptions struct {
	// Attempts is how often in a row the source may fail without a new entry (5).
	Attempts int
	// Wait waits before another attempt, the first being 1. Nil: not at all.
	Wait func(ctx context.Context, attempt int) error
	// Progress is called after every entry; its error ends the import.
	Progress func(w *Writer) error
}

// Import appends what a source has and the file has not. It does not end the file.
// Nothing is checked: what a source tells is kept as it was told, for Verify.
func Import(ctx context.Context, w *Writer, source Source, options ImportOptions) error {
	if options.Attempts <= 0 {
		options.Attempts = 5
	}
	t := &taker{w: w, options: options}
	for attempt := 1; ; attempt++ {
		before := w.Entries()
		err := source.Records(ctx, w.Header().Process, t.begin(), t.take)
		if err == nil {
			if w.Entries() == 0 {
				return ao.Errorf(ao.CodeNotFound, "%s has no entry of process %s", source.Origin().URL, w.Header().Process)
			}
			return nil
		}
		if w.Entries() > before {
			attempt = 1
		}
		if ctx.Err() != nil || t.failed != nil || attempt >= options.Attempts || !mayPass(err) {
			return fmt.Errorf("import process %s: %w", w.Header().Process, err)
		}
		if options.Wait != nil {
			if err := options.Wait(ctx, attempt); err != nil {
				return err
			}
		}
	}
}

// mayPass reports whether asking again may help.
func mayPass(err error) bool {
	refusal, ok := errors.AsType[*ao.Error](err)
	if !ok {
		return true
	}
	switch refusal.Code {
	case ao.CodeUnavailable, ao.CodeRateLimited, ao.CodeTimeout, ao.CodeInternal:
		return true
	}
	return false
}

// taker writes records, and knows again those that a source tells a second time
// after it has failed: the newest entry, and what belongs to it.
type taker struct {
	w       *Writer
	options ImportOptions
	tail    []Record
	failed  error
}

// begin gives the nonce to ask for.
func (t *taker) begin() uint64 {
	if len(t.tail) > 0 {
		return t.tail[0].Nonce
	}
	return t.w.Next()
}

func (t *taker) take(r Record) error {
	for _, known := range t.tail {
		if known.Kind == r.Kind && known.Nonce == r.Nonce && bytes.Equal(known.Payload, r.Payload) {
			return nil
		}
	}
	if t.failed = t.w.Write(r); t.failed != nil {
		return t.failed
	}
	if r.Kind != KindEntry && r.Kind != KindClaim {
		t.tail = append(t.tail, r)
		return nil
	}
	t.tail = append(t.tail[:0], r)
	if t.options.Progress != nil {
		t.failed = t.options.Progress(t.w)
	}
	return t.failed
}

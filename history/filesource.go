package history

import (
	"context"
	"errors"
	"io"

	"github.com/wallaby-ao/wallaby/ao"
)

// FileSource tells what a history file has, as it is. A damaged file is refused.
type FileSource struct {
	Path string
	// Open opens the file.
	Open func() (io.ReadCloser, error)
}

var _ Source = FileSource{}

// Origin names the file.
func (s FileSource) Origin() Origin { return Origin{Kind: "file", URL: s.Path} }

// Records calls fn for records from a nonce on.
func (s FileSource) Records(ctx context.Context, process ao.ID, from uint64, fn func(Record) error) (err error) {
	in, err := s.Open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	reader, err := NewReader(in)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%s: %w", s.Path, err)
	}
	return Relay(ctx, reader, process, from, fn)
}

// Relay calls fn for what a file has of a process from a nonce on.
func Relay(ctx context.Context, reader *Reader, process ao.ID, from uint64, fn func(Record) error) error {
	if has := reader.Header().Process; has != process {
		return ao.Errorf(ao.CodeNotFound, "the history is of process %s, not of %s", has, process)
	}
	for {
		r, err := reader.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case r.Kind == KindIndex, r.Kind == KindEnd, r.Kind != KindModule && r.Nonce < from:
			continue
		}
		if err := fn(r); err != nil {
			return err
		}
	}
}

package gateway

import (
	"errors"
	"io"
	"net/http"

	"golang.org/x/sync/semaphore"

	"github.com/wallaby-ao/wallaby/ao"
)

// bodyBudget bounds the memory of all request bodies together. A request waits
// for its share before it is read.
type bodyBudget struct {
	total int64
	free  *semaphore.Weighted
}

func newBodyBudget(total int64) *bodyBudget {
	return &bodyBudget{total, semaphore.NewWeighted(total)}
}

// read takes a whole body of at most limit bytes. The caller calls release when
// it no longer needs the body.
func (b *bodyBudget) read(r *http.Request, limit int64) (body []byte, release func(), err error) {
	tooLarge := ao.Errorf(ao.CodeTooLarge, "the body is larger than the limit of %d bytes", limit)
	if r.ContentLength > limit {
		return nil, nil, tooLarge
	}
	// A body of unknown length counts as the largest allowed.
	share := r.ContentLength
	if share < 0 {
		share = limit
	}
	share = min(share, b.total)
	if err := b.free.Acquire(r.Context(), share); err != nil {
		return nil, nil, ao.Errorf(ao.CodeUnavailable, "too many uploads at once: try again later")
	}
	release = func() { b.free.Release(share) }
	defer func() {
		if err != nil {
			release()
		}
	}()
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, limit+1))
	}
	switch {
	case err == nil && int64(len(body)) > limit:
		err = tooLarge
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = ao.Errorf(ao.CodeInvalid, "the body ended before its Content-Length")
	case err != nil:
		err = ao.Errorf(ao.CodeInvalid, "the body could not be read: %w", err)
	}
	return body, release, err
}

package diff

import (
	"context"
	"crypto/sha256"

	"github.com/wallaby-ao/wallaby/ao"
)

// Side gives an account of a process's results.
type Side interface {
	// Digest gives the Digest over the results of the messages with from <= nonce <= to.
	Digest(ctx context.Context, from, to uint64) (Digest, error)
}

// Digest commits to results in their order: each result is hashed behind the digest so
// far, which begins as zeros.
type Digest ao.ID

// Add gives the digest with one more result.
func (d Digest) Add(result []byte) Digest {
	h := sha256.New()
	h.Write(d[:])
	h.Write(result)
	return Digest(h.Sum(nil))
}

// SpanMax is how many results are digested at once.
const SpanMax = 1 << 16

// First gives the first nonce, at most last, for which two sides have different results;
// found is false if there is none. Of n places that fit into one span it asks each side at
// most 1 + log2(n) times, and has it read at most 2n results: each half that is asked for
// lies in the half before.
func First(ctx context.Context, a, b Side, last uint64) (nonce uint64, found bool, err error) {
	for from := uint64(0); from <= last; from += SpanMax {
		to := min(last, from+SpanMax-1)
		same, err := equal(ctx, a, b, from, to)
		if err != nil {
			return 0, false, err
		}
		if !same {
			nonce, err := bisect(ctx, a, b, from, to)
			return nonce, err == nil, err
		}
	}
	return 0, false, nil
}

// bisect finds the first difference in a stretch that has one.
func bisect(ctx context.Context, a, b Side, from, to uint64) (uint64, error) {
	for from < to {
		middle := from + (to-from)/2
		same, err := equal(ctx, a, b, from, middle)
		if err != nil {
			return 0, err
		}
		if same {
			from = middle + 1
		} else {
			to = middle
		}
	}
	return from, nil
}

func equal(ctx context.Context, a, b Side, from, to uint64) (bool, error) {
	one, err := a.Digest(ctx, from, to)
	if err != nil {
		return false, err
	}
	other, err := b.Digest(ctx, from, to)
	return one == other, err
}

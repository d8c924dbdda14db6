package settlement

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// parcel is one entry on its way.
type parcel struct {
	mark        Mark
	process     ao.ID
	timestampMS int64
	items       []*dataitem.Item // the assignment is the last
}

func (p parcel) bytes() (n int) {
	for _, it := range p.items {
		n += len(it.Bytes())
	}
	return n
}

func itemsOf(parcels []parcel) (items []*dataitem.Item) {
	for _, p := range parcels {
		items = append(items, p.items...)
	}
	return items
}

// carrier takes parcels to the weave.
type carrier interface {
	// limits bound one shipment.
	limits() (entries, bytes int)
	// send returns once everything was accepted, or with the error of ctx or of a
	// listener. tx is what the parcels were on their way in before, if they were.
	send(ctx context.Context, parcels []parcel, tx *arweave.Tx, to listener) error
}

// listener hears what happens to a shipment.
type listener interface {
	// failed is told why an attempt failed that will be made again; nil: it did not.
	failed(err error)
	// refused is told of an item that will never be taken.
	refused(it *dataitem.Item, why error) error
	// remember keeps a transaction before it is sent.
	remember(tx *arweave.Tx) error
}

// attempts makes requests until one succeeds.
type attempts struct {
	timing  Timing
	retries *atomic.Uint64
}

// bytesPerSecond is the slowest line that a request is given time for.
const bytesPerSecond = 64 << 10

func timeFor(bytes int) time.Duration { return time.Duration(bytes/bytesPerSecond) * time.Second }

// once makes one request that sends so many bytes.
func (a attempts) once(ctx context.Context, bytes int, request func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, a.timing.Attempt+timeFor(bytes))
	defer cancel()
	return request(ctx)
}

// pause waits before the next attempt, longer each time.
func (a attempts) pause(ctx context.Context, failures int) error {
	a.retries.Add(1)
	wait := a.timing.RetryMax
	if failures < 16 {
		wait = min(wait, a.timing.Retry<<failures)
	}
	return sleep(ctx, wait)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package settlement

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// bundler uploads items one by one to somebody who bundles them.
type bundler struct {
	client   *arweave.Client
	attempts attempts
}

const (
	// uploadsMax is how many processes are uploaded at once.
	uploadsMax = 8
	// refusalsMax is how often an item is offered before its assignment is, to learn
	// whose fault it is.
	refusalsMax = 3
)

func (b *bundler) limits() (entries, bytes int) { return 256, 4 << 20 }

// send uploads different processes side by side, and each one's items in order. It
// knows of no transactions.
func (b *bundler) send(ctx context.Context, parcels []parcel, _ *arweave.Tx, to listener) error {
	var order []ao.ID
	byProcess := map[ao.ID][]parcel{}
	for _, p := range parcels {
		if byProcess[p.process] == nil {
			order = append(order, p.process)
		}
		byProcess[p.process] = append(byProcess[p.process], p)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploadsMax)
	for _, process := range order {
		group.Go(func() error {
			for _, p := range byProcess[process] {
				if err := b.sendOne(ctx, p, to); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// sendOne uploads one entry. An item that a bundler refuses must not stand in the
// way of all that come after it, and a bundler that refuses everything must not
// make the log look settled: so an item is left out only if its assignment, which
// is small and of this node's own making, is taken.
func (b *bundler) sendOne(ctx context.Context, p parcel, to listener) error {
	assignment := len(p.items) - 1
	for i, it := range p.items {
		for failures := 0; ; failures++ {
			err := b.post(ctx, it)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			to.failed(err)
			if i < assignment && failures+1 >= refusalsMax && isRefusal(err) && b.post(ctx, p.items[assignment]) == nil {
				if err := to.refused(it, err); err != nil {
					return err
				}
				break
			}
			if err := b.attempts.pause(ctx, failures); err != nil {
				return err
			}
		}
	}
	to.failed(nil)
	return nil
}

func (b *bundler) post(ctx context.Context, it *dataitem.Item) error {
	return b.attempts.once(ctx, len(it.Bytes()), func(ctx context.Context) error {
		_, err := b.client.PostItem(ctx, it)
		return err
	})
}

// isRefusal reports whether the other side has looked at what it got and does not
// want it.
func isRefusal(err error) bool {
	refused, ok := errors.AsType[*ao.Error](err)
	return ok && (refused.Code == ao.CodeInvalid || refused.Code == ao.CodeTooLarge)
}

package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// unbundle verifies and stores the items of a bundle and of the bundles in it.
// An item that fails is left out, and so is everything of a bundle whose layout
// is broken, since its ends cannot be told: the carrier is valid all the same.
func (g *Gateway) unbundle(ctx context.Context, carrier dataitem.ID, data []byte, at location, depth int) error {
	if depth > unbundleDepthMax {
		g.options.Logger.Warn().Stringer("bundle", carrier).Int("depth", depth).Msg("bundle is nested too deeply: not opened")
		return nil
	}
	items, err := dataitem.ParseBundle(data)
	if err != nil {
		g.options.Logger.Warn().Stringer("bundle", carrier).Err(err).Msg("bundle is malformed: its items are not indexed")
		return nil
	}
	var waiting []*job
	end := uint64(len(data))
	for i := len(items) - 1; i >= 0; i-- {
		// Items fill the bundle up to its end, so walking back from there
		// gives each one's place.
		start := end - uint64(len(items[i].Bytes()))
		offset := end - uint64(len(items[i].Data))
		end = start
		j, err := g.putInner(ctx, carrier, items[i], at, offset, depth)
		if err != nil {
			return err
		}
		if j != nil {
			waiting = append(waiting, j)
		}
	}
	return g.awaitAll(ctx, waiting)
}

func (g *Gateway) putInner(ctx context.Context, carrier dataitem.ID, it *dataitem.Item, at location, offset uint64, depth int) (*job, error) {
	if err := it.Verify(); err != nil {
		g.options.Logger.Warn().Stringer("bundle", carrier).Stringer("item", it.ID()).Err(err).Msg("item of a bundle is not valid: not indexed")
		return nil, nil
	}
	p, err := g.prepareItem(it, carrier, at, offset)
	if err != nil || p == nil {
		return nil, err
	}
	if dataitem.IsBundle(it) {
		if err := g.unbundle(ctx, it.ID(), it.Data, p.stored.at, depth+1); err != nil {
			return nil, err
		}
	}
	return g.submit(ctx, p)
}

// unbundleStored opens a carrier whose data is complete, and forgets that it
// was to be done.
func (g *Gateway) unbundleStored(ctx context.Context, carrier dataitem.ID) error {
	record, err := g.lookup(carrier)
	if err != nil {
		return err
	}
	if record == nil || record.DataSize > unbundleBytesMax {
		g.options.Logger.Warn().Stringer("bundle", carrier).Int("limit_bytes", unbundleBytesMax).Msg("bundle is too large: not opened")
	} else {
		data, err := g.readAll(record)
		if err != nil {
			return err
		}
		if err := g.unbundle(ctx, carrier, data, record.at, 1); err != nil {
			return err
		}
	}
	return g.commit.do(ctx, 1, 0, func(txn *badger.Txn) error { return txn.Delete(unbundleKey(carrier)) })
}

// resume opens the bundles that were complete when the last run ended before
// their items were indexed.
func (g *Gateway) resume(ctx context.Context) error {
	var carriers []dataitem.ID
	err := g.view(func(txn *badger.Txn) error {
		return scan(txn, []byte{keyUnbundle}, func(key, _ []byte) error {
			carriers = append(carriers, dataitem.ID(key[1:]))
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, carrier := range carriers {
		record, err := g.lookup(carrier)
		if err != nil {
			return err
		}
		if record == nil {
			return fmt.Errorf("%w: bundle %s is not there", ErrDamaged, carrier)
		}
		complete, _, err := g.complete(record)
		if err != nil {
			return err
		}
		if !complete {
			continue
		}
		if err := g.unbundleStored(ctx, carrier); err != nil {
			return err
		}
	}
	return nil
}

// pinFile names the file of pinned data by its content, so that pinning another
// file under the same id never overwrites what is being read.
func pinFile(id dataitem.ID, data []byte) dataitem.ID {
	h := sha256.New()
	_, _ = io.WriteString(h, "pinned")
	h.Write(id[:])
	h.Write(data)
	return dataitem.ID(h.Sum(nil))
}

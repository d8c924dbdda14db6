package settlement

import (
	"bytes"
	"context"
	"fmt"

	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// layer1 sends bundles of its own as base-layer transactions.
type layer1 struct {
	client   *arweave.Client
	wallet   dataitem.Signer
	attempts attempts
}

func (l *layer1) limits() (entries, bytes int) { return 4096, 8 << 20 }

// send puts all parcels into one bundle. A transaction that was remembered is sent
// on: its anchor and its price stand, and chunks that were taken are taken again
// for nothing.
func (l *layer1) send(ctx context.Context, parcels []parcel, tx *arweave.Tx, to listener) error {
	data, err := dataitem.EncodeBundle(itemsOf(parcels)...)
	if err != nil {
		return err
	}
	tree := arweave.NewTree(data)
	if tx != nil && !bytes.Equal(tx.DataRoot, tree.Root[:]) {
		return fmt.Errorf("bundle %s was made of other entries than the log has in its place", tx.ID)
	}
	uploaded := make([]bool, len(tree.Chunks))
	for failures := 0; ; failures++ {
		if tx == nil {
			tx, err = l.make(ctx, data, tree)
			if err == nil {
				if err := to.remember(tx); err != nil {
					return err
				}
			}
		}
		if err == nil {
			err = l.upload(ctx, tx, data, tree, uploaded)
		}
		if err == nil {
			to.failed(nil)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		to.failed(err)
		if isRefusal(err) && tx != nil {
			// Its anchor is too old, or the price has risen: the next has new ones.
			tx, uploaded = nil, make([]bool, len(tree.Chunks))
		}
		if err := l.attempts.pause(ctx, failures); err != nil {
			return err
		}
		err = nil
	}
}

// make signs a transaction for a bundle, and leaves the bundle out.
func (l *layer1) make(ctx context.Context, data []byte, tree *arweave.Tree) (*arweave.Tx, error) {
	tx := &arweave.Tx{
		Tags: dataitem.Tags{
			{Name: "Bundle-Format", Value: "binary"}, {Name: "Bundle-Version", Value: "2.0.0"}, {Name: "App-Name", Value: "Wallaby"},
		},
		DataSize: uint64(len(data)), DataRoot: tree.Root[:], Quantity: "0",
	}
	err := l.attempts.once(ctx, 0, func(ctx context.Context) (err error) {
		if tx.LastTx, err = l.client.Anchor(ctx); err == nil {
			tx.Reward, err = l.client.Price(ctx, tx.DataSize)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return tx, tx.Sign(l.wallet)
}

// upload sends the transaction and those chunks that were not taken yet.
func (l *layer1) upload(ctx context.Context, tx *arweave.Tx, data []byte, tree *arweave.Tree, uploaded []bool) error {
	if err := l.attempts.once(ctx, 0, func(ctx context.Context) error { return l.client.PostTx(ctx, tx) }); err != nil {
		return err
	}
	whole := *tx
	whole.Data = data
	for i, chunk := range tree.Chunks {
		if uploaded[i] {
			continue
		}
		err := l.attempts.once(ctx, int(chunk.End-chunk.Start), func(ctx context.Context) error { return l.client.PostChunk(ctx, &whole, chunk) })
		if err != nil {
			return chunkError{err}
		}
		uploaded[i] = true
	}
	return nil
}

// chunkError keeps a chunk that is refused for now from being taken for a
// transaction that is: nodes say 400 to a chunk that came before its transaction.
type chunkError struct{ err error }

func (e chunkError) Error() string { return e.err.Error() }

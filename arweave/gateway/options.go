package gateway

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Options says where a gateway keeps its data and how its chain behaves.
type Options struct {
	// Dir holds the store; it is created if needed. Empty means memory only:
	// everything is gone after Close.
	Dir string
	// Signer signs receipts of uploaded items. Nil leaves receipts unsigned.
	Signer dataitem.Signer
	// Now is the wall clock; default time.Now.
	Now func() time.Time
	// BlockIntervalMS is the time from block to block; default 120,000, which
	// is Arweave's. A store that is opened with another interval keeps the
	// heights it had and goes on from there.
	BlockIntervalMS int64
	// GenesisMS is when the chain began; default: when the store is made. With it
	// the chain is the same for all gateways that are given the same, and cannot be
	// moved on by hand.
	GenesisMS int64
	// Seed is what block ids are made from; default random.
	Seed []byte
	// GenesisHeight is the height of a new store's first block; default 1.
	GenesisHeight uint64
	// PendingBlocks is how many blocks a transaction waits until it is in one;
	// default 0: it is in the current block at once.
	PendingBlocks uint64
	// BodyBytesMax bounds one request body; default 64 MiB.
	BodyBytesMax int64
	// DataBytesMax bounds the data of a transaction that is uploaded in chunks;
	// default 2 GiB.
	DataBytesMax uint64
	// Fallback finds items that were never put here; default none.
	Fallback Source
	// OnFatal is told, once, that the disk failed a write. Nothing can be stored
	// from then on; default none.
	OnFatal func(error)
	// Logger receives what an operator can act on; default none.
	Logger zerolog.Logger
}

// Source finds verified items that are kept elsewhere.
type Source interface {
	// Item gives an item by id, or an *ao.Error with ao.CodeNotFound.
	Item(ctx context.Context, id ao.ID) (*dataitem.Item, error)
}

const (
	blockIntervalDefaultMS = 120_000
	bodyBytesMaxDefault    = 64 << 20
	dataBytesMaxDefault    = 2 << 30

	// inlineBytesMax is the size up to which data lies in the database; larger
	// data has a file of its own, which the database never has to copy.
	inlineBytesMax = 32 << 10
	// unbundleDepthMax bounds bundles within bundles.
	unbundleDepthMax = 8
	// unbundleBytesMax is the size up to which a bundle is opened, since that
	// takes it into memory.
	unbundleBytesMax = 256 << 20
)

func (o Options) withDefaults() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnFatal == nil {
		o.OnFatal = func(error) {}
	}
	if o.BlockIntervalMS <= 0 {
		o.BlockIntervalMS = blockIntervalDefaultMS
	}
	if o.GenesisHeight == 0 {
		o.GenesisHeight = 1
	}
	if o.BodyBytesMax <= 0 {
		o.BodyBytesMax = bodyBytesMaxDefault
	}
	if o.DataBytesMax == 0 {
		o.DataBytesMax = dataBytesMaxDefault
	}
	return o
}

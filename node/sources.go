package node

import (
	"context"
	"encoding/base64"
	"errors"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// modules gives the engine modules out of the gateway.
type modules struct{ gateway *gateway.Gateway }

var _ engine.ModuleSource = modules{}

// Module gives a module with its owner in the form that contracts see.
func (m modules) Module(ctx context.Context, id ao.ID) (engine.Module, error) {
	record, err := m.gateway.Lookup(ctx, id)
	if err != nil {
		return engine.Module{}, err
	}
	data, err := m.gateway.Data(ctx, id)
	if err != nil {
		return engine.Module{}, err
	}
	return engine.Module{ID: id, Owner: ownerAddress(record), Tags: record.Tags, Bytes: data}, nil
}

func ownerAddress(record gateway.Record) string {
	if record.OwnerKey == nil {
		return record.Owner.String()
	}
	return dataitem.NativeAddress(record.OwnerKey)
}

// blocks gives crons the gateway's blocks, if every node has the same.
func (n *Node) blocks() engine.BlockSource {
	if c := n.options.Cluster; c != nil && len(c.Members) > 1 && c.Chain.GenesisMS == 0 {
		return nil
	}
	return blocks{n.gateway}
}

type blocks struct{ gateway *gateway.Gateway }

// Blocks lists blocks by time.
func (b blocks) Blocks(_ context.Context, afterMS, beforeMS int64, limit int) (list []engine.Block, _ error) {
	for _, block := range b.gateway.Blocks(afterMS, beforeMS, limit) {
		list = append(list, engine.Block{Height: block.Height, TimestampMS: block.Timestamp * 1000})
	}
	return list, nil
}

// historyBlocks gives history files the same blocks.
func (n *Node) historyBlocks() func(ctx context.Context, afterMS, beforeMS int64, limit int) ([]history.Block, error) {
	source := n.blocks()
	if source == nil {
		return nil
	}
	return func(ctx context.Context, afterMS, beforeMS int64, limit int) (list []history.Block, err error) {
		found, err := source.Blocks(ctx, afterMS, beforeMS, limit)
		for _, block := range found {
			list = append(list, history.Block{Height: block.Height, TimestampMS: block.TimestampMS})
		}
		return list, err
	}
}

// items gives the engine what a bare assignment names: a message of this
// node's own log, or anything its gateway or another node's holds.
type items struct{ node *Node }

var _ engine.ItemSource = items{}

// Item gives an item or transaction by id.
func (s items) Item(ctx context.Context, id ao.ID, withData bool) (engine.TxMeta, error) {
	item, err := logItems{s.node.log}.Item(ctx, id)
	if err == nil {
		return metaOfItem(item), nil
	}
	if ao.CodeOf(err) != ao.CodeNotFound {
		return engine.TxMeta{}, err
	}
	meta, err := s.stored(ctx, id, withData)
	if ao.CodeOf(err) != ao.CodeNotFound {
		return meta, err
	}
	answer, peerErr := s.node.peerTx(ctx, id, withData)
	if peerErr != nil {
		return engine.TxMeta{}, err
	}
	// The next time it is here. A gateway that does not take it, for want of the
	// tokens that it moves, is no reason not to give it to the process.
	if _, err := s.node.gateway.PutTx(ctx, answer.Tx); err != nil {
		s.node.options.Logger.Debug().Err(err).Stringer("tx", id).Msg("a transaction of another node is not kept here")
	}
	return metaOfTx(answer.Tx, answer.Tx.Data), nil
}

// stored gives what this node's gateway has.
func (s items) stored(ctx context.Context, id ao.ID, withData bool) (engine.TxMeta, error) {
	record, err := s.node.gateway.Lookup(ctx, id)
	if err != nil {
		return engine.TxMeta{}, err
	}
	var data []byte
	if withData {
		if data, err = s.node.gateway.Data(ctx, id); err != nil {
			return engine.TxMeta{}, err
		}
	}
	if record.Tx != nil {
		return metaOfTx(record.Tx, data), nil
	}
	meta := engine.TxMeta{
		ID: id, Signature: record.Signature, Owner: ownerAddress(record), OwnerKey: record.OwnerKey,
		Target: targetText(record.Target), Tags: record.Tags, Data: data,
	}
	// As it is for whoever has the item in the log.
	if utf8.Valid(record.Anchor) {
		meta.HasAnchor, meta.Anchor = record.Anchor != nil, string(record.Anchor)
	}
	return meta, nil
}

func metaOfTx(tx *arweave.Tx, data []byte) engine.TxMeta {
	return engine.TxMeta{
		ID: tx.ID, Signature: tx.Signature, Owner: dataitem.NativeAddress(tx.Owner), OwnerKey: tx.Owner,
		HasAnchor: true, Anchor: base64.RawURLEncoding.EncodeToString(tx.LastTx),
		Target: targetText(tx.TargetID()), Tags: tx.Tags, Data: data, BaseLayer: true,
	}
}

func metaOfItem(item *dataitem.Item) engine.TxMeta {
	meta := engine.TxMeta{
		ID: item.ID(), Signature: item.Signature, Owner: item.Address(), OwnerKey: item.Owner,
		Target: targetText(item.TargetID()), Tags: item.Tags, Data: item.Data,
	}
	meta.Anchor, meta.HasAnchor = item.AnchorText()
	return meta
}

func targetText(target ao.ID) string {
	if target.IsZero() {
		return ""
	}
	return target.String()
}

// logItems finds items and assignments of the log by id.
type logItems struct{ log aolog.Log }

var _ gateway.Source = logItems{}

// Item gives a process, message or assignment.
func (s logItems) Item(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	process, nonce, err := s.log.Locate(ctx, id)
	if errors.Is(err, aolog.ErrEntryUnknown) {
		return nil, ao.Errorf(ao.CodeNotFound, "item %s is not in this node's log", id)
	}
	if err != nil {
		return nil, err
	}
	entry, err := s.log.Read(ctx, process, nonce)
	if err != nil {
		return nil, err
	}
	if entry.ID == id {
		return dataitem.Parse(entry.AssignmentBytes)
	}
	if entry.IsBare() {
		return nil, ao.Errorf(ao.CodeNotFound, "item %s was assigned by name and is not in this node's log", id)
	}
	return entry.Item()
}

// fallback breaks the circle between gateway and log: the gateway opens first
// and may be asked only once the log is open too.
type fallback struct{ sources []gateway.Source }

// Item asks one source after the other.
func (f *fallback) Item(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	if len(f.sources) == 0 {
		return nil, ao.Errorf(ao.CodeUnavailable, "item %s: %w", id, errNotRunning)
	}
	var last error
	for _, source := range f.sources {
		item, err := source.Item(ctx, id)
		if ao.CodeOf(err) != ao.CodeNotFound || err == nil {
			return item, err
		}
		last = err
	}
	return nil, last
}

// publishingLog is the node's log as its own units write to it: a process is
// visible at the gateway before its spawn is answered, because clients look it
// up there at once. Messages follow by settlement.
type publishingLog struct {
	aolog.Log
	gateway *gateway.Gateway
}

// Append appends, and puts new processes where clients look for them.
func (l publishingLog) Append(ctx context.Context, proposal aolog.Proposal) (aolog.Entry, bool, error) {
	entry, duplicate, err := l.Log.Append(ctx, proposal)
	if err != nil || duplicate || !entry.Message.IsZero() {
		return entry, duplicate, err
	}
	if _, err := l.gateway.PutVerified(ctx, proposal.Item); err != nil {
		return entry, duplicate, err
	}
	return entry, duplicate, nil
}

package node

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/settlement"
)

// settler copies every item and assignment of the log to the gateway, so that
// they can be found there as on Arweave. It remembers how far it came; the log
// holds everything it has yet to copy, so nothing is lost by falling behind.
type settler struct {
	log   aolog.Log
	store itemStore
	state *badger.DB
	fail  func(error)

	cancel context.CancelFunc
	wait   sync.WaitGroup
}

// itemStore takes items whose signatures the log has checked already.
type itemStore interface {
	PutVerifiedBatch(ctx context.Context, items []*dataitem.Item) error
}

// The settler writes a batch when it is full or old enough, whichever is first.
const (
	settleItemsMax  = 256
	settleBytesMax  = 4 << 20
	settleInterval  = 100 * time.Millisecond
	settleQueueSize = 2 * settleItemsMax
)

func (n *Node) openSettlement(ctx context.Context) error {
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s := &settler{log: n.log, store: n.gateway, state: n.state.DB, fail: n.fail, cancel: cancel}
	for _, group := range n.log.Groups() {
		if err := s.start(background, group); err != nil {
			cancel()
			return err
		}
	}
	n.onClose("settlement", func(context.Context) error {
		cancel()
		s.wait.Wait()
		return nil
	})
	return nil
}

// settled is one entry on its way to the gateway.
type settled struct {
	position aolog.Position
	items    []*dataitem.Item
}

func (s *settler) start(ctx context.Context, group uint32) error {
	from, err := s.load(group)
	if err != nil {
		return err
	}
	queue := make(chan settled, settleQueueSize)
	s.wait.Go(func() {
		defer close(queue)
		err := s.log.Follow(ctx, group, from, func(at aolog.Position, entry aolog.Entry) error {
			items, err := settlement.EntryItems(entry)
			if err != nil {
				return err
			}
			select {
			case queue <- settled{at, items}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil && ctx.Err() == nil && !errors.Is(err, aolog.ErrClosed) {
			s.fail(fmt.Errorf("follow the log of group %d for settlement: %w", group, err))
		}
	})
	s.wait.Go(func() { s.run(ctx, group, queue) })
	return nil
}

// run gathers entries into batches until the queue is closed.
func (s *settler) run(ctx context.Context, group uint32, queue <-chan settled) {
	ticker := time.NewTicker(settleInterval)
	defer ticker.Stop()
	var (
		batch []*dataitem.Item
		bytes int
		last  aolog.Position
	)
	flush := func() {
		if len(batch) == 0 {
			return
		}
		err := s.store.PutVerifiedBatch(context.WithoutCancel(ctx), batch)
		if err == nil {
			err = s.save(group, last)
		}
		if err != nil {
			s.fail(fmt.Errorf("copy the log to the gateway: %w", err))
		}
		batch, bytes = nil, 0
	}
	for {
		select {
		case entry, open := <-queue:
			if !open {
				flush()
				return
			}
			batch, last = append(batch, entry.items...), entry.position
			for _, item := range entry.items {
				bytes += len(item.Bytes())
			}
			if len(batch) >= settleItemsMax || bytes >= settleBytesMax {
				flush()
			}
		case <-ticker.C:
			flush()
		}
	}
}

func settleKey(group uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte("settle/"), group)
}

// load gives the position after which the group has yet to be copied.
func (s *settler) load(group uint32) (position aolog.Position, err error) {
	err = s.state.View(func(txn *badger.Txn) error {
		item, err := txn.Get(settleKey(group))
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		return item.Value(func(b []byte) error {
			if len(b) != 12 {
				return fmt.Errorf("position of %d bytes", len(b))
			}
			position.Index = binary.BigEndian.Uint64(b)
			position.Offset = binary.BigEndian.Uint32(b[8:])
			return nil
		})
	})
	if err != nil {
		return position, fmt.Errorf("read how far group %d is settled: %w", group, err)
	}
	return position, nil
}

func (s *settler) save(group uint32, position aolog.Position) error {
	value := binary.BigEndian.AppendUint64(nil, position.Index)
	value = binary.BigEndian.AppendUint32(value, position.Offset)
	err := s.state.Update(func(txn *badger.Txn) error { return txn.Set(settleKey(group), value) })
	if err != nil {
		return fmt.Errorf("note how far group %d is settled: %w", group, err)
	}
	return nil
}

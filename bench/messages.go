package bench

import (
	"context"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
)

// messageSource signs numbered messages for processes in turn.
type messageSource struct {
	user      dataitem.Signer
	processes []ao.ID
	dataBytes int
}

// message signs the message of that number, to a process far from that of the
// number before.
func (m messageSource) message(number uint64) (*dataitem.Item, error) {
	process := m.processes[number*stride%uint64(len(m.processes))]
	data := make([]byte, m.dataBytes)
	copy(data, fmt.Sprint(number, " "))
	return dataitem.Create(dataitem.Draft{Target: process[:], Data: data, Tags: dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeMessage},
	}}, m.user)
}

// stride is prime, so that every process has its turn.
const stride = 7919

// spawnClients is how many spawn at once.
const spawnClients = 256

// spawnAll spawns processes, many at once because each waits for a flush. A mode
// is theirs; "" leaves it to the node.
func spawnAll(ctx context.Context, n log.Log, user dataitem.Signer, count int, mode string) ([]ao.ID, error) {
	processes := make([]ao.ID, count)
	err := eachOf(ctx, spawnClients, count, func(ctx context.Context, i int) error {
		tags := dataitem.Tags{
			{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeProcess},
			{Name: ao.TagModule, Value: ao.ID{1}.String()}, {Name: ao.TagScheduler, Value: "bench"}, {Name: "Name", Value: fmt.Sprint(i)},
		}
		if mode != "" {
			tags = append(tags, dataitem.Tag{Name: ao.TagSequencing, Value: mode})
		}
		item, err := dataitem.Create(dataitem.Draft{Tags: tags}, user)
		if err != nil {
			return err
		}
		processes[i] = item.ID()
		_, _, err = n.Append(ctx, log.Proposal{Item: item})
		return err
	})
	return processes, err
}

// eachOf calls fn with 0 to count-1, from so many clients at once.
func eachOf(ctx context.Context, clients, count int, fn func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range clients {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(count) && ctx.Err() == nil; i = next.Add(1) - 1 {
				if err := fn(ctx, int(i)); err != nil {
					return err
				}
			}
			return ctx.Err()
		})
	}
	return group.Wait()
}

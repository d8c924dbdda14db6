package raft

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// gate keeps flushes of segments waiting while it is shut.
type gate struct {
	mu   sync.RWMutex
	open chan struct{}
}

func newGate() *gate {
	g := &gate{open: make(chan struct{})}
	close(g.open)
	return g
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) wait(op fsxtest.Op) error {
	if op.Kind == "sync" && filepath.Ext(op.Path) == ".seg" {
		g.mu.RLock()
		open := g.open
		g.mu.RUnlock()
		<-open
	}
	return nil
}

// TestAFullQueueIsTold: while the disks stand still, appends through any node are
// refused with CodeRateLimited once the leader's queue is full, and those in the
// queue get their places when the disks go on.
func TestAFullQueueIsTold(t *testing.T) {
	for _, ids := range [][]string{{"n1"}, {"n1", "n2", "n3"}} {
		t.Run(fmt.Sprint(len(ids)), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fillQueue(t, ids) })
		})
	}
}

func fillQueue(t *testing.T, ids []string) {
	const queueMax, appends = 4, 100
	g := newGate()
	c := &simCluster{t: t, net: newSimNet(1), ids: ids, founders: ids, nodes: map[string]*simNode{}, queueMax: queueMax}
	var wait sync.WaitGroup
	for _, id := range ids {
		disk := fsxtest.NewDisk()
		disk.Fault = g.wait
		wait.Go(func() { c.boot(id, disk) })
	}
	wait.Wait()
	defer c.close()
	process := logtest.Spawn(t, c.node(ids[0]).log, "a")
	g.shut()
	var (
		mu               sync.Mutex
		refused, through = map[string]int{}, 0
	)
	for _, id := range ids {
		signer := logtest.Signer(t, byte(9+len(id)))
		for i := range appends {
			item := logtest.MessageItem(t, signer, process, fmt.Sprint(id, i))
			wait.Go(func() {
				_, _, err := c.node(id).log.Append(t.Context(), log.Proposal{Item: item})
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil:
					through++
				case ao.CodeOf(err) == ao.CodeRateLimited:
					refused[id]++
				default:
					t.Errorf("append through %s: %v", id, err)
				}
			})
		}
		// In virtual time: all that can happen while the disks stand still has.
		time.Sleep(time.Second)
	}
	mu.Lock()
	if through > 0 {
		t.Errorf("%d appends were acknowledged while no disk flushed", through)
	}
	mu.Unlock()
	close(g.open)
	wait.Wait()
	for _, id := range ids {
		if refused[id] == 0 {
			t.Errorf("node %s refused nothing", id)
		}
	}
	if through < queueMax {
		t.Errorf("%d appends got through, at least the %d of the queue had to", through, queueMax)
	}
	logtest.CheckChain(t, c.node(ids[0]).log.Linearizable(), process, uint64(through))
}

package raft

import (
	"context"
	"math/rand"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/wallaby-ao/wallaby/ao"
)

// history is what clients did and saw, for porcupine to find an order in which
// all of it is true.
type history struct {
	mu         sync.Mutex
	operations []porcupine.Operation
}

// operation is an append, or a read of the head.
type operation struct {
	process ao.ID
	append  bool
}

// outcome is the nonce that an operation gave; unknown is an append that nobody
// waited for to the end.
type outcome struct {
	nonce   uint64
	unknown bool
}

// began notes a call and gives what notes its end.
func (h *history) began(client int, op operation) (ended func(outcome)) {
	called := time.Now().UnixNano()
	return func(out outcome) {
		returned := time.Now().UnixNano()
		if out.unknown {
			returned = 1 << 62
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.operations = append(h.operations, porcupine.Operation{ClientId: client, Input: op, Call: called, Output: out, Return: returned})
	}
}

// logModel is one process's log: an append gets the nonce after the newest, a
// read gives the newest.
var logModel = porcupine.Model{
	Partition: func(all []porcupine.Operation) (parts [][]porcupine.Operation) {
		byProcess := map[ao.ID][]porcupine.Operation{}
		for _, op := range all {
			process := op.Input.(operation).process
			byProcess[process] = append(byProcess[process], op)
		}
		for _, part := range byProcess {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(-1) },
	Step: func(state, input, output any) (bool, any) {
		newest, op, out := state.(int64), input.(operation), output.(outcome)
		switch {
		case out.unknown:
			return true, newest + 1
		case op.append:
			return int64(out.nonce) == newest+1, newest + 1
		}
		return int64(out.nonce) == newest, newest
	},
	Equal: func(a, b any) bool { return a == b },
}

// check reports a history that no order explains.
func (h *history) check(t *testing.T) {
	t.Helper()
	if result := porcupine.CheckOperationsTimeout(logModel, h.operations, time.Minute); result != porcupine.Ok {
		t.Errorf("%d operations are not linearizable: %s", len(h.operations), result)
	}
}

// reader asks nodes at random for the heads of processes until stop.
func (c *simCluster) reader(number int, stop <-chan struct{}, told *acks, seen *history) {
	random := rand.New(rand.NewSource(int64(1000 + number)))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.Intn(600)) * time.Millisecond):
		}
		known := told.processes()
		if len(known) == 0 {
			continue
		}
		process := known[random.Intn(len(known))]
		n := c.node(c.ids[random.Intn(len(c.ids))]).log
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		ended := seen.began(100+number, operation{process: process})
		head, err := n.Linearizable().Head(ctx, process)
		cancel()
		if err == nil {
			ended(outcome{nonce: head.Nonce})
		}
	}
}

// TestTheModelSeesAStaleRead: a check that cannot fail shows nothing.
func TestTheModelSeesAStaleRead(t *testing.T) {
	process := ao.ID{1}
	op := func(client int, appends bool, call, ret int64, nonce uint64) porcupine.Operation {
		return porcupine.Operation{ClientId: client, Input: operation{process, appends}, Call: call, Return: ret, Output: outcome{nonce: nonce}}
	}
	good := []porcupine.Operation{op(1, true, 1, 2, 0), op(1, true, 3, 6, 1), op(2, false, 4, 5, 0), op(2, false, 7, 8, 1)}
	if !porcupine.CheckOperations(logModel, good) {
		t.Error("a right history is refused")
	}
	stale := append(good, op(3, false, 9, 10, 0))
	if porcupine.CheckOperations(logModel, stale) {
		t.Error("a read that misses an acknowledged message passes")
	}
	twice := append(good[:2:2], op(2, true, 7, 8, 1))
	if porcupine.CheckOperations(logModel, twice) {
		t.Error("one nonce for two messages passes")
	}
}

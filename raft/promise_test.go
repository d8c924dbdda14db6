package raft

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"sync"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// words are what the schedulers of a cluster gave: the heads after promises.
type words struct {
	mu    sync.Mutex
	heads []log.Head
}

func (w *words) add(head log.Head) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heads = append(w.heads, head)
}

// promiser asks for promises, skips and watches at random until stop, through any
// node.
func (c *simCluster) promiser(seed int64, stop <-chan struct{}, told *acks, given *words) {
	random := rand.New(rand.NewSource(seed + 2000))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.Intn(400)) * time.Millisecond):
		}
		known := told.processes()
		if len(known) == 0 {
			continue
		}
		process := known[random.Intn(len(known))]
		node := c.node(c.ids[random.Intn(len(c.ids))]).log
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		if random.Intn(5) == 0 {
			_, _ = node.Watch(ctx, process, random.Intn(2) == 0)
		}
		promise := log.Promise{Process: process, UntilMS: time.Now().Add(time.Hour).UnixMilli(), Skip: random.Intn(3) == 0}
		if head, err := node.Promise(ctx, promise); err == nil && head.PromisedMS > 0 {
			given.add(head)
		}
		cancel()
	}
}

// kept says which word was not kept, or which node knows another time than others.
func (w *words) kept(c *simCluster) error {
	if len(w.heads) == 0 {
		return errors.New("nothing was promised")
	}
	ctx := context.Background()
	var skipped int
	watched := map[string]string{}
	for _, id := range c.ids {
		list, err := c.node(id).log.Watched(ctx, ao.ID{}, 1000)
		if err != nil {
			return err
		}
		watched[id] = fmt.Sprint(list)
		if watched[id] != watched[c.ids[0]] {
			return fmt.Errorf("%s and %s watch other processes: %v", c.ids[0], id, watched)
		}
	}
	for _, head := range w.heads {
		if err := c.watchesAgree(head.Process); err != nil {
			return err
		}
		var first []log.Skip
		for i, id := range c.ids {
			n := c.node(id).log
			next, err := n.Read(ctx, head.Process, head.Nonce+1)
			if err == nil && next.TimestampMS <= head.PromisedMS {
				return fmt.Errorf("nonce %d of %s is at %d, and %d was promised before it", next.Nonce, head.Process, next.TimestampMS, head.PromisedMS)
			}
			if err != nil && !errors.Is(err, log.ErrEntryUnknown) {
				return err
			}
			skips, err := n.Skips(ctx, head.Process, head.Nonce)
			if err != nil {
				return err
			}
			if i == 0 {
				first, skipped = skips, skipped+len(skips)
			} else if !slices.Equal(first, skips) {
				return fmt.Errorf("behind nonce %d of %s %s skips %v and %s %v", head.Nonce, head.Process, c.ids[0], first, id, skips)
			}
		}
	}
	if skipped == 0 {
		return errors.New("no time was skipped")
	}
	return nil
}

// watchesAgree compares what the nodes know of a process's watches: no tick's fate
// may depend on who asks.
func (c *simCluster) watchesAgree(process ao.ID) error {
	var first []log.Watch
	for i, id := range c.ids {
		said, err := c.node(id).log.Watches(context.Background(), process)
		if err != nil {
			return err
		}
		if i == 0 {
			first = said
		}
		if !slices.Equal(first, said) {
			return fmt.Errorf("of %s was said %v at %s and %v at %s", process, first, c.ids[0], said, id)
		}
		if !slices.IsSortedFunc(said, func(a, b log.Watch) int { return int(a.FromMS - b.FromMS) }) {
			return fmt.Errorf("what was said of %s is not in order: %v", process, said)
		}
	}
	return nil
}

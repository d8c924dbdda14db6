package system

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// record is what clients were told.
type record struct {
	mu    sync.Mutex
	acked map[ao.ID][]ao.ID // messages by process, in the order of acknowledgements
	last  atomic.Int64      // when the newest acknowledgement came, in ns
	count atomic.Int64
	reads atomic.Int64 // answered reads
}

func (r *record) add(process, message ao.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.acked[process] = append(r.acked[process], message)
	r.last.Store(time.Now().UnixNano())
	r.count.Add(1)
}

// post posts an item to nodes in turn until one takes it.
func (c *cluster) post(stop <-chan struct{}, random *rand.Rand, item *dataitem.Item) error {
	for {
		select {
		case <-stop:
			return errStopped
		default:
		}
		p := c.nodes[random.Intn(len(c.nodes))]
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		err := p.client.Post(ctx, item)
		cancel()
		if err == nil {
			return nil
		}
		switch code := ao.CodeOf(err); {
		case code == ao.CodeUnavailable, code == ao.CodeRateLimited, code == ao.CodeTimeout, errors.Is(err, context.DeadlineExceeded):
		default:
			return fmt.Errorf("node %s refuses: %w", p.id, err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// client sends messages to a process of its own, one after the other, each until
// it is acknowledged.
func (c *cluster) client(number int, stop <-chan struct{}, told *record) error {
	signer := logtest.Signer(c.t, byte(100+number))
	random := rand.New(rand.NewSource(int64(number)))
	process := logtest.ProcessItem(c.t, signer, fmt.Sprint("client ", number))
	if err := c.post(stop, random, process); err != nil {
		return err
	}
	told.add(process.ID(), process.ID())
	for i := 0; ; i++ {
		message := logtest.MessageItem(c.t, signer, process.ID(), fmt.Sprint(i))
		if err := c.post(stop, random, message); err != nil {
			return err
		}
		told.add(process.ID(), message.ID())
	}
}

// reader asks nodes for the newest message that was acknowledged before it asked:
// an answer without it would be stale. No answer is no lie.
func (c *cluster) reader(number int, stop <-chan struct{}, told *record) {
	random := rand.New(rand.NewSource(int64(1000 + number)))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(random.Intn(40)) * time.Millisecond):
		}
		process, message, nonce := told.newest(random)
		p := c.nodes[random.Intn(len(c.nodes))]
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		page, err := p.client.Schedule(ctx, process, nonce, 1)
		cancel()
		if err != nil {
			continue
		}
		told.reads.Add(1)
		if len(page.Edges) != 1 || page.Edges[0].Node.Message.ID != message.String() {
			c.t.Errorf("node %s: a stale read: nonce %d of %s is %+v, and %s was acknowledged before", p.id, nonce, process, page.Edges, message)
			return
		}
	}
}

// newest gives some process's newest acknowledged message. A client sends one
// after the other to a process of its own, so the nonce is their number.
func (r *record) newest(random *rand.Rand) (process, message ao.ID, nonce int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := random.Intn(len(r.acked))
	for id, acked := range r.acked {
		if left--; left < 0 {
			return id, acked[len(acked)-1], int64(len(acked) - 1)
		}
	}
	return process, message, nonce
}

// check holds what was told against what every node says.
func (c *cluster) check(told *record) {
	c.t.Helper()
	for process, acked := range told.acked {
		var want []string
		for _, p := range c.nodes {
			chain, messages := p.history(process)
			if want == nil {
				want = chain
			}
			if !slices.Equal(chain, want) {
				c.t.Errorf("node %s has another chain of %s: %d assignments, elsewhere %d", p.id, process, len(chain), len(want))
			}
			place := map[string]int{}
			for nonce, id := range messages {
				if first, double := place[id]; double {
					c.t.Errorf("node %s: message %s has the places %d and %d of %s", p.id, id, first, nonce, process)
				}
				place[id] = nonce
			}
			last := -1
			for _, id := range acked {
				nonce, ok := place[id.String()]
				if !ok {
					c.t.Errorf("node %s has lost %s of %s", p.id, id, process)
				}
				// A client sends its next message after the one before was taken.
				if ok && nonce <= last {
					c.t.Errorf("node %s: message %s of %s was moved to %d, before %d", p.id, id, process, nonce, last)
				}
				last = max(last, nonce)
			}
		}
	}
}

// history gives the assignments and messages of a process in order of nonce.
func (p *process) history(process ao.ID) (chain, messages []string) {
	p.t.Helper()
	for _, entry := range p.entries(process) {
		chain = append(chain, entry.Assignment.ID+" "+entry.Assignment.Tags.Get("Hash-Chain"))
		messages = append(messages, entry.Message.ID)
	}
	return chain, messages
}

// entries gives the log of a process as a node shows it.
func (p *process) entries(process ao.ID) (entries []connect.MessageJSON) {
	p.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		from := int64(len(entries))
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		page, err := p.client.Schedule(ctx, process, from, 1000)
		cancel()
		if ao.CodeOf(err) == ao.CodeUnavailable && time.Now().Before(deadline) {
			time.Sleep(50 * time.Millisecond) // it has not met the others yet
			continue
		}
		if err != nil {
			p.t.Fatalf("node %s: the log of %s: %v", p.id, process, err)
		}
		for _, edge := range page.Edges {
			if got, want := edge.Node.Assignment.Tags.Get("Nonce"), strconv.Itoa(len(entries)); got != want {
				p.t.Fatalf("node %s: nonce %s of %s where %s follows", p.id, got, process, want)
			}
			entries = append(entries, edge.Node)
		}
		if !page.PageInfo.HasNextPage {
			return entries
		}
	}
}

// awaitAcks waits until so many more messages were acknowledged.
func awaitAcks(t *testing.T, told *record, more int64) {
	t.Helper()
	goal := told.count.Load() + more
	for deadline := time.Now().Add(time.Minute); told.count.Load() < goal; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no %d messages were acknowledged within a minute", more)
		}
	}
}

// awaitAckOfAll waits until every process has taken a message that was sent
// after a fault, and gives how long that took: a fault stops the groups of one
// node only.
func awaitAckOfAll(c *cluster, told *record, at time.Time) (time.Duration, bool) {
	told.mu.Lock()
	before := map[ao.ID]int{}
	for process, acked := range told.acked {
		before[process] = len(acked)
	}
	told.mu.Unlock()
	for deadline := at.Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		told.mu.Lock()
		all := true
		for process, n := range before {
			// The first after the fault may have been on its way before.
			all = all && len(told.acked[process]) >= n+2
		}
		told.mu.Unlock()
		if all {
			return time.Since(at), true
		}
	}
	c.t.Errorf("some process took no message for 30 seconds after its leader was killed")
	return 0, false
}

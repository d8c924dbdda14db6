package system

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// faults is how many faults a test makes: a few in every run of the tests, as
// many as WALLABY_FAULTS says in a long one.
func faults(t *testing.T) int {
	text := os.Getenv("WALLABY_FAULTS")
	if text == "" {
		return 20
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("WALLABY_FAULTS=%s: %v", text, err)
	}
	return n
}

// record is what clients were told.
type record struct {
	mu    sync.Mutex
	acked map[ao.ID][]ao.ID // messages by process, in the order of acknowledgements
	last  atomic.Int64      // when the newest acknowledgement came, in ns
	count atomic.Int64
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
	for from := int64(0); ; {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		page, err := p.client.Schedule(ctx, process, from, 1000)
		cancel()
		if err != nil {
			p.t.Fatalf("node %s: the log of %s: %v", p.id, process, err)
		}
		for _, edge := range page.Edges {
			if got := edge.Node.Assignment.Tags.Get("Nonce"); got != strconv.FormatInt(from, 10) {
				p.t.Fatalf("node %s: nonce %s of %s where %d follows", p.id, got, process, from)
			}
			from++
			chain = append(chain, edge.Node.Assignment.ID+" "+edge.Node.Assignment.Tags.Get("Hash-Chain"))
			messages = append(messages, edge.Node.Message.ID)
		}
		if !page.PageInfo.HasNextPage {
			return chain, messages
		}
	}
}

// TestFaultsLoseNothing kills and freezes nodes under load, the leaders most of
// all.
func TestFaultsLoseNothing(t *testing.T) {
	c := startCluster(t)
	told := &record{acked: map[ao.ID][]ao.ID{}}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for number := range 6 {
		clients.Go(func() {
			if err := c.client(number, stop, told); !errors.Is(err, errStopped) {
				t.Error(err)
			}
		})
	}
	awaitAcks(t, told, 50)
	random := rand.New(rand.NewSource(1))
	var gaps []time.Duration
	for range faults(t) {
		switch random.Intn(6) {
		case 0, 1, 2:
			victim := c.busiest()
			at := time.Now()
			victim.kill()
			if gap, ok := awaitAckOfAll(c, told, at); ok {
				gaps = append(gaps, gap)
			}
			victim.start()
			victim.awaitReady()
		case 3:
			victim := c.nodes[random.Intn(3)]
			victim.kill()
			time.Sleep(time.Duration(random.Intn(1500)) * time.Millisecond)
			victim.start()
			victim.awaitReady()
		case 4:
			victim := c.busiest()
			victim.signal(syscall.SIGSTOP)
			time.Sleep(time.Duration(100+random.Intn(3000)) * time.Millisecond)
			victim.signal(syscall.SIGCONT)
		case 5:
			for _, p := range c.nodes {
				p.kill()
			}
			for _, p := range c.nodes {
				p.start()
			}
			for _, p := range c.nodes {
				p.awaitReady()
			}
		}
		awaitAcks(t, told, 20)
	}
	close(stop)
	clients.Wait()
	c.check(told)
	slices.Sort(gaps)
	if len(gaps) > 0 {
		t.Logf("%d messages acknowledged, none lost or moved; after the kill of a leader all clients went on after %v (median), %v (worst of %d)",
			told.count.Load(), gaps[len(gaps)/2].Round(time.Millisecond), gaps[len(gaps)-1].Round(time.Millisecond), len(gaps))
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

package system

import (
	"errors"
	"math/rand"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/node"
)

// partitions has every connection between nodes go through a proxy.
func (c *cluster) partitions(addresses []string) map[[2]int]*proxy {
	proxies := map[[2]int]*proxy{}
	for i, p := range c.nodes {
		b, err := os.ReadFile(p.config)
		if err != nil {
			c.t.Fatal(err)
		}
		text := string(b)
		// The node with the smaller id dials.
		for j := i + 1; j < len(c.nodes); j++ {
			proxies[[2]int{i, j}] = newProxy(c.t, addresses[j])
			text = strings.ReplaceAll(text, addresses[j], proxies[[2]int{i, j}].address())
		}
		if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
			c.t.Fatal(err)
		}
	}
	return proxies
}

// TestPartitionsLoseNothing separates real nodes under load: one from all, in
// both directions or in one, with the connections left open or broken.
func TestPartitionsLoseNothing(t *testing.T) {
	var proxies map[[2]int]*proxy
	c := startClusterWith(t, node.NodeFile, func(c *cluster, addresses []string) { proxies = c.partitions(addresses) })
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
	random := rand.New(rand.NewSource(3))
	for range max(6, faults(t)/3) {
		victim := random.Intn(3)
		in, out := true, true
		switch random.Intn(3) {
		case 0:
			in = false
		case 1:
			out = false
		}
		breaks := random.Intn(2) == 0
		for pair, p := range proxies {
			switch victim {
			case pair[0]:
				p.hold(out, in)
			case pair[1]:
				p.hold(in, out)
			default:
				continue
			}
			if breaks {
				p.cut()
			}
		}
		time.Sleep(time.Duration(200+random.Intn(3000)) * time.Millisecond)
		for _, p := range proxies {
			p.hold(false, false)
			// What was held back comes late; half of the time it does not come.
			if random.Intn(2) == 0 {
				p.cut()
			}
		}
		awaitAcks(t, told, 20)
	}
	close(stop)
	clients.Wait()
	c.check(told)
	t.Logf("%d messages acknowledged", told.count.Load())
}

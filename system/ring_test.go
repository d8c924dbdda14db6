package system

import (
	"context"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

const (
	ringProcesses = 20
	ringTokens    = 5
	// ringLua passes a token on until it has made its hops.
	ringLua = `
Handlers.add("hop", { Action = "Hop" }, function(msg)
  local hops = tonumber(msg.Tags.Hops) + 1
  if hops <= tonumber(msg.Tags.Last) then
    ao.send({ Target = "%s", Action = "Hop", Token = msg.Tags.Token, Hops = tostring(hops), Last = msg.Tags.Last })
  end
end)
return "in the ring"`
)

// ringHops is how many messages go round in all: a few in every run of the tests,
// as many as WALLABY_HOPS says in a long one.
func ringHops(t *testing.T) int {
	text := os.Getenv("WALLABY_HOPS")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < ringTokens {
		t.Fatalf("WALLABY_HOPS=%s: want a number from %d on: %v", text, ringTokens, err)
	}
	return n
}

// hop is a token in a process's log.
type hop struct {
	from  string // the process that sent it; "" is the user
	token string
	hops  int
}

// TestARingUnderKillsHopsOnceAndInOrder sends tokens round a ring of processes
// while one node after the other is killed. On every node each log must hold
// what the process before it sent: all of that, once, in the order in which that
// process had received it, and nothing else.
func TestARingUnderKillsHopsOnceAndInOrder(t *testing.T) {
	c, user := startAOS(t, 78)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	processes := user.ring(ctx)
	last := ringHops(t) / ringTokens
	for token := range ringTokens {
		c.must(logtest.MessageItem(t, user.signer, processes[token*ringProcesses/ringTokens], " ",
			dataitem.Tag{Name: "Action", Value: "Hop"}, dataitem.Tag{Name: "Token", Value: fmt.Sprint(token)},
			dataitem.Tag{Name: "Hops", Value: "0"}, dataitem.Tag{Name: "Last", Value: fmt.Sprint(last)}))
	}
	random := rand.New(rand.NewSource(3))
	kills := 0
	for !user.arrived(ctx, processes, last) {
		victim := c.nodes[random.Intn(len(c.nodes))]
		victim.kill()
		time.Sleep(time.Duration(random.Intn(500)) * time.Millisecond)
		victim.start()
		victim.awaitReady()
		kills++
		time.Sleep(time.Duration(random.Intn(1500)) * time.Millisecond)
	}
	c.awaitDelivered(ctx)
	for _, p := range c.nodes {
		p.checkRing(processes, last)
	}
	for _, process := range processes {
		c.sameResults(ctx, process)
	}
	t.Logf("%d hops, while nodes were killed %d times", last*ringTokens, kills)
}

// ring spawns processes of which each knows the next.
func (u *aosUser) ring(ctx context.Context) []ao.ID {
	u.t.Helper()
	processes := make([]ao.ID, ringProcesses)
	for i := range processes {
		processes[i] = u.spawn(fmt.Sprint("ring ", i))
	}
	var wait sync.WaitGroup
	for i, process := range processes {
		wait.Go(func() {
			next := processes[(i+1)%len(processes)]
			if out := u.eval(ctx, process, fmt.Sprintf(ringLua, next)); !strings.Contains(out, "in the ring") {
				u.t.Errorf("loading the ring's program gave %s", out)
			}
		})
	}
	wait.Wait()
	if u.t.Failed() {
		u.t.FailNow()
	}
	return processes
}

// arrived reports whether every token has made its last hop.
func (u *aosUser) arrived(ctx context.Context, processes []ao.ID, last int) bool {
	u.t.Helper()
	if ctx.Err() != nil {
		u.t.Fatalf("not all tokens have arrived: %v", ctx.Err())
	}
	for token := range ringTokens {
		end := processes[(token*ringProcesses/ringTokens+last)%ringProcesses]
		if !slices.ContainsFunc(u.nodes[0].hops(end), func(h hop) bool { return h.token == fmt.Sprint(token) && h.hops == last }) {
			return false
		}
	}
	return true
}

// hops lists the tokens in a process's log.
func (p *process) hops(process ao.ID) (hops []hop) {
	p.t.Helper()
	for _, entry := range p.entries(process) {
		tags := entry.Message.Tags
		if tags.Get("Action") != "Hop" {
			continue
		}
		n, err := strconv.Atoi(tags.Get("Hops"))
		if err != nil {
			p.t.Fatalf("node %s: a token in the log of %s: %v", p.id, process, err)
		}
		hops = append(hops, hop{tags.Get(ao.TagFromProcess), tags.Get("Token"), n})
	}
	return hops
}

// checkRing compares each log with the one of the process before it.
func (p *process) checkRing(processes []ao.ID, last int) {
	p.t.Helper()
	total := 0
	for i, process := range processes {
		next := processes[(i+1)%len(processes)]
		var want, got []hop
		for _, h := range p.hops(process) {
			if h.hops < last {
				want = append(want, hop{process.String(), h.token, h.hops + 1})
			}
		}
		for _, h := range p.hops(next) {
			if h.from != "" {
				got = append(got, h)
			}
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(hop{})); diff != "" {
			p.t.Errorf("node %s: from %s to %s (-sent +arrived):\n%s", p.id, process, next, diff)
		}
		total += len(got)
	}
	if total != last*ringTokens {
		p.t.Errorf("node %s has %d hops, want %d", p.id, total, last*ringTokens)
	}
}

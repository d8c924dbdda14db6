package system

import (
	"context"
	"fmt"
	"math/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// The sender tells the receiver of every message that it gets; the receiver
// counts how often it was told of each.
const (
	senderLua = `
Handlers.add("relay", { Action = "Relay" }, function(msg)
  ao.send({ Target = "%s", Action = "Told", Number = msg.Tags.Number })
end)
return "sender"`
	receiverLua = `
Counts = Counts or {}
Handlers.add("told", { Action = "Told" }, function(msg)
  Counts[msg.Tags.Number] = (Counts[msg.Tags.Number] or 0) + 1
end)
return "receiver"`
	countLua = `
local n, doubled = 0, 0
for _, count in pairs(Counts) do
  n = n + 1
  if count > 1 then doubled = doubled + 1 end
end
return "counted " .. n .. " doubled " .. doubled`
)

// TestEffectsHappenOnce kills leaders while one process sends to another, and
// counts what arrived.
func TestEffectsHappenOnce(t *testing.T) {
	c, user := startAOS(t, 77)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	sender, receiver := user.spawn("sender"), user.spawn("receiver")
	for process, code := range map[ao.ID]string{sender: fmt.Sprintf(senderLua, receiver), receiver: receiverLua} {
		if out := user.eval(ctx, process, code); !strings.Contains(out, "er") {
			t.Fatalf("loading %q gave %s", code, out)
		}
	}
	const messages = 300
	var wait sync.WaitGroup
	wait.Go(func() {
		for i := range messages {
			c.must(logtest.MessageItem(t, user.signer, sender, "", dataitem.Tag{Name: "Action", Value: "Relay"}, dataitem.Tag{Name: "Number", Value: fmt.Sprint(i)}))
			time.Sleep(20 * time.Millisecond)
		}
	})
	random := rand.New(rand.NewSource(2))
	for range 4 {
		time.Sleep(time.Duration(500+random.Intn(1000)) * time.Millisecond)
		victim := c.busiest()
		victim.kill()
		time.Sleep(time.Duration(random.Intn(1000)) * time.Millisecond)
		victim.start()
		victim.awaitReady()
	}
	wait.Wait()
	want := fmt.Sprintf("counted %d doubled 0", messages)
	var got string
	for round := 0; ; round++ {
		// Every question is a message of its own.
		if got = user.eval(ctx, receiver, fmt.Sprintf("%s -- %d", countLua, round)); strings.Contains(got, want) {
			break
		}
		if strings.Contains(got, "doubled") && !strings.Contains(got, "doubled 0") || ctx.Err() != nil || round > 120 {
			t.Fatalf("the receiver says %s, want %q", got, want)
		}
		time.Sleep(500 * time.Millisecond)
	}
	c.awaitDelivered(ctx)
	c.sameResults(ctx, receiver)
}

// must posts an item, however long it takes.
func (c *cluster) must(item *dataitem.Item) {
	if err := c.post(nil, rand.New(rand.NewSource(time.Now().UnixNano())), item); err != nil {
		c.t.Error(err)
	}
}

// output asks nodes for a result until one gives it.
func (c *cluster) output(ctx context.Context, process, message ao.ID) string {
	c.t.Helper()
	var last error
	for i := 0; ; i++ {
		result, err := c.nodes[i%len(c.nodes)].client.Result(ctx, process, message)
		if err == nil {
			return string(result.JSON())
		}
		if ctx.Err() != nil {
			c.t.Fatalf("result of %s: %v, before that %v", message, err, last)
		}
		last = err
		time.Sleep(50 * time.Millisecond)
	}
}

// output asks one node for a result until it gives it: a node that has just
// started may not have met the others yet.
func (p *process) output(ctx context.Context, of, message ao.ID) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return (&cluster{t: p.t, nodes: []*process{p}}).output(ctx, of, message)
}

// sameResults holds what the nodes say of every message of a process against
// each other: each has evaluated them for itself.
func (c *cluster) sameResults(ctx context.Context, process ao.ID) {
	c.t.Helper()
	_, messages := c.nodes[0].history(process)
	for _, text := range messages {
		message, err := ao.ParseID(text)
		if err != nil {
			c.t.Fatal(err)
		}
		want := ""
		for _, p := range c.nodes {
			if got := p.output(ctx, process, message); want == "" {
				want = got
			} else if got != want {
				c.t.Errorf("node %s has another result of %s: %s, elsewhere %s", p.id, message, got, want)
			}
		}
	}
}

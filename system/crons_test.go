package system

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/node"
)

// tickingLua tells another process of each tick.
const tickingLua = `
Handlers.add("tick", { Action = "Tick" }, function(msg)
  ao.send({ Target = "%s", Action = "Told", At = tostring(msg.Timestamp) })
end)
return "ticking"`

// TestCronsGoOnWhileLeadersAreKilled kills whoever leads a process with a cron of one
// second: what it sends arrives once for each second.
func TestCronsGoOnWhileLeadersAreKilled(t *testing.T) {
	const module = "../testdata/modules/aos2_0_6.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIP: %s is missing: make modules fetches it", module)
	}
	c := startCluster(t, module)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	info := c.nodes[0].info(ctx)
	signer := logtest.Signer(t, 77)
	spawn := func(name string, tags ...dataitem.Tag) ao.ID {
		item := logtest.ProcessItem(t, signer, name, append(tags,
			dataitem.Tag{Name: ao.TagModule, Value: info.Modules[0].ID}, dataitem.Tag{Name: ao.TagAuthority, Value: info.Authority})...)
		c.must(item)
		return item.ID()
	}
	receiver := spawn("receiver")
	ticking := spawn("ticking", dataitem.Tag{Name: ao.TagCronInterval, Value: "1-second"}, dataitem.Tag{Name: "Cron-Tag-Action", Value: "Tick"})
	load := logtest.MessageItem(t, signer, ticking, fmt.Sprintf(tickingLua, receiver), dataitem.Tag{Name: "Action", Value: "Eval"})
	c.must(load)
	c.output(ctx, ticking, load.ID())
	if err := c.nodes[0].client.Monitor(ctx, ticking, signer); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		before := len(c.told(ctx, receiver))
		c.poll(ctx, "ticks are delivered", func() bool { return len(c.told(ctx, receiver)) > before+1 })
		victim := c.leaderOf(ctx, ticking)
		victim.kill()
		time.Sleep(time.Second)
		victim.start()
		victim.awaitReady()
	}
	before := len(c.told(ctx, receiver))
	c.poll(ctx, "ticks are delivered in the end", func() bool { return len(c.told(ctx, receiver)) > before+1 })
	c.poll(ctx, "the process is not monitored any more", func() bool {
		err := c.nodes[1].client.Unmonitor(ctx, ticking, signer)
		return err == nil || ao.CodeOf(err) == ao.CodeNotFound // an answer may have been lost
	})
	want := c.nodes[0].ticks(ctx, ticking)
	for _, p := range c.nodes {
		c.poll(ctx, "what "+p.id+" knows of is delivered", func() bool { return p.info(ctx).Engine.OutboxPending == 0 })
		if got := p.ticks(ctx, ticking); len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
			t.Errorf("%s lists the ticks %v, and %s %v", p.id, got, c.nodes[0].id, want)
		}
	}
	told := c.told(ctx, receiver)
	for i := range told {
		if i > 0 && told[i] != told[i-1]+1000 {
			t.Fatalf("a tick is missing or doubled: %v", told)
		}
	}
}

func (c *cluster) poll(ctx context.Context, what string, is func() bool) {
	c.t.Helper()
	for !is() {
		if ctx.Err() != nil {
			c.t.Fatalf("it never came to this: %s", what)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// leaderOf gives the node that leads a process.
func (c *cluster) leaderOf(ctx context.Context, id ao.ID) *process {
	c.t.Helper()
	for i := 0; ; i++ {
		client := c.nodes[i%len(c.nodes)].client
		var info node.SequencingInfo
		err := client.Do(ctx, http.MethodGet, client.Gateway+node.PathSequencing+"?process="+id.String(), "", nil, &info)
		for _, p := range c.nodes {
			if err == nil && p.id == info.Leader {
				return p
			}
		}
		if ctx.Err() != nil {
			c.t.Fatalf("nobody leads %s: %v", id, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// told gives the times that a process was told of, in order.
func (c *cluster) told(ctx context.Context, process ao.ID) (times []int64) {
	c.t.Helper()
	for i := 0; ; i++ {
		list, err := c.nodes[i%len(c.nodes)].client.Schedule(ctx, process, 1, 1000)
		if err == nil {
			for _, edge := range list.Edges {
				at, err := strconv.ParseInt(edge.Node.Message.Tags.Get("At"), 10, 64)
				if err != nil {
					c.t.Fatal(err)
				}
				times = append(times, at)
			}
			return times
		}
		if ctx.Err() != nil {
			c.t.Fatalf("the log of %s: %v", process, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// ticks gives the cursors of all that a process's crons gave, as a node lists it.
func (p *process) ticks(ctx context.Context, of ao.ID) (cursors []string) {
	p.t.Helper()
	var page connect.ResultsPage
	for {
		err := p.client.Do(ctx, http.MethodGet, p.client.CU+"/cron/"+of.String()+"?limit=1000", "", nil, &page)
		if err == nil {
			break
		}
		if ctx.Err() != nil {
			p.t.Fatalf("crons of %s at %s: %v", of, p.id, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for _, edge := range page.Edges {
		cursors = append(cursors, edge.Cursor)
	}
	return cursors
}

package system

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/node"
)

// TestOneStolenNodeCannotPush has a process count the operators of three nodes. What
// another process sends arrives once while nodes are killed, a child is heard of
// once, and what somebody signs who has all keys of one node arrives never.
func TestOneStolenNodeCannotPush(t *testing.T) {
	const module = "../testdata/modules/aos2_0_6.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIP: %s is missing: make modules fetches it", module)
	}
	c := startCluster(t, module)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	info := c.nodes[0].info(ctx)
	status, err := c.nodes[0].status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var operators []string
	for _, n := range status.Nodes {
		operators = append(operators, n.OperatorAddress)
	}
	owner := logtest.Signer(t, 81)
	spawn := func(name string, tags ...dataitem.Tag) ao.ID {
		item := logtest.ProcessItem(t, owner, name, append(tags, dataitem.Tag{Name: ao.TagModule, Value: info.Modules[0].ID})...)
		c.must(item)
		return item.ID()
	}
	round := 0
	eval := func(process ao.ID, code string) string {
		round++ // every question is a message of its own
		message := logtest.MessageItem(t, owner, process, fmt.Sprintf("%s -- %d", code, round), dataitem.Tag{Name: "Action", Value: "Eval"})
		c.must(message)
		return c.output(ctx, process, message.ID())
	}
	counting := spawn("counting",
		dataitem.Tag{Name: ao.TagAuthority, Value: strings.Join(operators, ",")},
		dataitem.Tag{Name: ao.TagAuthorityQuorum, Value: "2/3"})
	sender := spawn("sender", dataitem.Tag{Name: ao.TagAuthority, Value: info.Authority})
	eval(counting, receiverLua)
	eval(counting, `Children = 0; Handlers.add("spawned", { Action = "Spawned" }, function() Children = Children + 1 end)`)
	eval(sender, fmt.Sprintf(senderLua, counting))

	const messages = 60
	for i := range messages {
		c.must(logtest.MessageItem(t, owner, sender, "", dataitem.Tag{Name: "Action", Value: "Relay"}, dataitem.Tag{Name: "Number", Value: fmt.Sprint(i)}))
		if i%20 == 10 {
			victim := c.nodes[i/20]
			victim.kill()
			victim.start()
			victim.awaitReady()
		}
	}
	eval(counting, fmt.Sprintf(`ao.spawn("%s", { Data = "x", Tags = { Authority = "%s" } })`, info.Modules[0].ID, operators[0]))
	c.forge(t, counting, sender)
	want := fmt.Sprintf("counted %d doubled 0 children 1", messages)
	const ask = countLua + ` .. " children " .. Children`
	var got string
	for !strings.Contains(got, want) {
		got = eval(counting, ask)
		if strings.Contains(got, "doubled") && !strings.Contains(got, "doubled 0") || ctx.Err() != nil {
			t.Fatalf("the process says %s, want %q", got, want)
		}
		time.Sleep(200 * time.Millisecond)
	}
	// Every operator has delivered everything: what leaves no node's outbox would
	// otherwise still be missing when another one is lost.
	for _, p := range c.nodes {
		for p.info(ctx).Engine.OutboxPending > 0 {
			if ctx.Err() != nil {
				t.Fatalf("node %s still has effects to deliver", p.id)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	if got := eval(counting, ask); !strings.Contains(got, want) {
		t.Errorf("in the end the process says %s, want %q", got, want)
	}
	var left node.AuthoritiesInfo
	if err := c.nodes[1].client.Do(ctx, "GET", c.nodes[1].base+node.PathAuthorities+"?process="+counting.String(), "", nil, &left); err != nil {
		t.Fatal(err)
	}
	if len(left.Waiting) != 1 || left.Waiting[0].Action != "Told" || len(left.Waiting[0].By) != 1 || left.Authorities[2].Who != "node n3" {
		t.Errorf("waiting: %+v", left)
	}
	c.sameResults(ctx, counting)
}

// forge pushes what nobody sent, with all keys that one node has.
func (c *cluster) forge(t *testing.T, target, from ao.ID) {
	t.Helper()
	dir := filepath.Join(filepath.Dir(c.nodes[0].config), "wallets")
	for _, name := range []string{"operator.json", "authority.json", "scheduler.json"} {
		signer, err := node.LoadWallet(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		c.must(logtest.MessageItem(t, signer, target, "", dataitem.Tag{Name: "Action", Value: "Told"},
			dataitem.Tag{Name: "Number", Value: "forged"}, dataitem.Tag{Name: ao.TagFromProcess, Value: from.String()}))
	}
}

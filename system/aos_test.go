package system

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/node"
)

// aosUser spawns aos processes in a cluster and speaks to them, through
// whichever node answers.
type aosUser struct {
	*cluster
	signer dataitem.Signer
	info   node.Info
}

// startAOS starts a cluster that has aos, or skips the test.
func startAOS(t *testing.T, seed byte) (*cluster, *aosUser) {
	t.Helper()
	const module = "../testdata/modules/aos2_0_6.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIP: %s is missing: make modules fetches it", module)
	}
	c := startCluster(t, module)
	return c, &aosUser{c, logtest.Signer(t, seed), c.nodes[0].info(context.Background())}
}

func (u *aosUser) spawn(name string) ao.ID {
	u.t.Helper()
	item := logtest.ProcessItem(u.t, u.signer, name,
		dataitem.Tag{Name: ao.TagModule, Value: u.info.Modules[0].ID}, dataitem.Tag{Name: ao.TagAuthority, Value: u.info.Authority})
	u.must(item)
	return item.ID()
}

// eval has a process evaluate Lua and gives its result.
func (u *aosUser) eval(ctx context.Context, process ao.ID, code string) string {
	u.t.Helper()
	message := logtest.MessageItem(u.t, u.signer, process, code, dataitem.Tag{Name: "Action", Value: "Eval"})
	u.must(message)
	return u.output(ctx, process, message.ID())
}

// awaitDelivered waits until no node has anything to deliver: what one delivered
// leaves the outbox of all.
func (c *cluster) awaitDelivered(ctx context.Context) {
	c.t.Helper()
	for _, p := range c.nodes {
		for p.info(ctx).Engine.OutboxPending > 0 {
			if ctx.Err() != nil {
				c.t.Fatalf("node %s still has %d effects to deliver", p.id, p.info(context.Background()).Engine.OutboxPending)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
}

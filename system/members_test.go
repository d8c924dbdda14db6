package system

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/internal/testport"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/node"
)

// TestANodeIsAddedAndReplacesAnother does what an operator does when a machine is
// to go, with the same commands.
func TestANodeIsAddedAndReplacesAnother(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	signer := logtest.Signer(t, 79)
	told := &record{acked: map[ao.ID][]ao.ID{}}
	var processes []ao.ID
	for _, mode := range []string{"raft:3", "solo", "cosigned:2/3"} {
		item := logtest.ProcessItem(t, signer, mode, sequencingTag(mode))
		c.must(item)
		told.add(item.ID(), item.ID())
		processes = append(processes, item.ID())
	}
	send := func(text string) {
		for _, process := range processes {
			for i := range 5 {
				item := logtest.MessageItem(t, signer, process, fmt.Sprint(text, i))
				c.must(item)
				told.add(process, item.ID())
			}
		}
	}
	send("before")
	base := testport.Free(t, 10)
	first := c.nodes[0].config
	dir := filepath.Dir(filepath.Dir(first))
	c.wallaby(ctx, "cluster", "add", fmt.Sprintf("n4=127.0.0.1:%d", base+9), "--ca", dir, "--config", first, "--port-base", strconv.Itoa(base))
	fourth := &process{t: t, id: "n4", config: node.NodeFile(dir, "n4"), base: "http://127.0.0.1:" + strconv.Itoa(base)}
	fourth.client = connect.New(fourth.base)
	c.nodes = append(c.nodes, fourth)
	fourth.start()
	fourth.awaitReady()
	send("with four")
	c.check(told)
	c.wallaby(ctx, "cluster", "replace", "n2", "n4", "--config", first)
	c.nodes[1].kill()
	c.nodes = append(c.nodes[:1:1], c.nodes[2:]...)
	send("without the second")
	c.check(told)
	status, err := c.nodes[2].status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(status.Nodes) != 3 || status.Nodes[2].ID != "n4" {
		t.Errorf("the cluster has the nodes %+v", status.Nodes)
	}
}

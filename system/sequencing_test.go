package system

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func sequencingTag(mode string) dataitem.Tag {
	return dataitem.Tag{Name: ao.TagSequencing, Value: mode}
}

// TestModesChangeUnderLoad has a process ordered in one mode after the other,
// with the command an operator would use, while a client sends to it and nodes are
// killed.
func TestModesChangeUnderLoad(t *testing.T) {
	c := startCluster(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	signer := logtest.Signer(t, 78)
	process := logtest.ProcessItem(t, signer, "changes its mode", sequencingTag("solo"))
	c.must(process)
	var (
		wait sync.WaitGroup
		told = &record{acked: map[ao.ID][]ao.ID{}}
		stop = make(chan struct{})
	)
	told.add(process.ID(), process.ID())
	wait.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			item := logtest.MessageItem(t, signer, process.ID(), fmt.Sprint(i))
			c.must(item)
			told.add(process.ID(), item.ID())
			time.Sleep(5 * time.Millisecond)
		}
	})
	for i, mode := range []string{"raft:3", "cosigned:2/3", "raft:3", "solo", "cosigned:2/3"} {
		c.wallaby(ctx, "process", "set-sequencing", process.ID().String(), mode, "--config", c.nodes[0].config)
		time.Sleep(300 * time.Millisecond)
		if mode != "solo" {
			p := c.nodes[1+i%2]
			p.kill()
			time.Sleep(1500 * time.Millisecond)
			p.start()
			p.awaitReady()
		}
	}
	close(stop)
	wait.Wait()
	c.check(told)
	shown := c.wallaby(ctx, "process", "sequencing", process.ID().String(), "--url", c.nodes[1].base)
	for _, want := range []string{"cosigned:2/3", "epoch                 5", "any 2 of the operators"} {
		if !strings.Contains(shown, want) {
			t.Errorf("process sequencing does not say %q:\n%s", want, shown)
		}
	}
	c.checkAttestations(ctx, process.ID())
}

// checkAttestations gets the operators' signatures from one node and checks them
// without any.
func (c *cluster) checkAttestations(ctx context.Context, process ao.ID) {
	c.t.Helper()
	file := filepath.Join(c.t.TempDir(), "attestations.json")
	c.wallaby(ctx, "process", "attestations", process.String(), "--url", c.nodes[2].base, "--out", file)
	status, err := c.nodes[0].status(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	var operators []string
	for _, n := range status.Nodes {
		operators = append(operators, n.Operator.String())
	}
	checked := c.wallaby(ctx, "process", "check-attestations", file, "--need", "2", "--operators", strings.Join(operators, ","))
	if !strings.Contains(checked, "signed by 2 or more of 3 operators") {
		c.t.Errorf("attestations: %s", checked)
	}
	stranger := dataitem.AddressOf(logtest.Signer(c.t, 1).Owner()).String()
	if out, err := exec.CommandContext(ctx, binary, "process", "check-attestations", file, "--need", "2", "--operators", stranger+","+operators[0]).CombinedOutput(); err == nil {
		c.t.Errorf("attestations of one operator pass for two: %s", out)
	}
}

// wallaby runs a command and gives what it prints.
func (c *cluster) wallaby(ctx context.Context, args ...string) string {
	c.t.Helper()
	out, err := exec.CommandContext(ctx, binary, args...).CombinedOutput()
	if err != nil {
		c.t.Fatalf("wallaby %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

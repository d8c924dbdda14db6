package system

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/node"
)

// joinNode gets a node's directory for a token, as an operator does, and gives
// its file. What was there to be copied is removed before.
func joinNode(t *testing.T, dir, id string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	c := &cluster{t: t}
	var made struct{ Token string }
	if err := json.Unmarshal([]byte(c.wallaby(ctx, "cluster", "token", id, "--ca", dir, "-o", "json")), &made); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node.key", "node.crt"} {
		if err := os.Remove(filepath.Join(node.NodeDir(dir, id), name)); err != nil {
			t.Fatal(err)
		}
	}
	handOut := exec.CommandContext(ctx, binary, "cluster", "hand-out", "--ca", dir, "--listen", "127.0.0.1:0", "--once", "1")
	out, err := handOut.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := handOut.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	address := regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(line)
	if address == "" {
		t.Fatalf("hand-out says %q, %v", line, err)
	}
	own := filepath.Join(t.TempDir(), id)
	c.wallaby(ctx, "cluster", "join", made.Token, "--from", address, "--out", own)
	if err := handOut.Wait(); err != nil {
		t.Errorf("hand-out ends: %v", err)
	}
	return filepath.Join(own, id+".yaml")
}

// TestANodeThatCameByTokenTakesPart runs three nodes, of which one got its
// directory for a token, and then only two, so that it must vote.
func TestANodeThatCameByTokenTakesPart(t *testing.T) {
	c := startClusterFrom(t, func(dir, id string) string {
		if id == "n2" {
			return joinNode(t, dir, id)
		}
		return node.NodeFile(dir, id)
	})
	if strings.HasPrefix(c.nodes[1].config, filepath.Dir(filepath.Dir(c.nodes[0].config))) {
		t.Fatalf("n2 runs with %s", c.nodes[1].config)
	}
	signer := logtest.Signer(t, 80)
	told := &record{acked: map[ao.ID][]ao.ID{}}
	var processes []ao.ID
	for _, mode := range []string{"raft:3", "cosigned:2/3"} {
		item := logtest.ProcessItem(t, signer, mode, sequencingTag(mode))
		c.must(item)
		told.add(item.ID(), item.ID())
		processes = append(processes, item.ID())
	}
	send := func(text string) {
		for i := range 10 {
			item := logtest.MessageItem(t, signer, processes[i%2], fmt.Sprint(text, i))
			c.must(item)
			told.add(processes[i%2], item.ID())
		}
	}
	send("three")
	third := c.nodes[2]
	third.kill()
	c.nodes = c.nodes[:2]
	send("two")
	third.start()
	third.awaitReady()
	c.nodes = append(c.nodes, third)
	c.check(told)
}

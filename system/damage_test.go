package system

import (
	"bytes"
	"context"
	"errors"
	"math/rand"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/node"
)

// TestDamagedNodeStaysOutUntilRepaired flips a bit in what a node has on disk.
// The node names the file and does not come back, not even empty, until it is
// repaired; the others go on meanwhile.
func TestDamagedNodeStaysOutUntilRepaired(t *testing.T) {
	c := startCluster(t)
	told := &record{acked: map[ao.ID][]ao.ID{}}
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for number := range 3 {
		clients.Go(func() {
			if err := c.client(number, stop, told); !errors.Is(err, errStopped) {
				t.Error(err)
			}
		})
	}
	awaitAcks(t, told, 200)
	victim, well := c.nodes[2], c.nodes[0]
	victim.kill()
	segment := flipBit(t, victim)
	out := victim.startAndFail()
	if !strings.Contains(out, segment) {
		t.Errorf("the node does not name %s: %s", segment, out)
	}
	awaitAcks(t, told, 50)
	// An empty directory is no way around the majority.
	options, err := node.ReadFile(victim.config)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(options.DataDir, options.DataDir+".damaged"); err != nil {
		t.Fatal(err)
	}
	victim.start()
	awaitAcks(t, told, 50)
	if isReady(victim) {
		t.Error("a node that lost its data serves")
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		out := c.wallaby(t.Context(), "cluster", "status", "--url", well.base)
		if strings.Contains(out, "quarantined") && strings.Contains(out, "wallaby cluster repair n3") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the status does not say that the node is in quarantine:\n%s", out)
		}
	}
	repair := exec.Command(binary, "cluster", "repair", victim.id, "--config", well.config)
	if out, err := repair.CombinedOutput(); err != nil || !strings.HasSuffix(string(out), "done\n") {
		t.Fatalf("repair: %v: %s", err, out)
	}
	victim.awaitReady()
	if out := c.wallaby(t.Context(), "cluster", "status", "--url", well.base); strings.Contains(out, "quarantined") {
		t.Errorf("the status still says that the node is in quarantine:\n%s", out)
	}
	awaitAcks(t, told, 50)
	// It has its votes again: another may go.
	c.nodes[1].kill()
	awaitAcks(t, told, 50)
	c.nodes[1].start()
	c.nodes[1].awaitReady()
	close(stop)
	clients.Wait()
	c.check(told)
}

// flipBit changes a bit in the middle of what a stopped node has written, and
// gives the file's name.
func flipBit(t *testing.T, p *process) string {
	t.Helper()
	options, err := node.ReadFile(p.config)
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(options.DataDir, "log", "segments", "*.seg"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no segments: %v", err)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	written := len(bytes.TrimRight(b, "\x00"))
	b[rand.Intn(written/2)+written/4] ^= 4
	if err := os.WriteFile(paths[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	return filepath.Base(paths[0])
}

// startAndFail starts a node that must end by itself, and gives what it said.
func (p *process) startAndFail() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "node", "--config", p.config).CombinedOutput()
	if err == nil || ctx.Err() != nil {
		p.t.Fatalf("node %s with damaged files went on: %s", p.id, out)
	}
	return string(out)
}

func isReady(p *process) bool {
	response, err := impatient.Get(p.base + "/readyz")
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

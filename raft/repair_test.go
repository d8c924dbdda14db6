package raft

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// seeds is how many random worlds a test tries: a few in every run, as many as
// WALLABY_SEEDS says in a long one.
func seeds(t *testing.T, few int) int {
	text := os.Getenv("WALLABY_SEEDS")
	switch {
	case text == "" && raceEnabled:
		return 1
	case text == "":
		return few
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("WALLABY_SEEDS=%s: %v", text, err)
	}
	return n
}

// append appends through a node, trying for as long as ctx lasts.
func (c *simCluster) append(ctx context.Context, id string, item *dataitem.Item, told *acks) error {
	for {
		entry, _, err := c.node(id).log.Append(ctx, log.Proposal{Item: item})
		if err == nil {
			told.add(entry)
			return nil
		}
		if ctx.Err() != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stop ends a node, leaving what is on its disk.
func (c *simCluster) stop(id string) *fsxtest.Disk {
	c.t.Helper()
	n := c.node(id)
	image := n.disk.Clone()
	if err := errors.Join(n.log.Close(), n.transport.Close()); err != nil {
		c.t.Errorf("stop node %s: %v", id, err)
	}
	return image
}

func (c *simCluster) isolate(id string, cut bool) {
	for _, other := range c.ids {
		if other != id {
			c.net.setCut(id, other, cut)
			c.net.setCut(other, id, cut)
		}
	}
}

// loseTail takes the newest entries of a group off a disk although they were
// flushed, as a disk that lies, or a file put back from a copy, does.
func loseTail(n *Node, disk *fsxtest.Disk, group uint32, entries uint64) bool {
	first, last := n.ledger.Bounds(group)
	if last < first+entries {
		return false
	}
	at, ok := n.ledger.Locate(group, last-entries+1)
	if !ok {
		return false
	}
	const header = 48
	b := disk.Bytes(rebased{disk, n.options.Dir}.path(n.ledger.SegmentPath(at)))
	clear(b[at.Offset-header:])
	return true
}

// shortLog is the fault that no quorum survives without a guard: a message is
// acknowledged by two nodes while the third is away, one of the two comes back
// without it, and the other does not. It gives what became of the world.
func shortLog(t *testing.T, seed int64) (refused, lost error) {
	random := rand.New(rand.NewSource(seed))
	c := newSimCluster(t, seed, "n1", "n2", "n3")
	var told acks
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	signer := logtest.Signer(t, 9)
	process := logtest.ProcessItem(t, signer, fmt.Sprint("short ", seed))
	shard, err := c.node("n1").log.shard(3, process.ID())
	if err != nil {
		t.Fatal(err)
	}
	group := shard.Group
	count := 0
	send := func(id string, n int) {
		for range n {
			count++
			if err := c.append(ctx, id, logtest.MessageItem(t, signer, process.ID(), fmt.Sprint(count)), &told); err != nil {
				t.Fatalf("append %d: %v", count, err)
			}
		}
	}
	if err := c.append(ctx, "n1", process, &told); err != nil {
		t.Fatal(err)
	}
	send("n1", 3+random.Intn(10))
	c.isolate("n3", true)
	more := 2 + random.Intn(5)
	send("n1", more)
	entries := uint64(1 + random.Intn(more))
	n2 := c.node("n2").log
	disk1, disk2 := c.stop("n1"), c.stop("n2")
	if !loseTail(n2, disk2, group, entries) {
		t.Fatalf("group %d has no %d entries to lose", group, entries)
	}
	c.isolate("n3", false)
	// Node 1 stays away for now: nodes 2 and 3 are a majority.
	opening, cancelOpening := context.WithTimeout(context.Background(), 5*time.Second)
	refused = c.tryBoot(opening, "n2", disk2)
	cancelOpening()
	attempt, cancelAttempt := context.WithTimeout(context.Background(), 15*time.Second)
	_ = c.append(attempt, "n3", logtest.MessageItem(t, signer, process.ID(), "after"), &told)
	cancelAttempt()
	c.boot("n1", disk1)
	time.Sleep(10 * time.Second)
	if refused != nil {
		repair(t, c, "n1", "n2")
	}
	lost = c.verify(&told)
	c.close()
	return refused, lost
}

// repair runs Repair on one node for another, which comes with an empty disk
// when it is told to.
func repair(t *testing.T, c *simCluster, by, node string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	err := c.node(by).log.Repair(ctx, node, func(step string) {
		if strings.Contains(step, "empty data directory") {
			c.boot(node, fsxtest.NewDisk())
		}
	})
	if err != nil {
		t.Errorf("repair %s: %v", node, err)
	}
}

func TestANodeWithoutItsDataDoesNotComeBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, 1, "n1", "n2", "n3")
		var told acks
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		signer := logtest.Signer(t, 9)
		process := logtest.ProcessItem(t, signer, "wiped")
		send := func(id, data string) {
			t.Helper()
			if err := c.append(ctx, id, logtest.MessageItem(t, signer, process.ID(), data), &told); err != nil {
				t.Fatalf("append through %s: %v", id, err)
			}
		}
		if err := c.append(ctx, "n1", process, &told); err != nil {
			t.Fatal(err)
		}
		send("n1", "before")
		c.stop("n3")
		opening, stop := context.WithTimeout(ctx, 30*time.Second)
		defer stop()
		if err := c.tryBoot(opening, "n3", fsxtest.NewDisk()); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "never let this one in") {
			t.Fatalf("an empty node came back: %v", err)
		}
		send("n2", "with two nodes")
		repair(t, c, "n1", "n3")
		// Now that the third votes again, each of the others may go.
		for _, away := range []string{"n1", "n2"} {
			image := c.stop(away)
			send("n3", "without "+away)
			c.boot(away, image)
			time.Sleep(5 * time.Second)
		}
		if err := c.verify(&told); err != nil {
			t.Error(err)
		}
		if err := c.node("n1").log.Repair(ctx, "n3", func(string) {}); ao.CodeOf(err) != ao.CodeConflict {
			t.Errorf("repair of a node that is well: %v", err)
		}
		c.close()
	})
}

// TestALeaderThatStopsHandsOver: a node that is stopped in good order leaves no
// group without a leader for as long as it takes to miss one. Time is virtual.
func TestALeaderThatStopsHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, 1, "n1", "n2", "n3")
		time.Sleep(10 * time.Second)
		leads := func(id string) (n int) {
			for _, group := range c.node(id).log.Status() {
				if group.Role == "leader" {
					n++
				}
			}
			return n
		}
		leaver := "n1"
		for _, id := range c.ids {
			if leads(id) > leads(leaver) {
				leaver = id
			}
		}
		if leads(leaver) == 0 {
			t.Fatal("nobody leads")
		}
		image := c.stop(leaver)
		time.Sleep(DefaultTimeouts.Heartbeat / 3) // an election's own time
		all := 0
		for _, id := range c.ids {
			if id != leaver {
				all += leads(id)
			}
		}
		// The others lead the group of their own each.
		if want := GroupsPerSet + 2; all != want {
			t.Errorf("of %d groups %d have a leader when the node has stopped", want, all)
		}
		c.boot(leaver, image)
		c.close()
	})
}

package raft

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/fsx/fsxtest"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// TestANodeIsReplaced adds a fourth node to three, gives it the votes of one that
// is then removed, and goes on when another is lost. Time is virtual.
func TestANodeIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, 4, "n1", "n2", "n3")
		var told acks
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		signer := logtest.Signer(t, 9)
		var processes []ao.ID
		for i, mode := range []string{"raft:3", "solo", "solo", "solo", "cosigned:2/3", "raft:3"} {
			item := logtest.ProcessItem(t, signer, fmt.Sprint("of mode ", i, mode), sequencingTag(mode))
			processes = append(processes, item.ID())
			if err := c.append(ctx, "n1", item, &told); err != nil {
				t.Fatal(err)
			}
		}
		send := func(by, data string) {
			t.Helper()
			for _, process := range processes {
				if err := c.append(ctx, by, logtest.MessageItem(t, signer, process, data), &told); err != nil {
					t.Fatalf("%s through %s: %v", data, by, err)
				}
			}
		}
		send("n2", "before")
		n1 := c.node("n1").log
		fourth := Member{ID: "n4", Address: "10.0.0.4:7000", Operator: operators(t, []string{"n4"})["n4"]}
		if err := n1.AddMember(ctx, fourth); err != nil {
			t.Fatal(err)
		}
		if err := n1.AddMember(ctx, Member{ID: "n4", Address: "elsewhere:1"}); ao.CodeOf(err) != ao.CodeConflict {
			t.Errorf("another node of the same name: %v", err)
		}
		c.ids = append(slices.Clone(c.ids), "n4")
		c.boot("n4", fsxtest.NewDisk())
		send("n4", "through the new one")
		if err := n1.RemoveMember(ctx, "n2", func(string) {}); ao.CodeOf(err) != ao.CodeConflict {
			t.Errorf("a node with votes was removed: %v", err)
		}
		if err := n1.ReplaceMember(ctx, "n2", "n4", func(string) {}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		old := c.node("n2")
		if n1.options.Transport.Connected("n2") {
			t.Error("the node that was removed is spoken to")
		}
		if err := old.log.Close(); err != nil {
			t.Error(err)
		}
		if err := old.transport.Close(); err != nil {
			t.Error(err)
		}
		c.ids = []string{"n1", "n3", "n4"}
		for _, group := range n1.Status() {
			if group.Group > 300 && !slices.Equal(group.Voters, []string{"n1", "n3", "n4"}) {
				t.Errorf("group %d has the voters %v", group.Group, group.Voters)
			}
		}
		send("n3", "after")
		// The new node's votes count: without another there is a majority.
		processes = slices.DeleteFunc(processes, func(process ao.ID) bool {
			s, err := n1.Sequencing(process)
			return err != nil || s.Mode.Voters == 1
		})
		image := c.stop("n3")
		send("n4", "with two of three")
		c.boot("n3", image)
		time.Sleep(5 * time.Second)
		if err := c.verify(&told); err != nil {
			t.Error(err)
		}
		// It comes back after a restart by itself.
		image = c.stop("n4")
		c.boot("n4", image)
		time.Sleep(5 * time.Second)
		send("n4", "after a restart")
		if err := c.verify(&told); err != nil {
			t.Error(err)
		}
		c.close()
	})
}

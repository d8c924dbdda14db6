package raft

import (
	"context"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func operatorOf(t *testing.T, node string) dataitem.Signer { return logtest.Signer(t, 100+node[1]-48) }

func operators(t *testing.T, nodes []string) map[string]ao.ID {
	all := map[string]ao.ID{}
	for _, node := range nodes {
		all[node] = dataitem.AddressOf(operatorOf(t, node).Owner())
	}
	return all
}

func sequencingTag(mode string) dataitem.Tag {
	return dataitem.Tag{Name: ao.TagSequencing, Value: mode}
}

var testModes = []string{"solo", "raft:3", "cosigned:2/3", "cosigned:3/3"}

func mode(t *testing.T, text string) log.Mode {
	t.Helper()
	m, err := log.ParseMode(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// setSequencing orders a mode for the process's next epoch.
func (c *simCluster) setSequencing(ctx context.Context, id string, process ao.ID, to log.Mode) error {
	head, err := c.node(id).log.Linearizable().Head(ctx, process)
	if err != nil {
		return err
	}
	return c.node(id).log.SetSequencing(ctx, Order{Process: process, Mode: to, Epoch: head.Epoch + 1, Item: []byte("order")})
}

// mover changes modes and moves shards at random until stop.
func (c *simCluster) mover(seed int64, stop <-chan struct{}, told *acks) {
	random := rand.New(rand.NewSource(seed + 1000))
	for {
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(500+random.Intn(4000)) * time.Millisecond):
		}
		known := told.processes()
		if len(known) == 0 {
			continue
		}
		process := known[random.Intn(len(known))]
		node := c.node(c.ids[random.Intn(len(c.ids))])
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
		if random.Intn(4) == 0 {
			to := node.log.placement.sets[3][random.Intn(GroupsPerSet)].id
			_ = node.log.MoveShard(ctx, 3, shardOf(process), to, func(string) {})
		} else {
			_ = c.setSequencing(ctx, node.id, process, mode(c.t, testModes[random.Intn(len(testModes))]))
		}
		cancel()
	}
}

// epochs counts the epochs of all processes.
func (c *simCluster) epochs(told *acks) (count uint64) {
	for _, process := range told.processes() {
		if o, err := c.node("n1").log.index.Ordering(process); err == nil {
			count += o.Epoch + 1
		}
	}
	return count
}

// processes lists those of which something was acknowledged, in order.
func (a *acks) processes() []ao.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.ids)
}

// withProcess runs a test on three nodes that have taken a process.
func withProcess(t *testing.T, test func(t *testing.T, ctx context.Context, c *simCluster, signer dataitem.Signer, process *dataitem.Item, told *acks)) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, 1, "n1", "n2", "n3")
		defer c.close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		var told acks
		signer := logtest.Signer(t, 9)
		process := logtest.ProcessItem(t, signer, "moves")
		if err := c.append(ctx, "n1", process, &told); err != nil {
			t.Fatal(err)
		}
		test(t, ctx, c, signer, process, &told)
	})
}

// TestAMessageThatComesAgainIsKnownByWhoOrdersItsProcess asks every group for what one of
// them has taken, as a node does that is behind: it must be told who knows better, and not
// that the process is unknown, nor that the message counts.
func TestAMessageThatComesAgainIsKnownByWhoOrdersItsProcess(t *testing.T) {
	withProcess(t, func(t *testing.T, ctx context.Context, c *simCluster, signer dataitem.Signer, process *dataitem.Item, told *acks) {
		sent := []*dataitem.Item{process}
		for epoch, text := range []string{"solo", "cosigned:2/3"} {
			if err := c.setSequencing(ctx, "n1", process.ID(), mode(t, text)); err != nil {
				t.Fatal(err)
			}
			sent = append(sent, logtest.MessageItem(t, signer, process.ID(), fmt.Sprint(epoch)))
			if err := c.append(ctx, "n2", sent[len(sent)-1], told); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) // all nodes have it
		asked := 0
		for _, id := range c.ids {
			n := c.node(id).log
			newest, err := n.index.Ordering(process.ID())
			if err != nil {
				t.Fatal(err)
			}
			for _, g := range n.groups {
				if g.pipeline == nil || !g.pipeline.leads() {
					continue
				}
				for epoch, item := range sent {
					proposal, err := n.prepare(ctx, log.Proposal{Item: item})
					if err != nil {
						t.Fatal(err)
					}
					entry, duplicate, err := g.place(ctx, proposal)
					own, _, unknown := n.index.OrderingIn(process.ID(), g.id)
					knows := g.id == newest.Group || unknown == nil && own.Epoch >= uint64(epoch)
					switch {
					case knows && (err != nil || !duplicate || entry.Message != item.ID() && epoch > 0):
						t.Errorf("group %d at %s, message of epoch %d: nonce %d, %v, %v", g.id, id, epoch, entry.Nonce, duplicate, err)
					case !knows && !errors.Is(err, errMoved):
						t.Errorf("group %d at %s does not order it, message of epoch %d: nonce %d, %v", g.id, id, epoch, entry.Nonce, err)
					}
					asked++
				}
			}
		}
		if asked < 3*len(sent) {
			t.Errorf("only %d questions", asked)
		}
	})
}

// TestProcessesChangeTheirMode goes through all modes, with messages in between
// through every node.
func TestProcessesChangeTheirMode(t *testing.T) {
	withProcess(t, func(t *testing.T, ctx context.Context, c *simCluster, signer dataitem.Signer, process *dataitem.Item, told *acks) {
		var messages []*dataitem.Item
		for epoch, text := range []string{"solo", "cosigned:2/3", "raft:3", "cosigned:3/3", "solo", "raft:3"} {
			by := c.ids[epoch%3]
			if err := c.setSequencing(ctx, by, process.ID(), mode(t, text)); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			s, err := c.node(by).log.Sequencing(process.ID())
			if err != nil || s.Mode.String() != text || len(s.History) != epoch+1 {
				t.Fatalf("sequencing is %+v (%v), want %s in epoch %d", s, err, text, epoch+1)
			}
			for i, id := range c.ids {
				item := logtest.MessageItem(t, signer, process.ID(), fmt.Sprint(epoch, i))
				messages = append(messages, item)
				if err := c.append(ctx, id, item, told); err != nil {
					t.Fatal(err)
				}
				// Who was told of it sees it, through the node that told.
				fresh := c.node(id).log.Linearizable()
				nonce, err := fresh.Find(ctx, process.ID(), item.ID())
				if err != nil {
					t.Fatalf("%s: find what %s took: %v", text, id, err)
				}
				if entry, err := fresh.Read(ctx, process.ID(), nonce); err != nil || entry.Message != item.ID() {
					t.Fatalf("%s: read what %s took: %v", text, id, err)
				}
			}
		}
		// What an earlier epoch took is known again.
		for _, item := range messages {
			entry, duplicate, err := c.node("n3").log.Append(ctx, log.Proposal{Item: item})
			if err != nil || !duplicate || entry.Message != item.ID() {
				t.Fatalf("message sent again: %v %v %v", entry.Nonce, duplicate, err)
			}
		}
		if err := c.verify(told); err != nil {
			t.Error(err)
		}
		if err := checkEpochs(c.node("n2").log, process.ID(), 6); err != nil {
			t.Error(err)
		}
		head, err := c.node("n1").log.Head(ctx, process.ID())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.node("n1").log.SetSequencing(ctx, Order{Process: process.ID(), Mode: log.Solo, Epoch: head.Epoch}); ao.CodeOf(err) != ao.CodeConflict {
			t.Errorf("an order that is too late: %v", err)
		}
		if err := c.node("n1").log.SetSequencing(ctx, Order{Process: process.ID(), Mode: log.Mode{Voters: 5}, Epoch: head.Epoch + 1}); ao.CodeOf(err) != ao.CodeInvalid {
			t.Errorf("a mode that is not there: %v", err)
		}
	})
}

// checkEpochs checks that epochs rise by one, and nonces and chain go on across
// them.
func checkEpochs(n *Node, process ao.ID, last uint64) error {
	var before log.Entry
	err := n.Range(context.Background(), process, 0, 1<<60, func(e log.Entry) error {
		if e.Nonce > 0 && (e.Nonce != before.Nonce+1 || e.Epoch < before.Epoch || e.Epoch > before.Epoch+1 ||
			e.HashChain != ao.NextHashChain(before.ID, before.HashChain) || e.TimestampMS <= before.TimestampMS) {
			return fmt.Errorf("entry %d in epoch %d after %d in epoch %d does not follow", e.Nonce, e.Epoch, before.Nonce, before.Epoch)
		}
		before = e
		return nil
	})
	if err == nil && before.Epoch != last {
		err = fmt.Errorf("the last epoch is %d, want %d", before.Epoch, last)
	}
	return err
}

// TestShardsMove moves a shard with its processes, and new ones go where it went.
func TestShardsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, 2, "n1", "n2", "n3")
		defer c.close()
		var told acks
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		signer := logtest.Signer(t, 9)
		process := logtest.ProcessItem(t, signer, "in the shard")
		if err := c.append(ctx, "n1", process, &told); err != nil {
			t.Fatal(err)
		}
		number := shardOf(process.ID())
		if err := c.node("n1").log.Sync(ctx, process.ID()); err != nil {
			t.Fatal(err)
		}
		from, err := c.node("n1").log.Sequencing(process.ID())
		if err != nil {
			t.Fatal(err)
		}
		to := uint32(301)
		if from.Group == to {
			to = 305
		}
		if err := c.node("n2").log.MoveShard(ctx, 3, number, to, func(string) {}); err != nil {
			t.Fatal(err)
		}
		var sibling *dataitem.Item
		for i := 0; sibling == nil; i++ {
			if item := logtest.ProcessItem(t, signer, fmt.Sprint("sibling ", i)); shardOf(item.ID()) == number {
				sibling = item
			}
		}
		for _, item := range []*dataitem.Item{sibling, logtest.MessageItem(t, signer, process.ID(), "after")} {
			if err := c.append(ctx, "n3", item, &told); err != nil {
				t.Fatal(err)
			}
		}
		for _, id := range []ao.ID{process.ID(), sibling.ID()} {
			if err := c.node("n1").log.Sync(ctx, id); err != nil {
				t.Fatal(err)
			}
			if s, err := c.node("n1").log.Sequencing(id); err != nil || s.Group != to || s.Mode.String() != "raft:3" {
				t.Errorf("process %s is ordered by %+v (%v), want group %d", id, s, err, to)
			}
		}
		if err := c.verify(&told); err != nil {
			t.Error(err)
		}
		if err := c.node("n1").log.MoveShard(ctx, 3, number, 7, nil); ao.CodeOf(err) != ao.CodeInvalid {
			t.Errorf("a move to a group of another set: %v", err)
		}
	})
}

// TestASoloGroupComesBack: what one node ordered alone comes back from the others
// when its disk is lost and it is repaired.
func TestASoloGroupComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newSimCluster(t, 3, "n1", "n2", "n3")
		defer c.close()
		var told acks
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		signer := logtest.Signer(t, 9)
		var process *dataitem.Item
		for i := 0; process == nil; i++ {
			item := logtest.ProcessItem(t, signer, fmt.Sprint("alone ", i), sequencingTag("solo"))
			if shard, err := c.node("n1").log.shard(1, item.ID()); err == nil && shard.Group == 2 {
				process = item
			}
		}
		for _, item := range []*dataitem.Item{process, logtest.MessageItem(t, signer, process.ID(), "one")} {
			if err := c.append(ctx, "n1", item, &told); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.node("n1").log.Sync(ctx, process.ID()); err != nil {
			t.Fatal(err)
		}
		if s, err := c.node("n1").log.Sequencing(process.ID()); err != nil || !slices.Equal(s.Voters, []string{"n3"}) {
			t.Fatalf("a solo process is ordered by %+v (%v)", s, err)
		}
		time.Sleep(time.Second)
		c.stop("n3")
		asking, stop := context.WithTimeout(ctx, 30*time.Second)
		_, _, err := c.node("n1").log.Append(asking, log.Proposal{Item: logtest.MessageItem(t, signer, process.ID(), "two")})
		stop()
		if code := ao.CodeOf(err); code != ao.CodeUnavailable {
			t.Fatalf("without its node: %v", err)
		}
		repair(t, c, "n1", "n3")
		if err := c.append(ctx, "n2", logtest.MessageItem(t, signer, process.ID(), "three"), &told); err != nil {
			t.Fatal(err)
		}
		if err := c.verify(&told); err != nil {
			t.Error(err)
		}
	})
}

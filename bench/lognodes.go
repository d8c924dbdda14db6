package bench

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/measure"
	"github.com/wallaby-ao/wallaby/internal/procs"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/raft"
)

// LogLoad is one load on three nodes that replicate a log, all in this process.
type LogLoad struct {
	Dir             string
	Clients         int
	WarmUp, Seconds float64
	// Groups is in how many of the nodes' groups the load's processes are.
	Groups int
	// Verify has the messages signed with RSA-4096, and each signature checked.
	Verify bool
	// Sign has the assignments signed with secp256k1.
	Sign bool
}

// LogRun is what a load gave.
type LogRun struct {
	measure.Result
	// VerifiedPerSecond is what this process's cores verify in a loop, of the
	// very messages of the load; 0 when the load verified nothing.
	VerifiedPerSecond float64 `json:"verified_per_second,omitempty"`
}

// itemBytes is the size of a whole item: what a peer gets as a payload.
const itemBytes = 1024

// processesOfLoad is over how many processes a load is spread. Messages of one
// process wait for each other's signature, so that one alone shows less.
const processesOfLoad = 64

// rsaMessagesPerSecond bounds how many messages are signed with RSA before the
// clock starts: more than two cores verify.
const rsaMessagesPerSecond = 16_000

// Run measures the load. Each client is at the node that leads its process, as
// the clients of a peer are at its leader.
func (l LogLoad) Run(ctx context.Context) (run LogRun, err error) {
	nodes, stop, err := openTrusted(ctx, l)
	if err != nil {
		return run, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	processes, err := l.spawn(ctx, nodes)
	if err != nil {
		return run, err
	}
	next, err := l.messages(ctx, processes, &run)
	if err != nil {
		return run, err
	}
	at := leadersOf(nodes, processes)
	loop := measure.Loop{Clients: l.Clients, WarmUp: seconds(l.WarmUp), Window: seconds(l.Seconds)}
	run.Result, err = loop.Run(ctx, func(ctx context.Context, client int) error {
		process, item, err := next(client)
		if err != nil {
			return err
		}
		// A node that asks again, because the lead moved, may be told that the
		// message has its place: that is an answer like any other.
		_, _, err = nodes[at[process]].Append(ctx, log.Proposal{Item: item})
		return err
	})
	return run, err
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func openTrusted(ctx context.Context, l LogLoad) ([]*raft.Node, func() error, error) {
	var signer dataitem.Signer = hashSigner{}
	if l.Sign {
		var err error
		if signer, err = dataitem.GenerateSigner(dataitem.Ethereum, rand.Reader); err != nil {
			return nil, nil, err
		}
	}
	return openVotersWith(ctx, l.Dir, 3, raft.Options{Signer: signer, Trusted: !l.Verify})
}

// spawn starts processes in as many groups as the load asks for, the same number
// in each.
func (l LogLoad) spawn(ctx context.Context, nodes []*raft.Node) (processes []ao.ID, err error) {
	user := dataitem.Signer(hashSigner{})
	if l.Verify {
		if user, err = dataitem.GenerateSigner(dataitem.Ed25519, rand.Reader); err != nil {
			return nil, err
		}
	}
	mode := log.Mode{Voters: len(nodes)}
	groups := nodes[0].GroupsOf(mode)
	if l.Groups < 1 || l.Groups > len(groups) || processesOfLoad%l.Groups != 0 {
		return nil, fmt.Errorf("a load in %d groups: want 1, 2, 4 or %d", l.Groups, len(groups))
	}
	room := map[uint32]int{}
	for _, group := range groups[:l.Groups] {
		room[group] = processesOfLoad / l.Groups
	}
	for i := 0; len(processes) < processesOfLoad; i++ {
		item, err := dataitem.Create(dataitem.Draft{Tags: dataitem.Tags{
			{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeProcess},
			{Name: ao.TagModule, Value: ao.ID{1}.String()}, {Name: ao.TagScheduler, Value: "bench"}, {Name: "Name", Value: fmt.Sprint(i)},
		}}, user)
		if err != nil {
			return nil, err
		}
		group, err := nodes[0].Placed(item.ID(), mode)
		if err != nil {
			return nil, err
		}
		if room[group] == 0 {
			continue
		}
		room[group]--
		if _, _, err := nodes[0].Append(ctx, log.Proposal{Item: item}); err != nil {
			return nil, fmt.Errorf("spawn a process: %w", err)
		}
		processes = append(processes, item.ID())
	}
	return processes, nil
}

// leadersOf gives each process the node that leads it. A lead that moves later
// costs a hop and is no error.
func leadersOf(nodes []*raft.Node, processes []ao.ID) map[ao.ID]int {
	at := make(map[ao.ID]int, len(processes))
	for _, process := range processes {
		at[process] = max(0, slices.IndexFunc(nodes, func(n *raft.Node) bool { return n.Leads(process) }))
	}
	return at
}

// messages gives what makes the next message of a client.
func (l LogLoad) messages(ctx context.Context, processes []ao.ID, run *LogRun) (func(client int) (ao.ID, *dataitem.Item, error), error) {
	if !l.Verify {
		return unsignedMessages(processes)
	}
	items, err := quickSignedMessages(ctx, processes, int(rsaMessagesPerSecond*(l.WarmUp+l.Seconds)))
	if err != nil {
		return nil, err
	}
	if run.VerifiedPerSecond, err = verifyLimit(ctx, items); err != nil {
		return nil, err
	}
	var next atomic.Uint64
	return func(int) (ao.ID, *dataitem.Item, error) {
		i := next.Add(1) - 1
		if i >= uint64(len(items)) {
			return ao.ID{}, nil, measure.ErrSpent
		}
		return items[i].TargetID(), items[i], nil
	}, nil
}

// unsignedMessages parses messages out of bytes that differ in their signatures,
// and so in their ids, as a node gets them from a client.
func unsignedMessages(processes []ao.ID) (func(client int) (ao.ID, *dataitem.Item, error), error) {
	templates := make([][]byte, len(processes))
	for i, process := range processes {
		empty, err := dataitem.Create(messageDraft(process, nil), hashSigner{})
		if err != nil {
			return nil, err
		}
		data := make([]byte, itemBytes-len(empty.Bytes()))
		_, _ = rand.Read(data)
		item, err := dataitem.Create(messageDraft(process, data), hashSigner{})
		if err != nil {
			return nil, err
		}
		templates[i] = item.Bytes()
	}
	var count atomic.Uint64
	return func(client int) (ao.ID, *dataitem.Item, error) {
		raw := slices.Clone(templates[client%len(templates)])
		// The signature begins behind two bytes that say its type.
		binary.BigEndian.PutUint64(raw[2:], count.Add(1))
		item, err := dataitem.Parse(raw)
		return processes[client%len(processes)], item, err
	}, nil
}

func messageDraft(process ao.ID, data []byte) dataitem.Draft {
	return dataitem.Draft{Target: process[:], Data: data, Tags: dataitem.Tags{
		{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: ao.TypeMessage},
	}}
}

// quickSignedMessages signs messages of 1 KiB with RSA-4096 on all cores.
func quickSignedMessages(ctx context.Context, processes []ao.ID, count int) ([]*dataitem.Item, error) {
	signer, err := newQuickSigner(rand.Reader)
	if err != nil {
		return nil, err
	}
	var (
		items    = make([]*dataitem.Item, count)
		failures = make([]error, procs.Cores())
		wait     sync.WaitGroup
	)
	for core := range failures {
		wait.Go(func() {
			data := make([]byte, messageBytes)
			_, _ = rand.Read(data)
			for i := core; i < count && failures[core] == nil && ctx.Err() == nil; i += len(failures) {
				binary.BigEndian.PutUint64(data, uint64(i))
				items[i], failures[core] = dataitem.Create(messageDraft(processes[i%len(processes)], data), signer)
			}
		})
	}
	wait.Wait()
	return items, errors.Join(append(failures, ctx.Err())...)
}

// verifyLimit is how many of the items all cores verify in a second when they do
// nothing else.
func verifyLimit(ctx context.Context, items []*dataitem.Item) (float64, error) {
	var next atomic.Uint64
	loop := measure.Loop{Clients: procs.Cores(), Window: time.Second}
	result, err := loop.Run(ctx, func(context.Context, int) error {
		return items[next.Add(1)%uint64(len(items))].Verify()
	})
	return result.PerSecond, err
}

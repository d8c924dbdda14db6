package node

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/settlement"
	"github.com/wallaby-ao/wallaby/vm"
)

// gated is a driver whose machines wait at their first message when they begin at the
// beginning: a replay that takes for ever.
type gated struct {
	vm.Driver
	gate chan struct{}
}

type gatedModule struct {
	vm.Module
	gate chan struct{}
}

type gatedProcess struct {
	vm.Process
	gate chan struct{}
}

func (d gated) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	module, err := d.Driver.Load(ctx, source)
	return gatedModule{module, d.gate}, err
}

func (m gatedModule) New(ctx context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	process, err := m.Module.New(ctx, config, snapshot)
	if err != nil || snapshot != nil {
		return process, err
	}
	return gatedProcess{process, m.gate}, nil
}

func (p gatedProcess) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	select {
	case <-p.gate:
		return p.Process.Handle(ctx, call)
	case <-ctx.Done():
		return vm.Output{}, ctx.Err()
	}
}

// toldLines is a log that is read while it is written.
type toldLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *toldLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *toldLines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.text.String(), text)
}

// TestAWipedNodeAnswersFromACheckpoint restores a log onto an empty disk. While its
// replay does not get anywhere, the node answers from the newest checkpoint that
// holds; and then finds its own state to be the same.
func TestAWipedNodeAnswersFromACheckpoint(t *testing.T) {
	c := openCheckpointed(t)
	for i := range 4 {
		c.eval(c.process, fmt.Sprintf("N = N * 3 + %d return N", i))
	}
	trusted, stranger := logtest.Signer(t, 5), logtest.Signer(t, 6)
	entry, err := c.log.Read(t.Context(), c.process, 5)
	if err != nil {
		t.Fatal(err)
	}
	at5 := func(tags *settlement.Checkpoint, _ []byte) {
		tags.Nonce, tags.Assignment, tags.HashChain = 5, entry.ID, entry.HashChain
		tags.TimestampMS, tags.BlockHeight, tags.Epoch = entry.TimestampMS, entry.BlockHeight, entry.Epoch
	}
	// All of these claim a newer nonce; none holds.
	bad := []ao.ID{
		c.put(stranger, at5, nil),
		c.put(trusted, func(tags *settlement.Checkpoint, memory []byte) { at5(tags, memory); memory[len(memory)/2] ^= 1 }, nil),
		c.put(trusted, func(tags *settlement.Checkpoint, memory []byte) { at5(tags, memory); tags.HashChain[3] ^= 1 }, nil),
		c.put(trusted, func(tags *settlement.Checkpoint, memory []byte) { at5(tags, memory); tags.StateRoot[3] ^= 1 }, nil),
		c.put(trusted, at5, func(tags dataitem.Tags) dataitem.Tags {
			return append(tags.Without("SHA-256"), dataitem.Tag{Name: "SHA-256", Value: strings.Repeat("0", 64)})
		}),
	}
	want := states(t, c.Node, []ao.ID{c.process})
	s := &stage{T: t, Node: c.Node}
	s.settled(8)
	s.eventually("the checkpoint is on the weave", func() bool {
		made, err := c.Checkpoint(context.Background(), c.process, false)
		return ao.CodeOf(err) == ao.CodeRateLimited && made.Nonce == 3 || made.Upload == settlement.ExtraConfirmed
	})
	s.eventually("the gateway has it", func() bool {
		_, err := c.up.StoredItem(context.Background(), c.made.ID)
		return err == nil
	})
	closeNode(t, c.Node)

	dir := wipe(t, c.options.DataDir)
	if _, err := Restore(t.Context(), RestoreOptions{DataDir: dir, Gateway: c.up.url}); err != nil {
		t.Fatal(err)
	}
	gate, told := make(chan struct{}), &toldLines{}
	options := Options{
		DataDir: dir, CacheDir: testCacheDir, AnyPort: true, AheadMessages: 1, TrustCheckpoints: c.options.TrustCheckpoints, Logger: zerolog.New(told),
		WrapDriver: func(d vm.Driver) vm.Driver { return gated{d, gate} },
	}
	c.up.settles(&options)
	back, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	defer closeNode(t, back)
	head, err := back.log.Read(t.Context(), c.process, 7)
	if err != nil {
		t.Fatal(err)
	}
	result, err := clientOf(back).Result(t.Context(), c.process, head.Message)
	if err != nil || !strings.Contains(want, fmt.Sprintf("7 %s\n", result.JSON())) {
		t.Errorf("the newest result is %s, %v; results were\n%s", result.JSON(), err, want)
	}
	root, err := back.engine.Root(t.Context(), c.process)
	if err != nil || root.Nonce != 7 || !strings.Contains(want, root.Root.String()) {
		t.Errorf("the newest state is %+v, %v, and was\n%s", root, err, want)
	}
	if nonce, ok := back.engine.Evaluated(c.process); ok {
		t.Errorf("nonce %d counts as evaluated", nonce)
	}
	for i, id := range bad {
		// A stranger's is not even looked at.
		if named := told.has(id.String()); named != (i > 0) {
			t.Errorf("bad checkpoint %d is named: %v", i, named)
		}
	}

	close(gate)
	if got := states(t, back, []ao.ID{c.process}); got != want {
		t.Errorf("the node came back with\n%s\nand was\n%s", got, want)
	}
	s = &stage{T: t, Node: back}
	s.eventually("the checkpoint was compared", func() bool { return told.has("the checkpoint was right") })
}

// TestACheckpointOfTheReferenceIsTakenUp has nothing but a memory to begin with.
func TestACheckpointOfTheReferenceIsTakenUp(t *testing.T) {
	c := openCheckpointed(t)
	id := c.put(logtest.Signer(t, 5), nil, reference)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	found, err := c.findCheckpoints(ctx, c.process)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range found.list {
		if info.ID != id {
			continue
		}
		memory, err := c.judge(ctx, c.process, info, found.items[id])
		if err != nil {
			t.Fatal(err)
		}
		state, err := info.State(memory)
		if err != nil {
			t.Fatal(err)
		}
		if size, err := state.Memory(); err != nil || size != uint64(len(c.memory)) {
			t.Errorf("its memory has %d bytes, %v, and not %d", size, err, len(c.memory))
		}
		return
	}
	t.Errorf("%s is not among %+v", id, found.list)
}

// TestCheckpointsAreMadeAsMessagesCome makes them when enough have come, and one in
// half an hour.
func TestCheckpointsAreMadeAsMessagesCome(t *testing.T) {
	c := openCheckpointed(t)
	nowMS := time.Now().UnixMilli()
	c.options.CheckpointEvery, c.options.Now = 2, func() time.Time { return time.UnixMilli(nowMS) }
	newest := func() uint64 {
		c.makeCheckpoints(t.Context())
		made, _, err := c.madeCheckpoint(c.process)
		if err != nil {
			t.Fatal(err)
		}
		return made.Nonce
	}
	c.eval(c.process, "return 1")
	c.eval(c.process, "return 2")
	if got := newest(); got != 3 {
		t.Errorf("a checkpoint was made at nonce %d, too soon after the one before", got)
	}
	nowMS += checkpointPeriod.Milliseconds()
	if got := newest(); got != 5 {
		t.Errorf("the newest checkpoint is of nonce %d, not 5", got)
	}
	nowMS += checkpointPeriod.Milliseconds()
	c.eval(c.process, "return 3")
	if got := newest(); got != 5 {
		t.Errorf("the newest checkpoint is of nonce %d after one message", got)
	}
}

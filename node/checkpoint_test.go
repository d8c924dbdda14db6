package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/settlement"
	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// checkpointed is a node with an aos process that has a checkpoint.
type checkpointed struct {
	*testing.T
	*Node
	up      *upstream
	process ao.ID
	eval    func(process ao.ID, code string) string
	made    MadeCheckpoint
	tags    settlement.Checkpoint // of it
	memory  []byte
}

func openCheckpointed(t *testing.T) *checkpointed {
	t.Helper()
	c := &checkpointed{T: t, up: openUpstream(t)}
	options := Options{DataDir: t.TempDir(), TrustCheckpoints: []string{dataitem.AddressOf(logtest.Signer(t, 5).Owner()).String()}}
	c.up.settles(&options)
	n, spawn, eval := openAosWith(t, options)
	c.Node, c.eval, c.process = n, eval, spawn("checkpointed")
	for i := range 3 {
		eval(c.process, fmt.Sprintf("N = (N or 0) + %d return N", i))
	}
	var err error
	if c.made, err = n.Checkpoint(t.Context(), c.process, true); err != nil {
		t.Fatal(err)
	}
	item, err := n.gateway.StoredItem(t.Context(), c.made.ID)
	if err == nil {
		c.tags, err = settlement.ParseCheckpoint(item.Tags)
	}
	if err == nil {
		c.memory, err = c.tags.Memory(item.Data, checkpointBytesMax)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// put signs a checkpoint like the node's own, with changes, and puts it on the weave.
func (c *checkpointed) put(signer dataitem.Signer, change func(tags *settlement.Checkpoint, memory []byte), edit func(dataitem.Tags) dataitem.Tags) ao.ID {
	c.Helper()
	tags, memory := c.tags, append([]byte(nil), c.memory...)
	if change != nil {
		change(&tags, memory)
	}
	item, err := settlement.NewCheckpoint(tags, func(w io.Writer) error { _, err := w.Write(memory); return err }, signer)
	if err == nil && edit != nil {
		item, err = dataitem.Create(dataitem.Draft{Tags: edit(append(dataitem.Tags(nil), item.Tags...)), Data: item.Data}, signer)
	}
	if err == nil {
		_, err = c.up.PutItem(c.Context(), item)
	}
	if err != nil {
		c.Fatal(err)
	}
	return item.ID()
}

// reference leaves out what the reference compute unit does not say.
func reference(tags dataitem.Tags) dataitem.Tags {
	return tags.Without("State-Root", "VM-Fingerprint", "State-Sections")
}

func TestCheckpointsAreMadeUploadedAndHold(t *testing.T) {
	c := openCheckpointed(t)
	root, err := c.engine.RootAt(t.Context(), c.process, 3, 0)
	if err != nil || c.made.Nonce != 3 || c.made.StateRoot != root.Root || c.tags.StateRoot != root.Root || c.tags.Fingerprint != root.Fingerprint {
		t.Errorf("%+v with the tags %+v, root %+v, %v", c.made, c.tags, root, err)
	}
	s := &stage{T: t, Node: c.Node}
	s.eventually("the checkpoint is on the weave", func() bool {
		made, err := c.Checkpoint(context.Background(), c.process, false)
		return err == nil && made.ID == c.made.ID && made.Upload == settlement.ExtraConfirmed
	})
	if _, err := c.up.StoredItem(t.Context(), c.made.ID); err != nil {
		t.Error(err)
	}
	list, err := c.Checkpoints(t.Context(), c.process)
	if err != nil || len(list.Checkpoints) != 1 || !list.Checkpoints[0].Trusted || len(list.Unreached) != 0 {
		t.Errorf("%+v, %v", list, err)
	}

	c.eval(c.process, "return 1")
	_, err = c.Checkpoint(t.Context(), c.process, false)
	if ao.CodeOf(err) != ao.CodeRateLimited || !strings.Contains(err.Error(), "at most one in 30m") {
		t.Errorf("a second checkpoint at once: %v", err)
	}
}

// TestACheckpointIsBelievedOnlyIfEverythingHolds puts checkpoints of all kinds
// beside the right one.
func TestACheckpointIsBelievedOnlyIfEverythingHolds(t *testing.T) {
	c := openCheckpointed(t)
	trusted, stranger := logtest.Signer(t, 5), logtest.Signer(t, 6)
	// A byte in the middle of the Lua heap.
	alter := func(_ *settlement.Checkpoint, memory []byte) {
		for i := len(memory) / 2; ; i++ {
			if memory[i] != 0 {
				memory[i] ^= 1
				return
			}
		}
	}
	// One whose memory, root and hash fit each other, and not what the process did.
	lie := func(tags *settlement.Checkpoint, memory []byte) {
		alter(tags, memory)
		state := stateroot.State{MemoryBytes: uint64(len(memory))}
		for at := 0; at < len(memory); at += vm.PageBytes {
			if err := state.Page(uint32(at/vm.PageBytes), memory[at:at+vm.PageBytes]); err != nil {
				t.Fatal(err)
			}
		}
		tags.Sections, tags.StateRoot = "", state.Root()
	}
	// What holds, and what is said of it.
	holds := map[ao.ID]string{
		c.made.ID:                      "",
		c.put(trusted, nil, nil):       "",
		c.put(trusted, nil, reference): "only its owner's word",
	}
	want := map[ao.ID]string{
		c.put(stranger, nil, nil):  "its owner is not trusted",
		c.put(trusted, alter, nil): "its memory makes a state with the root",
		c.put(trusted, lie, nil):   "and this node's own at nonce 3 has",
		c.put(trusted, func(tags *settlement.Checkpoint, _ []byte) { tags.Nonce = 9 }, nil):                     "does not reach nonce 9",
		c.put(trusted, func(tags *settlement.Checkpoint, _ []byte) { tags.Assignment = ao.ID{1} }, nil):         "the log has",
		c.put(trusted, func(tags *settlement.Checkpoint, _ []byte) { tags.Module = ao.ID{1} }, nil):             "it is of module",
		c.put(trusted, nil, func(tags dataitem.Tags) dataitem.Tags { return tags.Without("Content-Encoding") }): "SHA-256",
	}
	list, err := c.Checkpoints(t.Context(), c.process)
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Checkpoints) != len(holds)+len(want) {
		t.Errorf("%d checkpoints, not %d", len(list.Checkpoints), len(holds)+len(want))
	}
	for _, info := range list.Checkpoints {
		why, trusted := holds[info.ID]
		if !trusted {
			why = want[info.ID]
		}
		if info.Trusted != trusted || !strings.Contains(info.Why, why) || (why == "") != (info.Why == "") {
			t.Errorf("%s: trusted %v, %q where %q was to be said", info.ID, info.Trusted, info.Why, why)
		}
	}
}

func TestAGatewayThatShowsOtherBytesOrNothingIsNamed(t *testing.T) {
	c := openCheckpointed(t)
	id := c.put(logtest.Signer(t, 5), nil, nil)
	c.up.mu.Lock()
	c.up.other = map[string]string{"/raw/" + id.String(): "other bytes"}
	c.up.mu.Unlock()
	list, err := c.Checkpoints(t.Context(), c.process)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range list.Checkpoints {
		if info.ID == id && (info.Trusted || !strings.Contains(info.Why, "signature")) {
			t.Errorf("%+v", info)
		}
	}
	c.up.mu.Lock()
	c.up.other = map[string]string{"/graphql": "not JSON"}
	c.up.mu.Unlock()
	list, err = c.Checkpoints(t.Context(), c.process)
	if err != nil || len(list.Checkpoints) != 1 || !list.Checkpoints[0].Trusted || list.Unreached[c.up.url] == "" {
		t.Errorf("%+v, %v", list, err)
	}
	if _, err := c.Checkpoint(t.Context(), ao.ID{1}, false); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("a checkpoint of nothing: %v", err)
	}
	if _, err := c.Checkpoints(t.Context(), ao.ID{1}); ao.CodeOf(err) != ao.CodeNotFound || errors.Is(err, context.Canceled) {
		t.Errorf("checkpoints of nothing: %v", err)
	}
}

package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/settlement"
)

// PathCheckpoints lists the checkpoints of a process (process=ID) as a
// CheckpointList.
const PathCheckpoints = "/wallaby/checkpoints"

// CheckpointList is what gateways have of a process, the highest nonce first.
type CheckpointList struct {
	Checkpoints []CheckpointInfo `json:"checkpoints"`
	// Unreached are gateways that did not answer, with the reason.
	Unreached map[string]string `json:"unreached,omitempty"`
}

// CheckpointInfo is a checkpoint and whether this node would believe it.
type CheckpointInfo struct {
	settlement.Checkpoint
	ID      ao.ID  `json:"id"`
	Owner   string `json:"owner"`
	Bytes   uint64 `json:"bytes"`   // packed
	Gateway string `json:"gateway"` // where it was found; "" is this node's own
	Trusted bool   `json:"trusted"`
	// Why says what speaks against it, or, if it is trusted, what that rests on.
	Why string `json:"why,omitempty"`
}

const (
	// checkpointsJudged is how many are unpacked and looked at, newest first.
	checkpointsJudged = 10
	// checkpointBytesMax bounds the memory that a checkpoint unpacks to: what the
	// engine lets a process have.
	checkpointBytesMax = 1 << 30
)

// shelf is a place with checkpoints.
type shelf struct {
	gateway string
	list    func(context.Context, ao.ID) ([]settlement.Found, error)
	item    func(context.Context, settlement.Found) (*dataitem.Item, error)
}

// shelves are this node's gateway and those that the operator has named.
func (n *Node) shelves() []shelf {
	list := []shelf{{
		list: n.ownCheckpoints,
		item: func(ctx context.Context, f settlement.Found) (*dataitem.Item, error) {
			return n.gateway.StoredItem(ctx, f.ID)
		},
	}}
	for url, archive := range n.archives {
		list = append(list, shelf{url, archive.Checkpoints, archive.Item})
	}
	slices.SortFunc(list, func(a, b shelf) int { return strings.Compare(a.gateway, b.gateway) })
	return list
}

// ownCheckpoints lists what this node's gateway has.
func (n *Node) ownCheckpoints(ctx context.Context, process ao.ID) (list []settlement.Found, err error) {
	page, err := n.gateway.Find(ctx, gateway.Query{First: gateway.PageMax, Tags: []gateway.TagFilter{
		{Name: ao.TagProcess, Values: []string{process.String()}},
		{Name: ao.TagType, Values: []string{settlement.TypeCheckpoint}},
		{Name: ao.TagDataProtocol, Values: []string{ao.DataProtocol}},
	}})
	if err != nil {
		return nil, err
	}
	for _, r := range page.Records {
		list = append(list, settlement.Found{ID: r.ID, Owner: r.Owner.String(), Tags: r.Tags, DataBytes: r.DataSize})
	}
	return list, nil
}

// Checkpoints lists the checkpoints of a process that this node can find, and says
// of the newest from owners that it trusts whether each holds.
func (n *Node) Checkpoints(ctx context.Context, process ao.ID) (answer CheckpointList, err error) {
	n.checkpointing.Lock()
	defer n.checkpointing.Unlock()
	if _, err := n.log.Head(ctx, process); err != nil {
		if errors.Is(err, aolog.ErrProcessUnknown) {
			err = ao.Errorf(ao.CodeNotFound, "process %s is not known to this node", process)
		}
		return answer, err
	}
	found, err := n.findCheckpoints(ctx, process)
	if err != nil {
		return answer, err
	}
	answer = CheckpointList{Checkpoints: found.list, Unreached: found.unreached}
	judged := 0
	for i := range answer.Checkpoints {
		info := &answer.Checkpoints[i]
		switch {
		case info.Why != "":
		case !n.trusts(info.Owner):
			info.Why = "its owner is not trusted: --trust-checkpoints names owners"
		case judged == checkpointsJudged:
			info.Why = fmt.Sprintf("not looked at: there are %d newer ones", checkpointsJudged)
		default:
			judged++
			_, err := n.judge(ctx, process, *info, found.items[info.ID])
			switch {
			case err != nil:
				info.Why = err.Error()
			case info.StateRoot.IsZero():
				info.Why = "it has no state root: only its owner's word is for the state"
			}
			info.Trusted = err == nil
		}
	}
	return answer, ctx.Err()
}

// foundCheckpoints are checkpoints of one process, the highest nonce first. Of those
// that are none, Why says why.
type foundCheckpoints struct {
	list      []CheckpointInfo
	items     map[ao.ID]func() (*dataitem.Item, error)
	unreached map[string]string
}

// findCheckpoints lists what this node's gateway and the others have.
func (n *Node) findCheckpoints(ctx context.Context, process ao.ID) (found foundCheckpoints, err error) {
	found = foundCheckpoints{list: []CheckpointInfo{}, items: map[ao.ID]func() (*dataitem.Item, error){}, unreached: map[string]string{}}
	for _, s := range n.shelves() {
		list, err := s.list(ctx, process)
		if err != nil {
			if s.gateway == "" || ctx.Err() != nil {
				return found, err
			}
			found.unreached[s.gateway] = err.Error()
		}
		for _, one := range list {
			if found.items[one.ID] == nil {
				found.items[one.ID] = func() (*dataitem.Item, error) { return s.item(ctx, one) }
				info := CheckpointInfo{ID: one.ID, Owner: one.Owner, Bytes: one.DataBytes, Gateway: s.gateway}
				if info.Checkpoint, err = settlement.ParseCheckpoint(one.Tags); err != nil {
					info.Why = err.Error()
				}
				found.list = append(found.list, info)
			}
		}
	}
	slices.SortStableFunc(found.list, func(a, b CheckpointInfo) int { return cmp.Compare(b.Nonce, a.Nonce) })
	return found, nil
}

// trusts reports whether an owner's checkpoints may be believed if they hold. This
// node's own are.
func (n *Node) trusts(owner string) bool {
	return owner == dataitem.AddressOf(n.authority.Owner()).String() || slices.Contains(n.options.TrustCheckpoints, owner)
}

// judge says why a checkpoint is not to be believed, or gives its memory. What costs
// least is looked at first.
func (n *Node) judge(ctx context.Context, process ao.ID, info CheckpointInfo, item func() (*dataitem.Item, error)) ([]byte, error) {
	entry, err := n.log.Read(ctx, process, info.Nonce)
	if errors.Is(err, aolog.ErrEntryUnknown) {
		return nil, fmt.Errorf("the log does not reach nonce %d", info.Nonce)
	}
	if err != nil {
		return nil, err
	}
	if err := info.Agrees(entry); err != nil {
		return nil, err
	}
	module, err := n.moduleOf(ctx, process)
	if err == nil && module != info.Module {
		err = fmt.Errorf("it is of module %s, and the process runs %s", info.Module, module)
	}
	if err != nil {
		return nil, err
	}
	it, err := item()
	if err == nil && it.OwnerAddress().String() != info.Owner {
		err = fmt.Errorf("it is signed by %s", it.OwnerAddress())
	}
	if err != nil {
		return nil, err
	}
	// What is signed counts, and not what a gateway shows.
	signed, err := settlement.ParseCheckpoint(it.Tags)
	if err != nil || signed != info.Checkpoint {
		return nil, fmt.Errorf("the gateway shows other tags than are signed")
	}
	memory, err := signed.Memory(it.Data, checkpointBytesMax)
	if err != nil {
		return nil, err
	}
	return memory, n.judgeState(ctx, signed, memory)
}

// judgeState compares the root of the state that a memory makes with the one that
// was signed, and with this node's own if it has come so far. A checkpoint of the
// reference says nothing of a root.
func (n *Node) judgeState(ctx context.Context, c settlement.Checkpoint, memory []byte) error {
	if c.StateRoot.IsZero() {
		return nil
	}
	if err := c.CheckState(memory); err != nil {
		return err
	}
	if evaluated, ok := n.engine.Evaluated(c.Process); !ok || evaluated < c.Nonce {
		return nil
	}
	own, err := n.engine.RootAt(ctx, c.Process, c.Nonce, 0)
	if err == nil && own.Root != c.StateRoot {
		err = fmt.Errorf("its state has the root %s, and this node's own at nonce %d has %s", c.StateRoot, c.Nonce, own.Root)
	}
	return err
}

func (n *Node) serveCheckpoints(w http.ResponseWriter, r *http.Request) {
	process, err := ao.ParseID(r.URL.Query().Get("process"))
	if err != nil {
		err = ao.Errorf(ao.CodeInvalid, "name a process: %w", err)
	} else {
		err = local(r, "unpacking checkpoints to judge them")
	}
	var list CheckpointList
	if err == nil {
		list, err = n.Checkpoints(r.Context(), process)
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, list)
}

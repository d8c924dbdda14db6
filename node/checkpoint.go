package node

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aohttp "github.com/wallaby-ao/wallaby/http"
	"github.com/wallaby-ao/wallaby/settlement"
	"github.com/wallaby-ao/wallaby/vm/stateroot"
)

// PathCheckpoint, for operators, makes a checkpoint of a process (process=ID) and
// uploads it if that is wanted (upload=true). It answers with a MadeCheckpoint.
const PathCheckpoint = "/wallaby/admin/checkpoint"

// MadeCheckpoint is a checkpoint of this node.
type MadeCheckpoint struct {
	ID      ao.ID  `json:"id"`
	Process ao.ID  `json:"process"`
	Nonce   uint64 `json:"nonce"`
	AtMS    int64  `json:"at"`
	Bytes   int    `json:"bytes"` // packed
	// StateRoot is the root of the state that it is of.
	StateRoot ao.ID `json:"stateRoot"`
	// Upload is how far it has come on the weave; "": it is at this node's gateway
	// only.
	Upload settlement.ExtraState `json:"upload,omitempty"`
}

// checkpointPeriod is how long after one checkpoint the next may be made of a
// process: it costs its readers more than the replay of a few messages.
const checkpointPeriod = 30 * time.Minute

func checkpointKey(process ao.ID) string { return "checkpoint/" + process.String() }

// Checkpoint packs and signs a process's state behind the newest message that is
// evaluated, puts it into this node's gateway and has it uploaded if that is
// wanted. Of one nonce there is one checkpoint, which can be uploaded later.
func (n *Node) Checkpoint(ctx context.Context, process ao.ID, upload bool) (MadeCheckpoint, error) {
	n.checkpointing.Lock()
	defer n.checkpointing.Unlock()
	uploads := n.uploads.Load()
	if upload && uploads == nil {
		return MadeCheckpoint{}, ao.Errorf(ao.CodeConflict, "this node settles nowhere: start it with --settle-to URL to upload checkpoints")
	}
	nonce, ok := n.engine.Evaluated(process)
	if !ok {
		return MadeCheckpoint{}, ao.Errorf(ao.CodeNotFound, "process %s has not been evaluated here", process)
	}
	made, known, err := n.madeCheckpoint(process)
	if err != nil {
		return made, err
	}
	since := n.options.Now().Sub(time.UnixMilli(made.AtMS))
	switch {
	case known && made.Nonce == nonce:
	case known && since < checkpointPeriod:
		return made, ao.Errorf(ao.CodeRateLimited, "a checkpoint of %s was made %s ago, at nonce %d: there is at most one in %s",
			process, since.Round(time.Second), made.Nonce, checkpointPeriod)
	default:
		if made, err = n.makeCheckpoint(ctx, process, nonce); err != nil {
			return made, err
		}
	}
	if upload {
		err = uploads.Enqueue(made.ID)
	}
	if err == nil && uploads != nil {
		var extra settlement.Extra
		extra, _, err = uploads.Extra(made.ID)
		made.Upload = extra.State
	}
	return made, err
}

// madeCheckpoint gives the newest checkpoint that this node made of a process.
func (n *Node) madeCheckpoint(process ao.ID) (made MadeCheckpoint, known bool, err error) {
	b, err := settlementStore{n.state.DB}.Get(checkpointKey(process))
	if err != nil || b == nil {
		return made, false, err
	}
	return made, true, json.Unmarshal(b, &made)
}

func (n *Node) makeCheckpoint(ctx context.Context, process ao.ID, nonce uint64) (made MadeCheckpoint, err error) {
	entry, err := n.log.Read(ctx, process, nonce)
	if err != nil {
		return made, err
	}
	module, err := n.moduleOf(ctx, process)
	if err != nil {
		return made, err
	}
	own, err := n.engine.RootAt(ctx, process, nonce, 0)
	if err != nil {
		return made, err
	}
	state, err := n.engine.StateAt(ctx, process, nonce, 0)
	if err != nil {
		return made, err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	var parts stateroot.State
	if err := state.Snapshot(&parts); err != nil {
		return made, err
	}
	root := parts.Root()
	if root != own.Root {
		return made, fmt.Errorf("the state of %s at nonce %d has the root %s, and had %s: wallaby replay shows where they part", process, nonce, root, own.Root)
	}
	unit, err := n.unit()
	if err != nil {
		return made, err
	}
	checkpoint := settlement.Checkpoint{
		Process: process, Module: module, Nonce: nonce, Epoch: entry.Epoch, TimestampMS: entry.TimestampMS, BlockHeight: entry.BlockHeight,
		Assignment: entry.ID, HashChain: entry.HashChain, Unit: unit, StateRoot: root, Fingerprint: own.Fingerprint,
		Sections: settlement.EncodeSections(parts.Sections),
	}
	write := func(w io.Writer) error { _, err := state.WriteTo(w); return err }
	item, err := settlement.NewCheckpoint(checkpoint, write, n.authority)
	if err != nil {
		return made, err
	}
	if _, err := n.gateway.PutVerified(ctx, item); err != nil {
		return made, err
	}
	made = MadeCheckpoint{
		ID: item.ID(), Process: process, Nonce: nonce, AtMS: n.options.Now().UnixMilli(), Bytes: len(item.Data), StateRoot: root,
	}
	b, err := json.Marshal(made)
	if err != nil {
		return made, err
	}
	return made, settlementStore{n.state.DB}.Set(checkpointKey(process), b)
}

// moduleOf gives the module that a process of the log was spawned with.
func (n *Node) moduleOf(ctx context.Context, process ao.ID) (ao.ID, error) {
	entry, err := n.log.Read(ctx, process, 0)
	if err != nil {
		return ao.ID{}, err
	}
	item, err := entry.Item()
	if err != nil {
		return ao.ID{}, err
	}
	module, err := ao.ParseID(item.Tags.Get(ao.TagModule))
	if err != nil {
		return module, fmt.Errorf("module of process %s: %w", process, err)
	}
	return module, nil
}

// newUnit names this start of the program, as the reference does: a random UUID.
func newUnit() (string, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("read randomness: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}

func (n *Node) serveCheckpoint(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	process, err := ao.ParseID(query.Get("process"))
	if err != nil {
		err = ao.Errorf(ao.CodeInvalid, "name a process: %w", err)
	}
	var made MadeCheckpoint
	if err == nil {
		made, err = n.Checkpoint(r.Context(), process, query.Get("upload") == "true")
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, made)
}

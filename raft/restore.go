package raft

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	hraft "github.com/hashicorp/raft"

	"github.com/wallaby-ao/wallaby/ao"
)

// tail is how far a node has a group.
type tail struct {
	last, term uint64 // newest entry, newest term that it knows of
}

func (g *group) tail() tail { return tail{g.raft.LastIndex(), g.raft.CurrentTerm()} }

func (t tail) encode(b []byte) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, t.last), t.term)
}

// tailOf asks a node how far it has a group.
func (n *Node) tailOf(ctx context.Context, node string, group uint32) (t tail, err error) {
	b, err := n.options.Transport.Call(ctx, node, callLast, binary.BigEndian.AppendUint32(nil, group))
	if err != nil {
		return t, err
	}
	if len(b) != 16 {
		return t, fmt.Errorf("node %s answered a tail of %d bytes", node, len(b))
	}
	return tail{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}, nil
}

// restoreTimeout bounds how long a lost group is fetched.
const restoreTimeout = 10 * time.Minute

// keyRestoring marks a group of which perhaps only a part is back.
const keyRestoring = "Restoring"

// mustRestore reports whether the group is lost, or only a part of it is back.
func (g *group) mustRestore(exists, othersFormed bool) bool {
	if !slices.Equal(g.planned, []string{g.node.options.Self}) || g.node.alone() {
		return false
	}
	mark, err := g.stable.Get([]byte(keyRestoring))
	return !exists && othersFormed || err == nil && string(mark) == "1"
}

// restore brings back the log of a group whose only voter is this node and was
// lost with its data: the other nodes were sent every entry, but what had not
// reached them yet is gone. That is the price of being solo; cluster repair told
// the operator so before it let this node in again.
func (g *group) restore(store *logStore) error {
	ctx, cancel := context.WithTimeout(g.ctx, restoreTimeout)
	defer cancel()
	var (
		best string
		top  tail
	)
	for _, node := range g.node.memberIDs() {
		if node == g.node.options.Self {
			continue
		}
		t, err := g.node.tailOf(ctx, node, g.id)
		if err != nil {
			g.node.options.Logger.Warn().Err(err).Str("node", node).Uint32("group", g.id).Msg("a node cannot say what it has of this one's lost group")
			continue
		}
		if best == "" || t.last > top.last {
			best, top.last = node, t.last
		}
		top.term = max(top.term, t.term)
	}
	if best == "" {
		return fmt.Errorf("group %d is lost with this node's data, and no other node can be asked for it: start another first", g.id)
	}
	if err := g.stable.Set([]byte(keyRestoring), []byte("1")); err != nil {
		return err
	}
	_, have := g.node.ledger.Bounds(g.id)
	for next := have + 1; next <= top.last; {
		entries, err := g.node.entriesOf(ctx, best, g.id, next)
		if err != nil {
			return fmt.Errorf("get group %d back from node %s: %w", g.id, best, err)
		}
		if err := store.StoreLogs(entries); err != nil {
			return err
		}
		next += uint64(len(entries))
	}
	g.node.options.Logger.Warn().Uint32("group", g.id).Uint64("entries", top.last).Str("node", best).
		Msg("this node's solo group was lost: it is back as far as another node had it")
	if err := g.stable.SetUint64(keyCurrentTerm, top.term+1); err != nil {
		return err
	}
	return g.stable.Set([]byte(keyRestoring), []byte("0"))
}

// entriesRequest asks for a group's entries from an index on.
func entriesRequest(group uint32, from uint64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, group), from)
}

// entriesOf gets some of a group's entries from a node.
func (n *Node) entriesOf(ctx context.Context, node string, group uint32, from uint64) ([]*hraft.Log, error) {
	b, err := n.options.Transport.Call(ctx, node, callEntries, entriesRequest(group, from))
	if err != nil {
		return nil, err
	}
	request, err := decodeAppendEntries(b)
	if err != nil {
		return nil, err
	}
	if len(request.Entries) == 0 || request.Entries[0].Index != from {
		return nil, fmt.Errorf("node %s does not have entry %d", node, from)
	}
	return request.Entries, nil
}

// entriesBytesMax bounds one answer with entries.
const entriesBytesMax = 4 << 20

// answerEntries gives a group's entries from an index on, as many as one answer
// takes.
func (n *Node) answerEntries(_ context.Context, _ string, body []byte) ([]byte, error) {
	if len(body) != 12 {
		return nil, ao.Errorf(ao.CodeInvalid, "a request for entries of %d bytes", len(body))
	}
	group, from := binary.BigEndian.Uint32(body), binary.BigEndian.Uint64(body[4:])
	_, last := n.ledger.Bounds(group)
	answer := &hraft.AppendEntriesRequest{}
	for index, size := max(from, 1), 0; index <= last && size < entriesBytesMax; index++ {
		record, _, err := n.ledger.Record(group, index)
		if err != nil {
			return nil, err
		}
		entry := new(hraft.Log)
		if err := decodeLog(record, entry); err != nil {
			return nil, err
		}
		answer.Entries = append(answer.Entries, entry)
		size += len(entry.Data)
	}
	return encodeAppendEntries(answer), nil
}

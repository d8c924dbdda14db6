package node

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// PathAuthorities answers with the AuthoritiesInfo of a process (process=ID), with
// a page of the pushes that wait (after=PUSH, limit=N).
const PathAuthorities = "/wallaby/authorities"

// AuthoritiesInfo says whose pushes a process takes.
type AuthoritiesInfo struct {
	Process ao.ID `json:"process"`
	// Quorum is how many of how many authorities must have delivered a push, K/N;
	// "": the process itself decides about each.
	Quorum      string          `json:"quorum,omitempty"`
	Authorities []AuthorityInfo `json:"authorities"`
	// Waiting are pushes that too few have delivered. After is for the next page,
	// "" at the end.
	Waiting []WaitingPush `json:"waiting"`
	After   string        `json:"after,omitempty"`
}

// AuthorityInfo is one authority.
type AuthorityInfo struct {
	Address string `json:"address"`
	// Who says what this node knows of it, "" if nothing.
	Who string `json:"who,omitempty"`
}

// WaitingPush is a push that waits for more authorities.
type WaitingPush struct {
	Push    ao.ID    `json:"push"`  // names what it says
	Nonce   uint64   `json:"nonce"` // of the first delivery
	Message ao.ID    `json:"message"`
	From    string   `json:"from,omitempty"`
	Action  string   `json:"action,omitempty"`
	By      []string `json:"by"` // who delivered it
}

const waitingLimitMax = 1000

// authoritiesOf reads whom a process trusts from the first entry of its log.
func authoritiesOf(first aolog.Entry) (ao.Authorities, error) {
	item, err := first.Item()
	if err != nil {
		return ao.Authorities{}, err
	}
	return ao.ReadAuthorities(item.Tags)
}

// Authorities says whose pushes a process takes, and which wait.
func (n *Node) Authorities(ctx context.Context, process, after ao.ID, limit int) (info AuthoritiesInfo, err error) {
	entry, err := n.log.Linearizable().Read(ctx, process, 0)
	if err != nil {
		return info, ao.Errorf(ao.CodeNotFound, "process %s is not known to this scheduler: %w", process, err)
	}
	a, err := authoritiesOf(entry)
	if err != nil {
		return info, err
	}
	info = AuthoritiesInfo{Process: process, Authorities: []AuthorityInfo{}, Waiting: []WaitingPush{}}
	known := n.knownAuthorities(ctx)
	for i, address := range a.Addresses {
		shown := AuthorityInfo{Address: address}
		for _, one := range known {
			if a.Is(i, one.address) || a.Is(i, one.hashed) {
				shown.Who = one.who
			}
		}
		info.Authorities = append(info.Authorities, shown)
	}
	if a.Quorum == 0 {
		return info, nil
	}
	info.Quorum = fmt.Sprintf("%d/%d", a.Quorum, len(a.Addresses))
	waiting, err := n.engine.WaitingPushes(process, a, after, limit)
	if err != nil {
		return info, err
	}
	for _, push := range waiting {
		shown, err := n.waitingPush(ctx, process, push)
		if err != nil {
			return info, err
		}
		info.Waiting = append(info.Waiting, shown)
	}
	if len(waiting) == limit {
		info.After = waiting[limit-1].Key.String()
	}
	return info, nil
}

// waitingPush says what a push is about, as far as the log has it.
func (n *Node) waitingPush(ctx context.Context, process ao.ID, push engine.WaitingPush) (shown WaitingPush, err error) {
	shown = WaitingPush{Push: push.Key, Nonce: push.Nonce, By: push.By}
	entry, err := n.log.Read(ctx, process, push.Nonce)
	if err != nil {
		return shown, err
	}
	if shown.Message = entry.Message; entry.IsBare() {
		return shown, nil
	}
	item, err := entry.Item()
	if err != nil {
		return shown, err
	}
	shown.From, shown.Action = item.Tags.Get(ao.TagFromProcess), item.Tags.Get("Action")
	return shown, nil
}

// knownAuthority is a key that this node knows something of, in both forms of its
// address.
type knownAuthority struct{ address, hashed, who string }

func (n *Node) knownAuthorities(ctx context.Context) []knownAuthority {
	messenger := knownAuthority{n.AuthorityAddress(), dataitem.AddressOf(n.authority.Owner()).String(), "the messenger of this node"}
	if n.transport == nil {
		return []knownAuthority{messenger}
	}
	messenger.who = "the messenger that all nodes of this cluster are"
	known := []knownAuthority{messenger}
	for _, node := range n.ClusterStatus(ctx).Nodes {
		if !node.Operator.IsZero() {
			known = append(known, knownAuthority{node.OperatorAddress, node.Operator.String(), "node " + node.ID})
		}
	}
	return known
}

func (n *Node) serveAuthorities(w http.ResponseWriter, r *http.Request) {
	info, err := n.answerAuthorities(r)
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, info)
}

func (n *Node) answerAuthorities(r *http.Request) (info AuthoritiesInfo, err error) {
	query := r.URL.Query()
	process, err := ao.ParseID(query.Get("process"))
	if err != nil {
		return info, ao.Errorf(ao.CodeInvalid, "name a process: %w", err)
	}
	var after ao.ID
	if text := query.Get("after"); text != "" {
		if after, err = ao.ParseID(text); err != nil {
			return info, ao.Errorf(ao.CodeInvalid, "after: %w", err)
		}
	}
	limit := waitingLimitMax
	if text := query.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 {
			return info, ao.Errorf(ao.CodeInvalid, "limit %q is not a number from 1 on", text)
		}
	}
	return n.Authorities(r.Context(), process, after, min(limit, waitingLimitMax))
}

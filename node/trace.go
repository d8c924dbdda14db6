package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// PathTrace answers with the Trace of a message, an assignment, a process or an
// effect (id=ID, depth=N), or of the message it descends from (root=true).
const PathTrace = "/wallaby/trace"

// Trace is what became of a message, and of all that it caused.
type Trace struct {
	Node    string       `json:"node,omitempty"` // that answers; "" when it is alone
	Message TraceMessage `json:"message"`
	// Cut says that there is more than is shown.
	Cut bool `json:"cut,omitempty"`
}

// TraceMessage is a message with what it caused.
type TraceMessage struct {
	ID     ao.ID  `json:"id"`
	Kind   string `json:"kind"` // process, message, assignment of what is elsewhere, or tick of a cron, whose ID is its process's
	Action string `json:"action,omitempty"`
	Name   string `json:"name,omitempty"` // of a process
	From   string `json:"from,omitempty"` // the process that sent it, else the wallet
	// Reply says that it goes back to where the message came from that caused it.
	Reply     bool             `json:"reply,omitempty"`
	Scheduled *TracePlace      `json:"scheduled,omitempty"`
	Evaluated *TraceEvaluation `json:"evaluated,omitempty"` // null: not yet
	Effects   []TraceEffect    `json:"effects,omitempty"`
	// Elsewhere says where it is when this node's log does not have it.
	Elsewhere string `json:"elsewhere,omitempty"`
	// Cut says why there is more than is shown.
	Cut string `json:"cut,omitempty"`
}

// TracePlace is a place in a process's log.
type TracePlace struct {
	Process    ao.ID  `json:"process"`
	Nonce      uint64 `json:"nonce"`
	Tick       uint64 `json:"tick,omitempty"` // of a cron behind the nonce
	Epoch      uint64 `json:"epoch"`
	Assignment ao.ID  `json:"assignment"`
	TimeMS     int64  `json:"timeMs"`
	// Group orders the process now, and Leader leads it; only in a cluster.
	Group  uint32 `json:"group,omitempty"`
	Leader string `json:"leader,omitempty"`
}

// TraceEvaluation is what evaluating a message gave on the node that answers.
type TraceEvaluation struct {
	Node    string          `json:"node,omitempty"`
	TimeMS  int64           `json:"timeMs,omitempty"` // 0: not known
	GasUsed *uint64         `json:"gasUsed,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// TraceEffect is something that an evaluation sent, with what that caused.
type TraceEffect struct {
	OutboxEffect
	Caused []TraceMessage `json:"caused,omitempty"`
}

// The bounds of a trace.
const (
	TraceDepth       = 8 // unless somebody asks for more
	traceDepthMax    = 64
	traceMessagesMax = 500
	traceEffectsMax  = 100 // of one message
)

func (n *Node) serveTrace(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	depth, err := TraceDepth, error(nil)
	if text := query.Get("depth"); text != "" {
		if depth, err = strconv.Atoi(text); err != nil || depth < 0 || depth > traceDepthMax {
			err = ao.Errorf(ao.CodeInvalid, "depth %q is not a number from 0 to %d", text, traceDepthMax)
		}
	}
	var trace Trace
	if err == nil {
		trace, err = n.Trace(r.Context(), query.Get("id"), depth, query.Get("root") == "true")
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, trace)
}

// Trace follows a message, an assignment, a process or an effect, or the message
// that it descends from, through this node's log and outbox.
func (n *Node) Trace(ctx context.Context, text string, depth int, root bool) (Trace, error) {
	at, only, err := n.resolve(ctx, text)
	if err == nil && root {
		if at, err = n.rootOf(ctx, at); err == nil {
			only = nil
		}
	}
	if err != nil {
		return Trace{}, err
	}
	t := tracing{node: n, seen: map[place]bool{}}
	message, err := t.message(ctx, at, only, depth)
	return Trace{Node: n.self(), Message: message, Cut: t.cut}, err
}

// self is this node's id in its cluster, "" when it is alone.
func (n *Node) self() string {
	if n.options.Cluster == nil {
		return ""
	}
	return n.options.Cluster.Self
}

// place is where a message stands.
type place struct {
	process ao.ID
	nonce   uint64
	tick    uint64 // of a cron behind the nonce
}

// resolve finds the place that a text is about, and for an effect which one.
func (n *Node) resolve(ctx context.Context, text string) (at place, only *engine.EffectKey, err error) {
	if strings.Contains(text, "/") {
		key, err := engine.ParseEffectKey(text)
		if err == nil {
			_, _, err = n.engine.Outbox().Get(key)
		}
		return place{key.Process, key.Nonce, key.Tick}, &key, err
	}
	id, err := ao.ParseID(text)
	if err != nil {
		return at, nil, ao.Errorf(ao.CodeInvalid, "name a message, an assignment, a process or an effect: %w", err)
	}
	at, err = n.locate(ctx, id)
	if errors.Is(err, aolog.ErrEntryUnknown) {
		err = ao.Errorf(ao.CodeNotFound, "%s is no message, assignment or process of this node's log", id)
	}
	return at, nil, err
}

// locate finds a message, an assignment or a process.
func (n *Node) locate(ctx context.Context, id ao.ID) (place, error) {
	process, nonce, err := n.log.Locate(ctx, id)
	if !errors.Is(err, aolog.ErrEntryUnknown) {
		return place{process: process, nonce: nonce}, err
	}
	if _, headErr := n.log.Head(ctx, id); headErr == nil {
		return place{process: id}, nil
	}
	return place{}, err
}

// rootOf finds the message of a user that a message descends from.
func (n *Node) rootOf(ctx context.Context, at place) (place, error) {
	entry, err := n.log.Read(ctx, at.process, at.nonce)
	if err != nil || entry.IsBare() || at.tick > 0 {
		return at, err
	}
	item, err := entry.Item()
	if err != nil {
		return at, err
	}
	root, err := ao.ParseID(item.Tags.Get(ao.TagPushedFor))
	if err != nil {
		return at, nil // it is one itself
	}
	at, err = n.locate(ctx, root)
	if errors.Is(err, aolog.ErrEntryUnknown) {
		err = ao.Errorf(ao.CodeNotFound, "its root %s is not in this node's log: leave out root", root)
	}
	return at, err
}

// tracing is a trace in hand.
type tracing struct {
	node  *Node
	seen  map[place]bool
	cut   bool
	shown int
}

// message gives a message with what it caused, so many levels deep; only limits it
// to one effect.
func (t *tracing) message(ctx context.Context, at place, only *engine.EffectKey, depth int) (m TraceMessage, err error) {
	t.shown++
	entry, err := t.node.log.Read(ctx, at.process, at.nonce)
	if err != nil {
		return m, err
	}
	origin, err := m.describe(entry)
	if err != nil {
		return m, err
	}
	m.Scheduled = t.node.tracePlace(entry)
	if at.tick > 0 {
		m = TraceMessage{ID: at.process, Kind: "tick", Scheduled: m.Scheduled}
		m.Scheduled.Tick, origin = at.tick, nil
	}
	if t.seen[at] {
		m.Cut = "it is shown above"
		return m, nil
	}
	t.seen[at] = true
	evaluation, atMS, ok, err := t.node.engine.StoredTick(at.process, at.nonce, at.tick)
	if err != nil || !ok {
		return m, err
	}
	if at.tick > 0 {
		m.Action, m.Scheduled.TimeMS = evaluation.Cron, evaluation.TimestampMS
	}
	m.Evaluated = &TraceEvaluation{Node: t.node.self(), TimeMS: atMS, GasUsed: evaluation.Result.GasUsed, Error: evaluation.Result.Error}
	effects, states, err := t.node.engine.Outbox().Effects(engine.EffectKey{Process: at.process, Nonce: at.nonce, Tick: at.tick})
	if err != nil {
		return m, err
	}
	for i, effect := range effects {
		if only != nil && effect.Key() != *only {
			continue
		}
		if i >= traceEffectsMax && only == nil {
			t.cut, m.Cut = true, fmt.Sprintf("it sent %d more", len(effects)-i)
			break
		}
		shown := TraceEffect{OutboxEffect: outboxEffect(effect, states[i])}
		for _, id := range effect.Delivered {
			caused, err := t.caused(ctx, id, effect, origin, depth)
			if err != nil {
				return m, err
			}
			shown.Caused = append(shown.Caused, caused)
		}
		m.Effects = append(m.Effects, shown)
	}
	return m, nil
}

// caused follows what an effect delivered. origin is where the message came from
// that sent it.
func (t *tracing) caused(ctx context.Context, id ao.ID, effect engine.Effect, origin []string, depth int) (m TraceMessage, err error) {
	target := targetOf(effect)
	at, err := t.node.locate(ctx, id)
	switch {
	case errors.Is(err, aolog.ErrEntryUnknown):
		m = TraceMessage{ID: id, Kind: string(effect.Kind)}
		m.Elsewhere, err = t.node.elsewhere(ctx, target), nil
	case err != nil:
	case depth == 0 || t.shown >= traceMessagesMax:
		t.cut = true
		m = TraceMessage{ID: id, Kind: string(effect.Kind), Cut: "more follows: trace it with its own id"}
	default:
		m, err = t.message(ctx, at, nil, depth-1)
	}
	for _, address := range origin {
		m.Reply = m.Reply || effect.Kind == engine.EffectMessage && target == address
	}
	return m, err
}

// elsewhere says where something is that was delivered and is not in this log.
func (n *Node) elsewhere(ctx context.Context, target string) string {
	id, err := ao.ParseID(target)
	switch {
	case err != nil && strings.HasPrefix(target, "0x"):
		return "uploaded for wallet " + target
	case err != nil:
		return "it is not in this node's log"
	}
	if _, err := n.log.Head(ctx, id); err == nil {
		return fmt.Sprintf("process %s had it already, under another id", target)
	}
	switch scheduler, err := n.courier.SchedulerOf(ctx, id); {
	case err != nil:
		return fmt.Sprintf("it is not in this node's log, and what %s is cannot be told now: %v", target, err)
	case scheduler != "":
		return fmt.Sprintf("process %s is ordered by scheduler %s: ask there", target, scheduler)
	}
	return "uploaded for wallet " + target
}

// describe says what an entry is, and gives the forms of the address that its
// message came from.
func (m *TraceMessage) describe(entry aolog.Entry) (origin []string, err error) {
	m.ID, m.Kind = entry.Message, "message"
	if entry.Nonce == 0 {
		m.ID, m.Kind = entry.Process, "process"
	}
	if entry.IsBare() {
		m.Kind = "assignment"
		return nil, nil
	}
	item, err := entry.Item()
	if err != nil {
		return nil, err
	}
	m.Action = item.Tags.Get("Action")
	if m.Kind == "process" {
		m.Name = item.Tags.Get("Name")
	}
	m.From = item.Address()
	origin = []string{m.From, item.OwnerAddress().String()}
	if process, ok := item.Tags.Lookup(ao.TagFromProcess); ok {
		m.From, origin = process, []string{process}
	}
	return origin, nil
}

func (n *Node) tracePlace(entry aolog.Entry) *TracePlace {
	p := &TracePlace{
		Process: entry.Process, Nonce: entry.Nonce, Epoch: entry.Epoch, Assignment: entry.ID, TimeMS: entry.TimestampMS,
	}
	if n.options.Cluster != nil {
		if sequencing, err := n.log.Sequencing(entry.Process); err == nil {
			p.Group, p.Leader = sequencing.Group, sequencing.Leader
		}
	}
	return p
}

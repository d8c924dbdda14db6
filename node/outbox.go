package node

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// PathOutbox lists a node's effects (process=ID, root=ID, state=pending|parked|dead|
// dropped|done, after=EFFECT, limit=N) as an OutboxPage, or gives one (effect=EFFECT)
// as an OutboxEffect. PathParked lists what is parked as []ParkedCascade.
const (
	PathOutbox = "/wallaby/outbox"
	PathParked = "/wallaby/outbox/parked"
)

// OutboxEffect is something that a process has sent and what has become of it.
type OutboxEffect struct {
	Effect    string          `json:"effect"` // PROCESS/NONCE/INDEX
	Kind      string          `json:"kind"`   // message, spawn or assign
	State     string          `json:"state"`
	Target    string          `json:"target,omitempty"`
	Root      string          `json:"root,omitempty"` // the user's message it descends from
	Attempts  int             `json:"attempts,omitempty"`
	TimeMS    int64           `json:"timeMs,omitempty"` // of the last attempt
	Node      string          `json:"node,omitempty"`   // that made it; "" when it is alone
	NextMS    int64           `json:"nextMs,omitempty"` // of the next attempt
	Error     string          `json:"error,omitempty"`  // of the last attempt
	Parked    string          `json:"parked,omitempty"` // why it may not be tried
	Delivered []ao.ID         `json:"delivered,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"` // the process's own words; of one effect only
}

// OutboxPage is a part of a list; After is for the next one, "" at the end.
type OutboxPage struct {
	Effects []OutboxEffect `json:"effects"`
	After   string         `json:"after,omitempty"`
}

// ParkedCascade is what one message has caused and may not cause on.
type ParkedCascade struct {
	// Root is the message; when Rootless is set, the process that sends on its own
	// account.
	Root     ao.ID  `json:"root"`
	Rootless bool   `json:"rootless,omitempty"`
	Effects  int    `json:"effects"`
	Reason   string `json:"reason"`
}

const outboxLimitMax = 1000

func outboxEffect(effect engine.Effect, state engine.EffectState) OutboxEffect {
	shown := OutboxEffect{
		Effect: effect.Key().String(), Kind: string(effect.Kind), State: string(state), Target: targetOf(effect),
		Attempts: effect.Attempts, TimeMS: effect.TimeMS, Node: effect.Node,
		NextMS: effect.NextMS, Error: effect.Error, Parked: effect.Parked, Delivered: effect.Delivered,
	}
	if !effect.Root.IsZero() {
		shown.Root = effect.Root.String()
	}
	return shown
}

// targetOf gives whom an effect is for, in the process's own words: "" for a spawn.
func targetOf(effect engine.Effect) string {
	var body struct {
		Target    string
		Processes []string
	}
	_ = json.Unmarshal(effect.Body, &body) // what is no message has no target
	switch {
	case effect.Kind == engine.EffectSpawn:
		return ""
	case effect.Kind == engine.EffectAssign && len(body.Processes) == 1:
		return body.Processes[0]
	}
	return body.Target
}

func (n *Node) serveOutbox(w http.ResponseWriter, r *http.Request) {
	var answer any
	var err error
	if text := r.URL.Query().Get("effect"); text != "" {
		answer, err = n.oneEffect(text)
	} else {
		answer, err = n.listEffects(r)
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, answer)
}

func (n *Node) oneEffect(text string) (OutboxEffect, error) {
	key, err := engine.ParseEffectKey(text)
	if err != nil {
		return OutboxEffect{}, err
	}
	effect, state, err := n.engine.Outbox().Get(key)
	if err != nil {
		return OutboxEffect{}, err
	}
	shown := outboxEffect(effect, state)
	shown.Body = effect.Body
	return shown, nil
}

func (n *Node) listEffects(r *http.Request) (page OutboxPage, err error) {
	query := r.URL.Query()
	q := engine.OutboxQuery{State: engine.EffectState(query.Get("state")), Limit: outboxLimitMax}
	if q.State == "" {
		q.State = engine.EffectPending
	}
	if q.Process, err = optionalID(query, "process"); err != nil {
		return page, err
	}
	if q.Cascade, err = optionalID(query, "root"); err != nil {
		return page, err
	}
	if text := query.Get("after"); text != "" {
		if q.After, err = engine.ParseEffectKey(text); err != nil {
			return page, err
		}
	}
	if text := query.Get("limit"); text != "" {
		limit, err := strconv.Atoi(text)
		if err != nil || limit < 1 {
			return page, ao.Errorf(ao.CodeInvalid, "limit %q is not a number from 1 on", text)
		}
		q.Limit = min(limit, outboxLimitMax)
	}
	effects, err := n.engine.Outbox().List(r.Context(), q)
	page.Effects = []OutboxEffect{}
	for _, effect := range effects {
		page.Effects = append(page.Effects, outboxEffect(effect, q.State))
	}
	if len(effects) == q.Limit {
		page.After = effects[len(effects)-1].Key().String()
	}
	return page, err
}

// optionalID reads an id of a query; zero when it is not there.
func optionalID(query url.Values, name string) (id ao.ID, err error) {
	text := query.Get(name)
	if text == "" {
		return id, nil
	}
	if id, err = ao.ParseID(text); err != nil {
		return id, ao.Errorf(ao.CodeInvalid, "%s: %w", name, err)
	}
	return id, nil
}

func (n *Node) serveParked(w http.ResponseWriter, _ *http.Request) {
	list := []ParkedCascade{}
	for _, c := range n.engine.Outbox().Cascades() {
		list = append(list, ParkedCascade{Root: c.Cascade, Rootless: c.Rootless, Effects: c.Parked, Reason: c.Reason})
	}
	answerJSON(w, list)
}

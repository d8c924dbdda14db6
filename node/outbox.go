package node

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// PathOutbox lists a node's effects (process=ID, state=pending|dead|dropped|done,
// after=EFFECT, limit=N) as an OutboxPage, or gives one (effect=EFFECT) as an
// OutboxEffect. The other paths are for operators and act on a dead effect
// (effect=EFFECT), or on all of a process or of all processes (all=true,
// process=ID), and answer with an OutboxChange.
const (
	PathOutbox        = "/wallaby/outbox"
	PathRedriveEffect = "/wallaby/admin/redrive-effect"
	PathDropEffect    = "/wallaby/admin/drop-effect"
)

// OutboxEffect is something that a process has sent and what has become of it.
type OutboxEffect struct {
	Effect    string          `json:"effect"` // PROCESS/NONCE/INDEX
	Kind      string          `json:"kind"`   // message, spawn or assign
	State     string          `json:"state"`
	Target    string          `json:"target,omitempty"`
	Root      string          `json:"root,omitempty"` // the user's message it descends from
	Attempts  int             `json:"attempts,omitempty"`
	NextMS    int64           `json:"nextMs,omitempty"` // of the next attempt
	Error     string          `json:"error,omitempty"`  // of the last attempt
	Delivered []ao.ID         `json:"delivered,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"` // the process's own words; of one effect only
}

// OutboxPage is a part of a list; After is for the next one, "" at the end.
type OutboxPage struct {
	Effects []OutboxEffect `json:"effects"`
	After   string         `json:"after,omitempty"`
}

// OutboxChange counts what was redriven or dropped.
type OutboxChange struct {
	Changed int `json:"changed"`
}

const outboxLimitMax = 1000

func outboxEffect(effect engine.Effect, state engine.EffectState) OutboxEffect {
	var body struct {
		Target    string
		Processes []string
	}
	_ = json.Unmarshal(effect.Body, &body) // what is no message has no target
	if body.Target == "" && len(body.Processes) == 1 {
		body.Target = body.Processes[0]
	}
	shown := OutboxEffect{
		Effect: effect.Key().String(), Kind: string(effect.Kind), State: string(state), Target: body.Target,
		Attempts: effect.Attempts, NextMS: effect.NextMS, Error: effect.Error, Delivered: effect.Delivered,
	}
	if !effect.Root.IsZero() {
		shown.Root = effect.Root.String()
	}
	return shown
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
	if q.Process, err = processOf(query.Get("process")); err != nil {
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

// processOf reads a process's id; "" means all.
func processOf(text string) (process ao.ID, err error) {
	if text == "" {
		return process, nil
	}
	if process, err = ao.ParseID(text); err != nil {
		return process, ao.Errorf(ao.CodeInvalid, "process: %w", err)
	}
	return process, nil
}

func (n *Node) serveRedriveEffect(w http.ResponseWriter, r *http.Request) {
	n.serveEffectChange(w, r, n.engine.Outbox().Redrive)
}

func (n *Node) serveDropEffect(w http.ResponseWriter, r *http.Request) {
	n.serveEffectChange(w, r, n.engine.Outbox().Drop)
}

func (n *Node) serveEffectChange(w http.ResponseWriter, r *http.Request, change func(engine.EffectKey) error) {
	keys, err := n.deadEffects(r)
	var answer OutboxChange
	for _, key := range keys {
		if err == nil {
			err = change(key)
		}
		if err == nil {
			answer.Changed++
		}
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, answer)
}

// deadEffects gives the effects that a request is about, which this node delivers.
func (n *Node) deadEffects(r *http.Request) ([]engine.EffectKey, error) {
	query := r.URL.Query()
	if query.Get("all") != "true" {
		key, err := engine.ParseEffectKey(query.Get("effect"))
		if err != nil {
			return nil, err
		}
		if leader := n.deliverer(key.Process); leader != "" {
			return nil, ao.Errorf(ao.CodeConflict, "node %s delivers what process %s sends: ask it", leader, key.Process)
		}
		return []engine.EffectKey{key}, nil
	}
	q := engine.OutboxQuery{State: engine.EffectDead, Limit: outboxLimitMax}
	var err error
	if q.Process, err = processOf(query.Get("process")); err != nil {
		return nil, err
	}
	var keys []engine.EffectKey
	for {
		page, err := n.engine.Outbox().List(r.Context(), q)
		if err != nil {
			return nil, err
		}
		for _, effect := range page {
			if q.After = effect.Key(); n.deliverer(effect.Process) == "" {
				keys = append(keys, q.After)
			}
		}
		if len(page) < q.Limit {
			return keys, nil
		}
	}
}

// deliverer names another node that delivers what a process sends, if one does.
func (n *Node) deliverer(process ao.ID) string {
	if n.options.Cluster == nil {
		return ""
	}
	if leader := n.log.Leader(process); leader != n.options.Cluster.Self {
		return leader
	}
	return ""
}

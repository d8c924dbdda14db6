package node

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// Paths for operators. The first two act on one effect (effect=EFFECT) or on many
// (all=true, process=ID, root=ID): dead ones are redriven, dead or parked ones
// (state=parked) are dropped. The third makes parked effects pending again (root=ID
// or all=true). In a cluster any node takes them and asks those that deliver. All
// answer with an OutboxChange.
const (
	PathRedriveEffect = "/wallaby/admin/redrive-effect"
	PathDropEffect    = "/wallaby/admin/drop-effect"
	PathResumeCascade = "/wallaby/admin/resume-cascade"
)

// OutboxChange counts what was redriven, dropped or resumed.
type OutboxChange struct {
	Changed int `json:"changed"`
	// Missed names nodes that could not be asked: what they deliver is as it was.
	Missed []string `json:"missed,omitempty"`
}

// outboxOrder is what an operator wants of the nodes.
type outboxOrder struct {
	Do      string             `json:"do"`
	Effect  engine.EffectKey   `json:"effect,omitzero"` // zero: all that fit
	Process ao.ID              `json:"process,omitzero"`
	Cascade ao.ID              `json:"cascade,omitzero"`
	State   engine.EffectState `json:"state,omitempty"`
}

const (
	doRedrive = "redrive"
	doDrop    = "drop"
	doResume  = "resume"
)

func (n *Node) serveRedriveEffect(w http.ResponseWriter, r *http.Request) {
	n.serveOutboxChange(w, r, doRedrive)
}

func (n *Node) serveDropEffect(w http.ResponseWriter, r *http.Request) {
	n.serveOutboxChange(w, r, doDrop)
}

func (n *Node) serveResumeCascade(w http.ResponseWriter, r *http.Request) {
	n.serveOutboxChange(w, r, doResume)
}

func (n *Node) serveOutboxChange(w http.ResponseWriter, r *http.Request, do string) {
	order, err := readOutboxOrder(r, do)
	var change OutboxChange
	if err == nil {
		change, err = n.changeOutbox(r.Context(), order)
	}
	if err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	answerJSON(w, change)
}

func readOutboxOrder(r *http.Request, do string) (order outboxOrder, err error) {
	query := r.URL.Query()
	order = outboxOrder{Do: do, State: engine.EffectDead}
	switch state := engine.EffectState(query.Get("state")); {
	case do == doResume:
		order.State = engine.EffectParked
	case do == doDrop && state == engine.EffectParked:
		order.State = state
	case state != "" && state != engine.EffectDead:
		return order, ao.Errorf(ao.CodeInvalid, "what is %s cannot be chosen here: dead effects are redriven, dead and parked ones are dropped", state)
	}
	if text := query.Get("effect"); text != "" && do != doResume {
		order.Effect, err = engine.ParseEffectKey(text)
		return order, err
	}
	if order.Process, err = optionalID(query, "process"); err != nil {
		return order, err
	}
	if order.Cascade, err = optionalID(query, "root"); err != nil {
		return order, err
	}
	if query.Get("all") != "true" && order.Cascade.IsZero() {
		return order, ao.Errorf(ao.CodeInvalid, "say which: effect=PROCESS/NONCE/INDEX, root=ID or all=true")
	}
	return order, nil
}

// changeOutbox carries an order out at all nodes that it concerns, and sees to it
// that this one knows the outcome.
func (n *Node) changeOutbox(ctx context.Context, order outboxOrder) (change OutboxChange, err error) {
	if order.Effect != (engine.EffectKey{}) {
		change.Changed, err = n.changeEffect(ctx, order)
	} else {
		change, err = n.changeMany(ctx, order)
	}
	if err != nil || n.transport == nil {
		return change, err
	}
	for _, state := range []engine.EffectState{engine.EffectParked, engine.EffectDead} {
		if err := n.reconcile(ctx, state); err != nil {
			n.options.Logger.Debug().Err(err).Msg("what an operator's order changed at other nodes is not known yet")
		}
	}
	return change, nil
}

// changeEffect has the node do it that delivers the effect.
func (n *Node) changeEffect(ctx context.Context, order outboxOrder) (changed int, err error) {
	if _, _, err := n.engine.Outbox().Get(order.Effect); err != nil {
		return 0, err
	}
	process := order.Effect.Process
	if n.log.Leads(process) {
		return n.carryOut(ctx, order)
	}
	if leader := n.deliverer(process); leader != "" {
		return n.askToCarryOut(ctx, leader, order)
	}
	return 0, ao.Errorf(ao.CodeUnavailable, "no node delivers what process %s sends at the moment: try again", process)
}

// changeMany has every node do it with what it delivers.
func (n *Node) changeMany(ctx context.Context, order outboxOrder) (change OutboxChange, err error) {
	if change.Changed, err = n.carryOut(ctx, order); err != nil || n.transport == nil {
		return change, err
	}
	for _, member := range n.log.Members() {
		if member.ID == n.options.Cluster.Self {
			continue
		}
		changed, err := n.askToCarryOut(ctx, member.ID, order)
		if err != nil {
			n.options.Logger.Warn().Err(err).Str("node", member.ID).Msg("an operator's order about the outbox did not reach a node")
			change.Missed = append(change.Missed, member.ID)
		}
		change.Changed += changed
	}
	return change, nil
}

// orderTimeout bounds how long another node may take over an order.
const orderTimeout = 30 * time.Second

func (n *Node) askToCarryOut(ctx context.Context, node string, order outboxOrder) (changed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	body, err := json.Marshal(order)
	if err != nil {
		return 0, err
	}
	answer, err := n.transport.Call(ctx, node, callOutboxOrder, body)
	if err != nil {
		return 0, err
	}
	err = json.Unmarshal(answer, &changed)
	return changed, err
}

func (n *Node) answerOutboxOrder(ctx context.Context, _ string, body []byte) ([]byte, error) {
	var order outboxOrder
	if err := json.Unmarshal(body, &order); err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "an order about the outbox: %w", err)
	}
	changed, err := n.carryOut(ctx, order)
	if err != nil {
		return nil, err
	}
	return json.Marshal(changed)
}

// carryOut does it with what this node delivers.
func (n *Node) carryOut(ctx context.Context, order outboxOrder) (changed int, err error) {
	outbox := n.engine.Outbox()
	change := outbox.Redrive
	switch order.Do {
	case doResume:
		err := n.messenger.Resume(order.Cascade, func() (err error) {
			changed, err = outbox.Resume(ctx, order.Cascade, n.log.Leads)
			return err
		})
		return changed, err
	case doDrop:
		change = outbox.Drop
	}
	if order.Effect != (engine.EffectKey{}) {
		if !n.log.Leads(order.Effect.Process) {
			return 0, ao.Errorf(ao.CodeUnavailable, "another node delivers what process %s sends since a moment ago: try again", order.Effect.Process)
		}
		if err := change(order.Effect); err != nil {
			return 0, err
		}
		return 1, nil
	}
	q := engine.OutboxQuery{Process: order.Process, Cascade: order.Cascade, State: order.State, Limit: outboxLimitMax}
	for {
		page, err := outbox.List(ctx, q)
		if err != nil {
			return changed, err
		}
		for _, effect := range page {
			q.After = effect.Key()
			if !n.log.Leads(effect.Process) {
				continue
			}
			err := change(q.After)
			switch {
			case err == nil:
				changed++
			case ao.CodeOf(err) != ao.CodeConflict: // another was quicker
				return changed, err
			}
		}
		if len(page) < q.Limit {
			return changed, nil
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

package node

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// effectFate is what became of an effect at the node that delivers it.
type effectFate struct {
	State     engine.EffectState `json:"state,omitempty"` // "" when it knows of none
	Attempts  int                `json:"attempts,omitempty"`
	TimeMS    int64              `json:"time,omitempty"`
	Node      string             `json:"node,omitempty"`
	NextMS    int64              `json:"next,omitempty"`
	Error     string             `json:"error,omitempty"`
	Parked    string             `json:"parked,omitempty"`
	Delivered []ao.ID            `json:"delivered,omitempty"`
}

func fateOf(effect engine.Effect, state engine.EffectState) effectFate {
	return effectFate{state, effect.Attempts, effect.TimeMS, effect.Node, effect.NextMS, effect.Error, effect.Parked, effect.Delivered}
}

// tell gives an effect that fate.
func (f effectFate) tell(effect *engine.Effect) {
	effect.Attempts, effect.TimeMS, effect.Node = f.Attempts, f.TimeMS, f.Node
	effect.NextMS, effect.Error, effect.Parked, effect.Delivered = f.NextMS, f.Error, f.Parked, f.Delivered
	effect.Dead, effect.Dropped = f.State == engine.EffectDead || f.State == engine.EffectDropped, f.State == engine.EffectDropped
}

// answerOutbox says what became of effects: a list of keys in, a list of fates
// out. Of what this node has not evaluated yet it knows nothing.
func (n *Node) answerOutbox(_ context.Context, _ string, body []byte) ([]byte, error) {
	var keys []engine.EffectKey
	if err := json.Unmarshal(body, &keys); err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "a list of effects: %w", err)
	}
	fates := make([]effectFate, len(keys))
	for i, key := range keys {
		effect, state, err := n.engine.Outbox().Get(key)
		if ao.CodeOf(err) == ao.CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		fates[i] = fateOf(effect, state)
	}
	return json.Marshal(fates)
}

const (
	// reconcileInterval is how old this node's picture of what others delivered
	// may be: as much is delivered again after a fail-over, and recognised.
	reconcileInterval = 500 * time.Millisecond
	reconcilePage     = 256
	// reconcileWaiting is how many rounds pass before effects that wait for a
	// person are asked for, too.
	reconcileWaiting = 10
)

func (n *Node) reconcileForever(ctx context.Context) {
	ticker := time.NewTicker(reconcileInterval)
	defer ticker.Stop()
	for round := 0; ; round++ {
		select {
		case <-ticker.C:
			states := []engine.EffectState{engine.EffectPending, engine.EffectParked, engine.EffectDead}
			if round%reconcileWaiting != 0 {
				states = states[:1]
			}
			for _, state := range states {
				if err := n.reconcile(ctx, state); err != nil && ctx.Err() == nil {
					n.options.Logger.Debug().Err(err).Msg("what other nodes delivered is not known yet")
				}
			}
		case <-ctx.Done():
			return
		}
	}
}

// reconcile learns from the leaders of the groups what has become of effects that
// are in a state here.
func (n *Node) reconcile(ctx context.Context, state engine.EffectState) error {
	q := engine.OutboxQuery{State: state, Limit: reconcilePage}
	for {
		page, err := n.engine.Outbox().List(ctx, q)
		if err != nil {
			return err
		}
		byLeader := map[string][]engine.Effect{}
		for _, effect := range page {
			q.After = effect.Key()
			if leader := n.deliverer(effect.Process); leader != "" {
				byLeader[leader] = append(byLeader[leader], effect)
			}
		}
		for leader, effects := range byLeader {
			if err := n.reconcileWith(ctx, leader, effects, state); err != nil {
				return err
			}
		}
		if len(page) < reconcilePage {
			return nil
		}
	}
}

func (n *Node) reconcileWith(ctx context.Context, leader string, effects []engine.Effect, state engine.EffectState) error {
	keys := make([]engine.EffectKey, len(effects))
	for i, effect := range effects {
		keys[i] = effect.Key()
	}
	body, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, itemTimeout)
	defer cancel()
	answer, err := n.transport.Call(ctx, leader, callOutbox, body)
	if err != nil {
		return err
	}
	var fates []effectFate
	if err := json.Unmarshal(answer, &fates); err != nil || len(fates) != len(effects) {
		return fmt.Errorf("node %s answered %d fates of %d effects: %w", leader, len(fates), len(effects), err)
	}
	for i, fate := range fates {
		effect := effects[i]
		switch known := fateOf(effect, state); {
		case fate.State == "" || reflect.DeepEqual(fate, known):
			continue
		case fate.State == engine.EffectDone:
			fate.tell(&effect)
			err = n.engine.Outbox().Complete(effect)
		default:
			fate.tell(&effect)
			err = n.engine.Outbox().Update(effect)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

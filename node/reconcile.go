package node

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// effectFate is what became of an effect at the node that delivers it.
type effectFate struct {
	Done  bool   `json:"done,omitempty"`
	Dead  bool   `json:"dead,omitempty"`
	Error string `json:"error,omitempty"`
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
		effects, done, err := n.engine.Outbox().Effects(key.Process, key.Nonce)
		if err != nil {
			return nil, err
		}
		for j, effect := range effects {
			if effect.Index == key.Index {
				fates[i] = effectFate{done[j], effect.Dead, effect.Error}
			}
		}
	}
	return json.Marshal(fates)
}

const (
	// reconcileInterval is how old this node's picture of what others delivered
	// may be: as much is delivered again after a fail-over, and recognised.
	reconcileInterval = 500 * time.Millisecond
	reconcilePage     = 256
)

func (n *Node) reconcileForever(ctx context.Context) {
	ticker := time.NewTicker(reconcileInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if err := n.reconcile(ctx); err != nil && ctx.Err() == nil {
				n.options.Logger.Debug().Err(err).Msg("what other nodes delivered is not known yet")
			}
		case <-ctx.Done():
			return
		}
	}
}

// reconcile takes out of the outbox what the leaders of the groups have
// delivered, or given up.
func (n *Node) reconcile(ctx context.Context) error {
	var after engine.EffectKey
	for {
		page, err := n.engine.Outbox().Pending(ctx, after, reconcilePage)
		if err != nil {
			return err
		}
		byLeader := map[string][]engine.Effect{}
		for _, effect := range page {
			after = effect.Key()
			if leader := n.log.Leader(effect.Process); leader != "" && leader != n.options.Cluster.Self {
				byLeader[leader] = append(byLeader[leader], effect)
			}
		}
		for leader, effects := range byLeader {
			if err := n.reconcileWith(ctx, leader, effects); err != nil {
				return err
			}
		}
		if len(page) < reconcilePage {
			return nil
		}
	}
}

func (n *Node) reconcileWith(ctx context.Context, leader string, effects []engine.Effect) error {
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
		if !fate.Done && !fate.Dead {
			continue
		}
		own, err := n.deliversToo(ctx, effect)
		if err != nil {
			return err
		}
		switch {
		case own:
			// What the leader did is not what this node has to do.
		case fate.Done:
			err = n.engine.Outbox().Complete(effect)
		case fate.Dead:
			effect.Dead, effect.Error = true, fate.Error
			err = n.engine.Outbox().Update(effect)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

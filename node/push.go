package node

import (
	"context"
	"encoding/json"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// pusher delivers results for the messenger unit's route.
type pusher struct {
	*engine.Engine
	node *Node
}

var _ aohttp.Pusher = pusher{}

// Push redrives what a result's deliverer gave up.
func (p pusher) Push(ctx context.Context, process ao.ID, nonce uint64) error {
	leader := p.node.deliverer(process)
	if err := p.node.redriveResult(ctx, process, nonce, leader == ""); err != nil || leader == "" {
		return err
	}
	body, err := json.Marshal(engine.EffectKey{Process: process, Nonce: nonce})
	if err != nil {
		return err
	}
	_, err = p.node.transport.Call(ctx, leader, callPush, body)
	return err
}

// answerPush redrives a result for another node.
func (n *Node) answerPush(ctx context.Context, _ string, body []byte) ([]byte, error) {
	var key engine.EffectKey
	if err := json.Unmarshal(body, &key); err != nil {
		return nil, ao.Errorf(ao.CodeInvalid, "the place of a result: %w", err)
	}
	return nil, n.redriveResult(ctx, key.Process, key.Nonce, true)
}

// redriveResult makes a result's dead effects pending again, but for those that
// an operator dropped: all of them, or those that this node delivers beside the
// leader.
func (n *Node) redriveResult(ctx context.Context, process ao.ID, nonce uint64, all bool) error {
	effects, _, err := n.engine.Outbox().Effects(engine.EffectKey{Process: process, Nonce: nonce})
	if err != nil {
		return err
	}
	for _, effect := range effects {
		if !effect.Dead || effect.Dropped {
			continue
		}
		own, err := n.deliversToo(ctx, effect)
		if err != nil {
			return err
		}
		if !own && !all {
			continue
		}
		if err := n.engine.Outbox().Redrive(effect.Key()); err != nil && ao.CodeOf(err) != ao.CodeConflict {
			return err
		}
	}
	return nil
}

package node

import (
	"context"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
)

// vouched gives the engine the newest checkpoint of a process behind a nonce from
// first to last that this node believes; nil: there is none. Those that do not hold
// are passed over, and the log says why.
func (n *Node) vouched(ctx context.Context, process ao.ID, first, last uint64) (*engine.Vouched, error) {
	n.checkpointing.Lock()
	defer n.checkpointing.Unlock()
	found, err := n.findCheckpoints(ctx, process)
	if err != nil {
		return nil, err
	}
	for url, why := range found.unreached {
		n.options.Logger.Warn().Str("gateway", url).Stringer("process", process).Str("reason", why).Msg("a gateway did not list its checkpoints")
	}
	judged := 0
	for _, info := range found.list {
		if info.Why != "" || info.Nonce < first || info.Nonce > last || !n.trusts(info.Owner) {
			continue
		}
		if judged++; judged > checkpointsJudged {
			break
		}
		memory, err := n.judge(ctx, process, info, found.items[info.ID])
		if err == nil {
			state, err := info.State(memory)
			if err != nil {
				return nil, fmt.Errorf("take up checkpoint %s: %w", info.ID, err)
			}
			return &engine.Vouched{Nonce: info.Nonce, Root: info.StateRoot, State: state}, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		n.options.Logger.Warn().Stringer("checkpoint", info.ID).Stringer("process", process).Uint64("nonce", info.Nonce).Str("owner", info.Owner).
			Err(err).Msg("a checkpoint does not hold and is passed over")
	}
	return nil, nil
}

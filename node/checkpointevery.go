package node

import (
	"context"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// checkpointInterval is how often this node looks which processes are due for a
// checkpoint.
const checkpointInterval = 30 * time.Second

// openCheckpoints makes checkpoints as messages come, if that is wanted.
func (n *Node) openCheckpoints(context.Context) error {
	if n.options.CheckpointEvery == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(checkpointInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				n.makeCheckpoints(ctx)
			case <-ctx.Done():
				return
			}
		}
	}()
	n.onClose("checkpoints", func(context.Context) error {
		cancel()
		<-done
		return nil
	})
	return nil
}

// makeCheckpoints makes one of every process that is due, one after the other, and has
// it uploaded if the node settles. In a cluster the leader of a process does it.
func (n *Node) makeCheckpoints(ctx context.Context) {
	const page = 256
	var after ao.ID
	for {
		heads, err := n.log.Processes(ctx, after, page)
		if err != nil {
			if ctx.Err() == nil {
				n.options.Logger.Warn().Err(err).Msg("which processes are due for a checkpoint is not known")
			}
			return
		}
		for _, head := range heads {
			after = head.Process
			if !n.checkpointDue(head) {
				continue
			}
			made, err := n.Checkpoint(ctx, head.Process, n.uploads.Load() != nil)
			if ctx.Err() != nil {
				return
			}
			event := n.options.Logger.Info()
			if err != nil {
				event = n.options.Logger.Warn().Err(err)
			}
			event.Stringer("process", head.Process).Uint64("nonce", made.Nonce).Msg("checkpoint")
		}
		if len(heads) < page {
			return
		}
	}
}

// checkpointDue reports whether a process has gone on far enough since its last
// checkpoint, and that is long enough ago.
func (n *Node) checkpointDue(head aolog.Head) bool {
	every := n.options.CheckpointEvery
	if head.Nonce < every || !n.log.Leads(head.Process) {
		return false
	}
	nonce, ok := n.engine.Evaluated(head.Process)
	if !ok {
		return false
	}
	last, known, err := n.madeCheckpoint(head.Process)
	if err != nil {
		n.options.Logger.Warn().Err(err).Stringer("process", head.Process).Msg("when the last checkpoint was made is not known")
		return false
	}
	if !known {
		return nonce >= every
	}
	return nonce >= last.Nonce+every && n.options.Now().Sub(time.UnixMilli(last.AtMS)) >= checkpointPeriod
}

package node

import (
	"context"
	"slices"

	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// tracer shows what became of effects to the messenger unit's route.
type tracer struct{ engine *engine.Engine }

var _ aohttp.Tracer = tracer{}

const (
	// tracerEffectsMax is how far back a trace of a process goes.
	tracerEffectsMax = 10_000
	tracerPage       = 100
)

// Trace lists what a process sent and was tried to deliver, newest first.
func (t tracer) Trace(ctx context.Context, q aohttp.TraceQuery) (hops []aohttp.Hop, more bool, err error) {
	at := engine.EffectKey{Process: q.Process}
	for looked := 0; looked < tracerEffectsMax; {
		results, err := t.engine.Outbox().Before(ctx, at, tracerPage)
		if err != nil {
			return nil, false, err
		}
		for _, at = range results {
			found, count, err := t.hopsOf(at, q)
			if err != nil {
				return nil, false, err
			}
			looked += count
			for _, hop := range found {
				if q.Skip > 0 {
					q.Skip--
					continue
				}
				if len(hops) == q.Limit {
					return hops, true, nil
				}
				hops = append(hops, hop)
			}
		}
		if len(results) < tracerPage {
			break
		}
	}
	return hops, false, nil
}

// hopsOf gives those of one result's effects that fit, the last first, and how many
// effects it has.
func (t tracer) hopsOf(at engine.EffectKey, q aohttp.TraceQuery) (hops []aohttp.Hop, count int, err error) {
	effects, _, err := t.engine.Outbox().Effects(at)
	if err != nil {
		return nil, 0, err
	}
	evaluation, _, _, err := t.engine.StoredTick(at.Process, at.Nonce, at.Tick)
	for _, effect := range slices.Backward(effects) {
		fits := q.Kind == "" || string(effect.Kind) == q.Kind && slices.Contains(effect.Delivered, q.ID)
		if effect.Attempts == 0 && effect.Parked == "" || !fits {
			continue
		}
		hop := aohttp.Hop{
			Kind: string(effect.Kind), Root: effect.Root, Message: evaluation.Message,
			Delivered: effect.Delivered, TimeMS: effect.TimeMS, Error: effect.Error,
		}
		if effect.Parked != "" {
			hop.Error = effect.Parked
		}
		hops = append(hops, hop)
	}
	return hops, len(effects), err
}

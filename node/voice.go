package node

import (
	"context"
	"errors"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/messenger"
)

// voice is this node's own say about what is pushed. All nodes of a cluster share
// the messenger's key, so one stolen node could push anything to anybody. To a
// process with an Authority-Quorum that has an operator's key among its
// authorities, the operator's node delivers with that key, whoever leads; and
// nobody tells it that it need not.
type voice struct {
	log       aolog.Log
	confirmed aolog.Log // has all that was acknowledged
	operator  dataitem.Signer

	mu    sync.Mutex
	known map[ao.ID]bool // processes, and whether they count the operator
}

var _ messenger.Voice = (*voice)(nil)

// voiceProcessesMax bounds what is remembered of processes.
const voiceProcessesMax = 4096

// Counts reports whether a process is known to count this node's deliveries.
func (v *voice) Counts(process ao.ID) bool {
	counts, err := v.counts(context.Background(), v.log, process)
	return err == nil && counts
}

// Signer gives the operator's key for a process that counts it.
func (v *voice) Signer(ctx context.Context, process ao.ID) (dataitem.Signer, error) {
	counts, err := v.counts(ctx, v.confirmed, process)
	if err != nil || !counts {
		return nil, err
	}
	return v.operator, nil
}

func (v *voice) counts(ctx context.Context, log aolog.Log, process ao.ID) (bool, error) {
	v.mu.Lock()
	counts, known := v.known[process]
	v.mu.Unlock()
	if known {
		return counts, nil
	}
	entry, err := log.Read(ctx, process, 0)
	if errors.Is(err, aolog.ErrProcessUnknown) || errors.Is(err, aolog.ErrEntryUnknown) {
		return false, nil // a wallet, or a process of others
	}
	if err != nil {
		return false, err
	}
	a, err := authoritiesOf(entry)
	counts = err == nil && a.Quorum > 0 && a.Find(v.operator.Owner()) >= 0
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.known) >= voiceProcessesMax {
		clear(v.known)
	}
	v.known[process] = counts
	return counts, nil
}

// deliveredByMany reports whether nodes beside the leader may deliver an effect,
// each with its own key.
func (n *Node) deliveredByMany(ctx context.Context, effect engine.Effect) (bool, error) {
	if n.voice == nil {
		return false, nil
	}
	for _, recipient := range messenger.Recipients(effect) {
		entry, err := n.voice.confirmed.Read(ctx, recipient, 0)
		if errors.Is(err, aolog.ErrProcessUnknown) || errors.Is(err, aolog.ErrEntryUnknown) {
			continue
		}
		if err != nil {
			return false, err
		}
		if a, err := authoritiesOf(entry); err == nil && a.Quorum > 0 {
			return true, nil
		}
	}
	return false, nil
}

// deliversToo reports whether this node delivers an effect with its own key, beside
// the leader. If it had not heard of the recipient, it begins to.
func (n *Node) deliversToo(ctx context.Context, effect engine.Effect) (bool, error) {
	if n.voice == nil {
		return false, nil
	}
	for _, recipient := range messenger.Recipients(effect) {
		before := n.voice.Counts(recipient)
		signer, err := n.voice.Signer(ctx, recipient)
		if err != nil {
			return false, err
		}
		if signer != nil {
			if !before {
				n.messenger.Wake()
			}
			return true, nil
		}
	}
	return false, nil
}

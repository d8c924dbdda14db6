package messenger

import (
	"bytes"
	"context"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Recipients lists who gets something that a messenger signs for an effect.
func Recipients(effect engine.Effect) (all []ao.ID) {
	if effect.Kind == engine.EffectSpawn {
		return []ao.ID{effect.Process} // hears of its child
	}
	if effect.Kind != engine.EffectMessage {
		return nil
	}
	b, _, err := parseBody(effect)
	if err != nil {
		return nil
	}
	for _, text := range append([]string{b.Target}, b.assignments()...) {
		if id, err := ao.ParseID(text); err == nil {
			all = append(all, id)
		}
	}
	return all
}

// owns reports whether this messenger delivers an effect: what its processes
// send, and whatever has a recipient that counts this messenger's own deliveries.
// Then every messenger carries out the whole effect, each with its own key where
// that counts; the rest is the same bytes from all, and takes effect once.
func (m *Messenger) owns(effect engine.Effect) bool {
	return m.options.Owns(effect.Process) ||
		m.options.Personal != nil && slices.ContainsFunc(Recipients(effect), func(id ao.ID) bool { return m.options.Personal(id) != nil })
}

// signer gives the key that signs for a recipient.
func (m *Messenger) signer(recipient ao.ID) dataitem.Signer {
	if m.options.Personal != nil {
		if own := m.options.Personal(recipient); own != nil {
			return own
		}
	}
	return m.options.Signer
}

// assignToAll assigns a message to everybody that its tag Assignments names; sent
// is how its target got it. One that cannot be assigned to keeps it from nobody
// else.
func (m *Messenger) assignToAll(ctx context.Context, draft dataitem.Draft, sent *dataitem.Item, processes []string) (assigned []ao.ID, failure error) {
	for _, process := range processes {
		id, err := m.assignSigned(ctx, draft, sent, process)
		switch {
		case err == nil:
			assigned = append(assigned, id)
		case failure == nil || isPermanent(failure) && !isPermanent(err):
			// What may go well later decides: all are tried again then.
			failure = err
		}
	}
	return assigned, failure
}

// assignSigned assigns a message as it is signed for the process. If its target
// got it signed otherwise, the gateway has this one.
func (m *Messenger) assignSigned(ctx context.Context, draft dataitem.Draft, sent *dataitem.Item, process string) (ao.ID, error) {
	id, err := ao.ParseID(process)
	if err != nil {
		return ao.ID{}, permanent("the assignment names process %q: %v", process, err)
	}
	if signer := m.signer(id); !bytes.Equal(signer.Owner(), sent.Owner) {
		if sent, err = dataitem.Create(draft, signer); err != nil {
			return ao.ID{}, err
		}
		if _, err := m.options.Uploader.PutItem(ctx, sent); err != nil {
			return ao.ID{}, err
		}
	}
	return m.assign(ctx, aolog.Proposal{Process: id, Message: sent.ID()}, false)
}

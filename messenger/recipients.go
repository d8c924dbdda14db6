package messenger

import (
	"context"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
)

// Voice is a messenger's own key, for recipients that count its deliveries apart
// from those of other messengers.
type Voice interface {
	// Counts reports whether a recipient is one of these, as far as is known
	// without asking anybody.
	Counts(recipient ao.ID) bool
	// Signer gives the key for a recipient; nil: it is signed for with everybody's.
	Signer(ctx context.Context, recipient ao.ID) (dataitem.Signer, error)
}

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
		m.options.Voice != nil && slices.ContainsFunc(Recipients(effect), m.options.Voice.Counts)
}

// create signs an item as its recipient wants it signed. What is no push, such as
// the word of a child whose spawn did not say From-Process, is counted by nobody:
// signed with several keys it would come as often.
func (m *Messenger) create(ctx context.Context, draft dataitem.Draft, recipient ao.ID) (*dataitem.Item, error) {
	signer := m.options.Signer
	if m.options.Voice != nil && draft.Tags.Has(ao.TagFromProcess) {
		own, err := m.options.Voice.Signer(ctx, recipient)
		if err != nil {
			return nil, err
		}
		if own != nil {
			signer = own
		}
	}
	return dataitem.Create(draft, signer)
}

// assignToAll assigns a message to everybody that its tag Assignments names; sent
// is how its target got it. One that cannot be assigned to keeps it from nobody
// else.
func (m *Messenger) assignToAll(ctx context.Context, draft dataitem.Draft, sent *dataitem.Item, processes []string) (assigned []ao.ID, failure error) {
	for _, process := range processes {
		id, err := m.assignSigned(ctx, draft, sent, process)
		switch {
		case err == nil && id.IsZero():
			// Another scheduler has it, and did not say as what.
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
	item, err := m.create(ctx, draft, id)
	if err != nil {
		return ao.ID{}, err
	}
	if item.ID() != sent.ID() {
		if _, err := m.options.Uploader.PutItem(ctx, item); err != nil {
			return ao.ID{}, err
		}
	}
	return m.assignAnywhere(ctx, courier.Assignment{Process: id, Message: item.ID()})
}

package messenger

import (
	"context"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Carry delivers one effect at once and gives the ids of what that made. Of the options
// it needs those by which something is signed and put where it belongs.
func Carry(ctx context.Context, options Options, effect engine.Effect) ([]ao.ID, error) {
	m := newMessenger(options)
	m.slots <- struct{}{} // as its workers do
	return m.deliver(ctx, effect)
}

// deliver carries one effect out and gives the ids of what it made. Every step
// can be repeated: the log knows each item again.
func (m *Messenger) deliver(ctx context.Context, effect engine.Effect) ([]ao.ID, error) {
	from, err := m.sender(ctx, effect.Process)
	if err != nil {
		return nil, err
	}
	switch effect.Kind {
	case engine.EffectMessage:
		return m.deliverMessage(ctx, effect, from)
	case engine.EffectSpawn:
		return m.deliverSpawn(ctx, effect, from)
	case engine.EffectAssign:
		return m.deliverAssign(ctx, effect)
	}
	return nil, permanent("nobody knows what a %q is", effect.Kind)
}

// sender reads what the sending process's own item says.
func (m *Messenger) sender(ctx context.Context, process ao.ID) (sender, error) {
	entry, err := m.options.Log.Read(ctx, process, 0)
	if err != nil {
		return sender{}, fmt.Errorf("read process %s: %w", process, err)
	}
	item, err := entry.Item()
	if err != nil {
		return sender{}, fmt.Errorf("read process %s: %w", process, err)
	}
	return sender{process: process, module: item.Tags.Get(ao.TagModule), scheduler: item.Tags.Get(ao.TagScheduler)}, nil
}

func (m *Messenger) deliverMessage(ctx context.Context, effect engine.Effect, from sender) ([]ao.ID, error) {
	draft, assignTo, err := messageDraft(effect, from)
	if err != nil {
		return nil, err
	}
	var target ao.ID
	copy(target[:], draft.Target)
	item, err := m.create(ctx, draft, target)
	if err != nil {
		return nil, err
	}
	if err := m.send(ctx, item); err != nil {
		return nil, err
	}
	assigned, err := m.assignToAll(ctx, draft, item, assignTo)
	return append([]ao.ID{item.ID()}, assigned...), err
}

// send puts an item where its target is: into the log of a process, here or at
// another scheduler, or onto the weave for a wallet to find.
func (m *Messenger) send(ctx context.Context, item *dataitem.Item) error {
	target := item.TargetID()
	if target.IsZero() { // a wallet's address that is no id
		_, err := m.options.Uploader.PutItem(ctx, item)
		return err
	}
	// What a process began with never changes: in a cluster its head would take a
	// round trip to the leader.
	_, err := m.options.Log.Read(ctx, target, 0)
	if err == nil {
		_, _, err = m.options.Log.Append(ctx, aolog.Proposal{Item: item, Own: true})
		return err
	}
	if !errors.Is(err, aolog.ErrProcessUnknown) {
		return err
	}
	known, err := m.abroad(ctx, target, func(scheduler string) error {
		return m.options.Directory.Post(ctx, scheduler, item)
	})
	if known || err != nil {
		return err
	}
	_, err = m.options.Uploader.PutItem(ctx, item)
	return err
}

func (m *Messenger) deliverSpawn(ctx context.Context, effect engine.Effect, parent sender) ([]ao.ID, error) {
	draft, tags, err := spawnDraft(effect, parent)
	if err != nil {
		return nil, err
	}
	child, err := dataitem.Create(draft, m.options.Signer)
	if err != nil {
		return nil, err
	}
	if err := m.startAnywhere(ctx, child, parent); err != nil {
		return nil, err
	}
	told, err := m.create(ctx, spawnedDraft(effect, child.ID(), tags), parent.process)
	if err != nil {
		return []ao.ID{child.ID()}, err
	}
	_, _, err = m.options.Log.Append(ctx, aolog.Proposal{Item: told, Own: true})
	return []ao.ID{child.ID(), told.ID()}, err
}

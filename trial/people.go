package trial

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// keyOf gives the key that follows from a name.
func keyOf(name string) (dataitem.Signer, error) {
	seed := sha256.Sum256([]byte("wallaby trial\x00" + name))
	signer, err := dataitem.NewEd25519Signer(seed[:])
	if err != nil {
		return nil, fmt.Errorf("make a key for %q: %w", name, err)
	}
	return signer, nil
}

// Publisher signs modules for trials.
func Publisher() (dataitem.Signer, error) { return keyOf("publisher") }

func (w *World) person(name string) (dataitem.Signer, error) {
	if signer, ok := w.people[name]; ok {
		return signer, nil
	}
	signer, err := keyOf("person " + name)
	if err == nil {
		w.people[name] = signer
	}
	return signer, err
}

// Units gives the address of the scheduler and the messenger.
func (w *World) Units() string { return dataitem.NativeAddress(w.units.Owner()) }

// Address gives the address of somebody called so; what is an address already stays as it
// is.
func (w *World) Address(name string) (string, error) {
	if _, err := ao.ParseID(name); err == nil {
		return name, nil
	}
	signer, err := w.person(name)
	if err != nil {
		return "", err
	}
	return dataitem.NativeAddress(signer.Owner()), nil
}

// Message is what somebody sends to a process.
type Message struct {
	// From is a name, or the id of a process, of which it is then a push.
	From string
	Tags dataitem.Tags
	Data string
}

// Message signs a message to a process.
func (w *World) Message(process ao.ID, m Message) (*dataitem.Item, error) {
	tags := append(dataitem.Tags(nil), m.Tags...)
	signer := w.units
	if from, err := ao.ParseID(m.From); err == nil {
		tags = append(tags, dataitem.Tag{Name: ao.TagFromProcess, Value: from.String()}, dataitem.Tag{Name: ao.TagFromModule, Value: w.moduleOf(from)})
	} else if signer, err = w.person(m.From); err != nil {
		return nil, err
	}
	tags = append(tags, dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, dataitem.Tag{Name: ao.TagVariant, Value: ao.Variant}, dataitem.Tag{Name: ao.TagType, Value: ao.TypeMessage})
	return dataitem.Create(dataitem.Draft{Target: process[:], Anchor: w.anchor(), Tags: tags, Data: []byte(m.Data)}, signer)
}

func (w *World) moduleOf(process ao.ID) string {
	entry, err := w.log.Read(context.Background(), process, 0)
	if err != nil {
		return "" // it is not of this world
	}
	item, err := entry.Item()
	if err != nil {
		return ""
	}
	return item.Tags.Get(ao.TagModule)
}

// anchor keeps equal messages apart.
func (w *World) anchor() []byte {
	w.sent++
	anchor := make([]byte, 32)
	copy(anchor, fmt.Sprintf("%032d", w.sent))
	return anchor
}

// Spawn signs a process of a module that was added.
func (w *World) Spawn(module ao.ID, m Message) (*dataitem.Item, error) {
	signer, err := w.person(m.From)
	if err != nil {
		return nil, err
	}
	tags := append(dataitem.Tags(nil), m.Tags...)
	tags = append(tags,
		dataitem.Tag{Name: ao.TagAuthority, Value: w.Units()}, dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		dataitem.Tag{Name: ao.TagVariant, Value: ao.Variant}, dataitem.Tag{Name: ao.TagType, Value: ao.TypeProcess},
		dataitem.Tag{Name: ao.TagModule, Value: module.String()}, dataitem.Tag{Name: ao.TagScheduler, Value: w.Units()},
	)
	return dataitem.Create(dataitem.Draft{Anchor: w.anchor(), Tags: tags, Data: []byte(m.Data)}, signer)
}

package messenger

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/courier"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// assignment is what a guest's JSON may hold for an assignment.
type assignment struct {
	Processes []string
	Message   string
	BaseLayer json.RawMessage
	Exclude   json.RawMessage
}

func parseAssignment(effect engine.Effect) (a assignment, err error) {
	if err := json.Unmarshal(effect.Body, &a); err != nil {
		return a, permanent("the process sent something that is no %s: %v", effect.Kind, err)
	}
	if len(a.Processes) != 1 {
		return a, permanent("the assignment names no process")
	}
	return a, nil
}

// baseLayer reports whether the guest says so, in any way that is true to
// JavaScript.
func (a assignment) baseLayer() bool {
	switch string(a.BaseLayer) {
	case "", "null", "false", `""`, "0":
		return false
	}
	return true
}

// exclude reads a list of fields, or one text with commas, as the scheduler's
// query has it.
func (a assignment) exclude() (fields []string, err error) {
	var text string
	switch {
	case len(a.Exclude) == 0 || json.Unmarshal(a.Exclude, &fields) == nil:
		return fields, nil
	case json.Unmarshal(a.Exclude, &text) != nil:
		return nil, permanent("the assignment's Exclude is no list of fields: %s", a.Exclude)
	}
	for field := range strings.SplitSeq(text, ",") {
		if field = strings.TrimSpace(field); field != "" {
			fields = append(fields, field)
		}
	}
	return fields, nil
}

func (m *Messenger) deliverAssign(ctx context.Context, effect engine.Effect) ([]ao.ID, error) {
	a, err := parseAssignment(effect)
	if err != nil {
		return nil, err
	}
	message, err := ao.ParseID(a.Message)
	if err != nil {
		return nil, permanent("the assignment names message %q: %v", a.Message, err)
	}
	exclude, err := a.exclude()
	if err != nil {
		return nil, err
	}
	process, err := ao.ParseID(a.Processes[0])
	if err != nil {
		return nil, permanent("the assignment names process %q: %v", a.Processes[0], err)
	}
	id, err := m.assignAnywhere(ctx, courier.Assignment{Process: process, Message: message, BaseLayer: a.baseLayer(), Exclude: exclude})
	if err != nil || id.IsZero() {
		return nil, err
	}
	return []ao.ID{id}, nil
}

// assignHere gives a message a place in the log of a process, which this node has.
func (m *Messenger) assignHere(ctx context.Context, p aolog.Proposal, baseLayer bool) (assigned ao.ID, err error) {
	if err := aolog.CheckAssignment(ctx, m.options.Log, m.options.Weave, p, baseLayer); err != nil {
		return ao.ID{}, err
	}
	entry, _, err := m.options.Log.Append(ctx, p)
	return entry.ID, err
}

// postponed reports whether an effect is left where it is until its time: a
// base-layer assignment may wait for hours, which is too long to be in memory.
func (m *Messenger) postponed(effect engine.Effect) bool {
	if effect.Kind != engine.EffectAssign || effect.NextMS <= m.options.Now().UnixMilli() {
		return false
	}
	a, err := parseAssignment(effect)
	return err == nil && a.baseLayer()
}

// postpone notes that what is assigned does not lie deep enough yet, which is no
// failed attempt.
func (m *Messenger) postpone(effect *engine.Effect, reason error) error {
	effect.Error = reason.Error()
	effect.NextMS = m.options.Now().UnixMilli() + m.options.RetryMaxMS
	err := m.options.Outbox.Update(*effect)
	m.dueAt(effect.NextMS)
	return err
}

func isNotSettled(err error) bool { return errors.Is(err, aolog.ErrNotSettled) }

package engine

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
)

// EffectKind says what an effect asks a messenger to do.
type EffectKind string

// The kinds of effect, in the order in which one result's effects stand.
const (
	EffectMessage EffectKind = "message"
	EffectSpawn   EffectKind = "spawn"
	EffectAssign  EffectKind = "assign"
)

// EffectKey names an effect for ever: the result it stands in and its place
// there. The zero key is before every effect.
type EffectKey struct {
	Process ao.ID
	Nonce   uint64
	Tick    uint64 // number of the tick behind the nonce; 0: the result is the message's
	Index   uint32
}

func (k EffectKey) place() place { return place{k.Nonce, k.Tick} }

// String writes PROCESS/NONCE/INDEX, and for a tick PROCESS/NONCE.TICK/INDEX.
func (k EffectKey) String() string {
	if k.Tick > 0 {
		return fmt.Sprintf("%s/%d.%d/%d", k.Process, k.Nonce, k.Tick, k.Index)
	}
	return fmt.Sprintf("%s/%d/%d", k.Process, k.Nonce, k.Index)
}

// ParseEffectKey reads what String writes.
func ParseEffectKey(s string) (EffectKey, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 3 {
		return EffectKey{}, ao.Errorf(ao.CodeInvalid, "effect %q is not of the form PROCESS/NONCE/INDEX or PROCESS/NONCE.TICK/INDEX", s)
	}
	process, err := ao.ParseID(parts[0])
	if err != nil {
		return EffectKey{}, ao.Errorf(ao.CodeInvalid, "effect %q: %w", s, err)
	}
	text, tickText, isTick := strings.Cut(parts[1], ".")
	nonce, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return EffectKey{}, ao.Errorf(ao.CodeInvalid, "effect %q: the nonce: %w", s, err)
	}
	var tick uint64
	if isTick {
		if tick, err = strconv.ParseUint(tickText, 10, 64); err != nil || tick == 0 {
			return EffectKey{}, ao.Errorf(ao.CodeInvalid, "effect %q: the tick is no number from 1 on", s)
		}
	}
	index, err := strconv.ParseUint(parts[2], 10, 32)
	if err != nil {
		return EffectKey{}, ao.Errorf(ao.CodeInvalid, "effect %q: the index: %w", s, err)
	}
	return EffectKey{process, nonce, tick, uint32(index)}, nil
}

// Effect is one thing that a result asks a messenger to do.
type Effect struct {
	Process ao.ID
	Nonce   uint64
	Tick    uint64 // number of the tick behind the nonce; 0: the result is the message's
	Index   uint32 // messages first, then spawns, then assignments
	Kind    EffectKind
	// Body is the guest's own JSON. An assignment to several processes is one
	// effect for each, with that process alone in Processes.
	Body json.RawMessage
	// Root is the value for the Pushed-For tag of what is sent; zero: none.
	Root ao.ID

	// What delivery has come to; a messenger changes these through Update.
	Attempts  int
	TimeMS    int64  // of the last attempt
	Node      string // that made it; "" when the node is alone
	NextMS    int64  // not before this time
	Error     string // why the last attempt did not succeed
	Parked    string // why it may not be tried; Resume brings it back
	Dead      bool   // given up; only Redrive brings it back
	Dropped   bool   // and nothing does
	Delivered []ao.ID
}

// Key gives the effect's name.
func (e Effect) Key() EffectKey { return EffectKey{e.Process, e.Nonce, e.Tick, e.Index} }

// Cascade names what an effect is parked with: all that descends from its root;
// without a root, all that its process sends so.
func (e Effect) Cascade() ao.ID { return cascadeOf(e.Root, e.Process) }

func cascadeOf(root, process ao.ID) ao.ID {
	if root.IsZero() {
		return process
	}
	return root
}

// effectsOf lists what a result asks for, in delivery order. It depends on the
// result alone, so that an effect's index means the same after every restart.
func effectsOf(result ao.Result) (effects []Effect) {
	add := func(kind EffectKind, body json.RawMessage) {
		effects = append(effects, Effect{Index: uint32(len(effects)), Kind: kind, Body: body})
	}
	for _, body := range result.Messages {
		add(EffectMessage, body)
	}
	for _, body := range result.Spawns {
		add(EffectSpawn, body)
	}
	for _, body := range result.Assignments {
		for _, one := range splitAssignment(body) {
			add(EffectAssign, one)
		}
	}
	return effects
}

// splitAssignment gives one body for each process of an assignment. A body
// that names no processes stays whole, so that a messenger can say what is
// wrong with it.
func splitAssignment(body json.RawMessage) []json.RawMessage {
	var fields map[string]json.RawMessage
	var processes []json.RawMessage
	if json.Unmarshal(body, &fields) != nil || json.Unmarshal(fields["Processes"], &processes) != nil || len(processes) == 0 {
		return []json.RawMessage{body}
	}
	bodies := make([]json.RawMessage, 0, len(processes))
	for _, process := range processes {
		fields["Processes"] = bytes.Join([][]byte{[]byte("["), process, []byte("]")}, nil)
		// The fields came out of valid JSON, so they go back in.
		one, err := json.Marshal(fields)
		if err != nil {
			return []json.RawMessage{body}
		}
		bodies = append(bodies, one)
	}
	return bodies
}

package messenger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
)

// body is what a guest's JSON may hold for a message or a spawn.
type body struct {
	Target string
	Anchor string
	Tags   []bodyTag
	Data   json.RawMessage
}

// bodyTag has a value that is text, or that is written as JSON.
type bodyTag struct {
	Name  string          `json:"name"`
	Value json.RawMessage `json:"value"`
}

func (t bodyTag) text() string {
	var s string
	if json.Unmarshal(t.Value, &s) == nil {
		return s
	}
	return string(t.Value)
}

func parseBody(effect engine.Effect) (b body, tags dataitem.Tags, err error) {
	if err := json.Unmarshal(effect.Body, &b); err != nil {
		return b, nil, permanent("the process sent something that is no %s: %v", effect.Kind, err)
	}
	for _, tag := range b.Tags {
		tags = append(tags, dataitem.Tag{Name: tag.Name, Value: tag.text()})
	}
	return b, tags, nil
}

// data gives what is sent: a text as it is, anything else as JSON. What is
// nothing to JavaScript becomes a space, as in the reference, because bundlers
// refuse items without data; the texts "0" and "false" are not nothing.
func (b body) data() []byte {
	var value any
	if err := json.Unmarshal(b.Data, &value); err != nil || value == nil || value == "" || value == false || value == 0.0 {
		return []byte(" ")
	}
	if text, ok := value.(string); ok {
		return []byte(text)
	}
	return b.Data
}

// sender is what a messenger must know of the process that sends.
type sender struct {
	process   ao.ID
	module    string
	scheduler string
}

// messageDraft builds a pushed message in the reference messenger's tag order.
func messageDraft(effect engine.Effect, from sender) (draft dataitem.Draft, assignTo []string, err error) {
	b, tags, err := parseBody(effect)
	if err != nil {
		return draft, nil, err
	}
	var target []byte
	wallet := isEthereumAddress(b.Target)
	if !wallet {
		id, err := ao.ParseID(b.Target)
		if err != nil {
			return draft, nil, permanent("the message has no target that could be a process or a wallet: %v", err)
		}
		target = id[:]
	}
	if len(b.Anchor) != 32 {
		return draft, nil, permanent("the message's Anchor has %d bytes: it must have 32, which ao.send sees to", len(b.Anchor))
	}
	tags = tags.Without(ao.TagDataProtocol, ao.TagType, ao.TagFromProcess, ao.TagFromModule, "Assignments")
	tags = append(tags,
		dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		dataitem.Tag{Name: ao.TagType, Value: ao.TypeMessage},
		dataitem.Tag{Name: ao.TagFromProcess, Value: from.process.String()},
		dataitem.Tag{Name: ao.TagFromModule, Value: from.module},
	)
	tags = withRoot(tags, effect.Root)
	if wallet {
		tags = append(tags, dataitem.Tag{Name: tagTarget, Value: b.Target})
	}
	return dataitem.Draft{Target: target, Anchor: []byte(b.Anchor), Tags: tags, Data: b.data()}, b.assignments(), nil
}

// tagTarget names a wallet whose address does not fit into an item's target.
const tagTarget = "Target"

// isEthereumAddress reports whether a text is the address by which processes know
// an Ethereum wallet: 20 bytes, where an item's target has 32.
func isEthereumAddress(text string) bool {
	digits, ok := strings.CutPrefix(text, "0x")
	b, err := hex.DecodeString(digits)
	return ok && err == nil && len(b) == 20
}

// assignments gives whom else a message is to be assigned to: a list as the value
// of its tag Assignments.
func (b body) assignments() (processes []string) {
	for _, tag := range b.Tags {
		if tag.Name == "Assignments" {
			_ = json.Unmarshal(tag.Value, &processes)
		}
	}
	return processes
}

func withRoot(tags dataitem.Tags, root ao.ID) dataitem.Tags {
	if root.IsZero() {
		return tags
	}
	return append(tags, dataitem.Tag{Name: ao.TagPushedFor, Value: root.String()})
}

// spawnDraft builds the process that a process spawns.
func spawnDraft(effect engine.Effect, parent sender) (draft dataitem.Draft, tags dataitem.Tags, err error) {
	b, given, err := parseBody(effect)
	if err != nil {
		return draft, nil, err
	}
	if !given.Has(ao.TagModule) {
		return draft, nil, permanent("the spawn names no Module")
	}
	variant := ao.Variant
	if given.Get(ao.TagVariant) == "ao.N.1" {
		variant = "ao.N.1"
	}
	tags = given.Without(ao.TagDataProtocol, ao.TagType)
	for i, tag := range tags {
		// The guest names its module as it likes; the messenger knows better.
		if tag.Name == ao.TagFromModule {
			tags[i].Value = parent.module
		}
	}
	all := append(tags[:len(tags):len(tags)],
		dataitem.Tag{Name: ao.TagVariant, Value: variant},
		dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		dataitem.Tag{Name: ao.TagType, Value: ao.TypeProcess},
		dataitem.Tag{Name: ao.TagFromProcess, Value: parent.process.String()},
	)
	all = withRoot(all, effect.Root)
	if !given.Has(ao.TagScheduler) {
		all = append(all, dataitem.Tag{Name: ao.TagScheduler, Value: parent.scheduler})
	}
	anchor := spawnAnchor(effect)
	return dataitem.Draft{Anchor: anchor[:], Tags: all, Data: b.data()}, tags, nil
}

// spawnAnchor keeps two equal spawns of one result apart: signed alike, they
// would be one process. Its first byte is never valid UTF-8, so that a guest
// sees no anchor, as in the reference.
func spawnAnchor(effect engine.Effect) [32]byte {
	b := append([]byte(nil), effect.Process[:]...)
	b = binary.BigEndian.AppendUint64(b, effect.Nonce)
	b = binary.BigEndian.AppendUint32(b, effect.Index)
	if effect.Tick > 0 {
		b = binary.BigEndian.AppendUint64(b, effect.Tick)
	}
	anchor := sha256.Sum256(b)
	anchor[0] = 0xff
	return anchor
}

// spawnedDraft tells the parent of its new process. Unlike the reference's it
// says which user's message it descends from, or the parent's answer to it would
// say that it descends from none.
func spawnedDraft(effect engine.Effect, child ao.ID, spawnTags dataitem.Tags) dataitem.Draft {
	var tags dataitem.Tags
	variant := ao.Variant
	for _, tag := range spawnTags {
		switch tag.Name {
		case ao.TagVariant:
			variant = tag.Value
		case ao.TagType:
		default:
			tags = append(tags, tag)
		}
	}
	tags = append(tags,
		dataitem.Tag{Name: ao.TagDataProtocol, Value: ao.DataProtocol},
		dataitem.Tag{Name: ao.TagType, Value: ao.TypeMessage},
		dataitem.Tag{Name: ao.TagProcess, Value: child.String()},
		dataitem.Tag{Name: "Action", Value: "Spawned"},
		dataitem.Tag{Name: ao.TagVariant, Value: variant},
	)
	return dataitem.Draft{Target: effect.Process[:], Tags: withRoot(tags, effect.Root), Data: []byte(" ")}
}

// permanent is a refusal that no retry can change.
func permanent(format string, args ...any) error {
	return ao.Errorf(ao.CodeInvalid, "%s", fmt.Sprintf(format, args...))
}

package ao

import (
	"strings"

	"github.com/wallaby-ao/wallaby/dataitem"
)

// Kind is what an item is to a scheduler: TypeProcess or TypeMessage.
type Kind string

// The two kinds of item that a scheduler orders.
const (
	KindProcess Kind = TypeProcess
	KindMessage Kind = TypeMessage
)

// CheckItem says what kind of item this is and which process's log it belongs
// to, or why it belongs to none. It does not check the signature.
//
// The rules are the reference scheduler's: Data-Protocol must be ao, some Type
// must be Process or Message (the first of those decides, since clients may
// send Type twice), a process names Module and Scheduler, a message has a
// target, and no tag ends in "+link". An Authority-Quorum must be one. Beyond them,
// a process's crons must make sense: the reference takes any, and then evaluates
// nothing of the process.
func CheckItem(it *dataitem.Item) (Kind, ID, error) {
	if !it.Tags.Contains(TagDataProtocol, DataProtocol) && !it.Tags.Contains("data-protocol", DataProtocol) {
		return "", ID{}, Errorf(CodeInvalid, "tag Data-Protocol must be %q", DataProtocol)
	}
	for _, tag := range it.Tags {
		if strings.HasSuffix(tag.Name, "+link") || strings.HasSuffix(tag.Value, "+link") {
			return "", ID{}, Errorf(CodeInvalid, "tag %q cannot contain +link", tag.Name)
		}
	}
	switch kindOf(it.Tags) {
	case KindProcess:
		return KindProcess, it.ID(), checkProcess(it.Tags)
	case KindMessage:
		if it.TargetID().IsZero() {
			return "", ID{}, Errorf(CodeInvalid, "a message needs a target: set it to the id of the process")
		}
		return KindMessage, it.TargetID(), nil
	}
	if !it.Tags.Has(TagType) && !it.Tags.Has("type") {
		return "", ID{}, Errorf(CodeInvalid, "tag Type is missing: it must be Process or Message")
	}
	return "", ID{}, Errorf(CodeInvalid, "tag Type must be Process or Message, not %q", it.Tags.Get(TagType))
}

func kindOf(tags dataitem.Tags) Kind {
	for _, tag := range tags {
		if tag.Name != TagType && tag.Name != "type" {
			continue
		}
		if kind := Kind(tag.Value); kind == KindProcess || kind == KindMessage {
			return kind
		}
	}
	return ""
}

func checkProcess(tags dataitem.Tags) error {
	for _, name := range []string{TagModule, TagScheduler} {
		if tags.Get(name) == "" {
			return Errorf(CodeInvalid, "a process needs the tag %s", name)
		}
	}
	if _, err := ParseID(tags.Get(TagModule)); err != nil {
		return Errorf(CodeInvalid, "tag Module: %w", err)
	}
	if boot, ok := tags.Lookup(TagOnBoot); ok && boot != "Data" {
		if _, err := ParseID(boot); err != nil {
			return Errorf(CodeInvalid, "tag On-Boot must be Data or an id: %w", err)
		}
	}
	if _, err := ReadAuthorities(tags); err != nil {
		return err
	}
	_, err := ParseCrons(tags)
	return err
}

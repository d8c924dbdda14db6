package ao

import (
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/dataitem"
)

func signedItem(t *testing.T, target []byte, tags dataitem.Tags) *dataitem.Item {
	t.Helper()
	signer, err := dataitem.NewEd25519Signer(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	item, err := dataitem.Create(dataitem.Draft{Target: target, Tags: tags}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func TestCheckItem(t *testing.T) {
	module := filledID(9).String()
	target := make([]byte, 32)
	target[0] = 1
	protocol := dataitem.Tag{Name: TagDataProtocol, Value: DataProtocol}
	process := dataitem.Tags{protocol, {Name: TagType, Value: TypeProcess}, {Name: TagModule, Value: module}, {Name: TagScheduler, Value: "me"}}
	message := dataitem.Tags{protocol, {Name: TagType, Value: TypeMessage}}
	cases := []struct {
		name   string
		target []byte
		tags   dataitem.Tags
		kind   Kind
		refuse string // a part of the message; "" when accepted
	}{
		{"a process", nil, process, KindProcess, ""},
		{"a message", target, message, KindMessage, ""},
		{"the first Type that says process or message decides", target, append(dataitem.Tags{{Name: TagType, Value: "Note"}}, message...), KindMessage, ""},
		{"no protocol", target, message[1:], "", "Data-Protocol must be"},
		{"no type", target, message[:1], "", "tag Type is missing"},
		{"other type", target, dataitem.Tags{protocol, {Name: TagType, Value: "Module"}}, "", "must be Process or Message"},
		{"message without target", nil, message, "", "needs a target"},
		{"process without scheduler", nil, process.Without(TagScheduler), "", "needs the tag Scheduler"},
		{"process without module", nil, process.Without(TagModule), "", "needs the tag Module"},
		{"process with a bad module", nil, append(process.Without(TagModule), dataitem.Tag{Name: TagModule, Value: "x"}), "", "not an id"},
		{"bad boot", nil, append(process.Without(), dataitem.Tag{Name: TagOnBoot, Value: "x"}), "", "On-Boot"},
		{"bad cron", nil, append(process.Without(), dataitem.Tag{Name: TagCronInterval, Value: "0-seconds"}), "", "time-based cron cannot be less than 1 second"},
		{"link", target, append(message.Without(), dataitem.Tag{Name: "a+link", Value: "x"}), "", "+link"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			item := signedItem(t, c.target, c.tags)
			kind, process, err := CheckItem(item)
			if c.refuse != "" {
				if err == nil || !strings.Contains(err.Error(), c.refuse) || CodeOf(err) != CodeInvalid {
					t.Fatalf("got %v (%s), want a refusal that says %q", err, CodeOf(err), c.refuse)
				}
				return
			}
			if err != nil || kind != c.kind {
				t.Fatalf("got %q, %v, want %q", kind, err, c.kind)
			}
			want := item.TargetID()
			if kind == KindProcess {
				want = item.ID()
			}
			if process != want {
				t.Fatalf("process %s, want %s", process, want)
			}
		})
	}
}

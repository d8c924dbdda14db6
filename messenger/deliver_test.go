package messenger

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestMessagesAreBuiltAsTheReferenceDoes(t *testing.T) {
	w := newWorld(t)
	sender, target := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "target")
	w.outbox.put(t, sender, 3, engine.EffectMessage, map[string]any{
		"Target": target.String(), "Anchor": anchor, "Data": "hello", "Tags": []map[string]any{
			tag("Data-Protocol", "ao"), tag("Variant", "ao.TN.1"), tag("Type", "Message"), tag("Action", "Say"),
			tag("From-Process", "somebody else"), tag("From-Module", "some other"), tag("Count", 3), tag("List", []int{1, 2}),
		},
	})
	w.deliver()
	items := w.items(target)
	if len(items) != 1 {
		t.Fatalf("%d messages", len(items))
	}
	module := ao.ID{1}
	want := dataitem.Tags{
		{Name: "Variant", Value: "ao.TN.1"}, {Name: "Action", Value: "Say"}, {Name: "Count", Value: "3"}, {Name: "List", Value: "[1,2]"},
		{Name: "Data-Protocol", Value: "ao"}, {Name: "Type", Value: "Message"}, {Name: "From-Process", Value: sender.String()},
		{Name: "From-Module", Value: module.String()}, {Name: "Pushed-For", Value: ao.ID{7}.String()},
	}
	if diff := cmp.Diff(want, items[0].Tags); diff != "" {
		t.Errorf("tags (-want +got):\n%s", diff)
	}
	if string(items[0].Anchor) != anchor || string(items[0].Data) != "hello" || items[0].TargetID() != target {
		t.Errorf("anchor %q, data %q, target %s", items[0].Anchor, items[0].Data, items[0].TargetID())
	}
	if owner := dataitem.AddressOf(items[0].Owner); owner != dataitem.AddressOf(logtest.Signer(t, 2).Owner()) {
		t.Errorf("signed by %s", owner)
	}
	if err := items[0].Verify(); err != nil {
		t.Error(err)
	}
}

func TestDataThatIsNothingBecomesASpace(t *testing.T) {
	for text, want := range map[string]string{
		`{}`: " ", `{"Data":""}`: " ", `{"Data":null}`: " ", `{"Data":false}`: " ", `{"Data":0}`: " ",
		`{"Data":-0.0}`: " ",
		`{"Data":"0"}`:  "0", `{"Data":"false"}`: "false", `{"Data":"null"}`: "null", `{"Data":"\u00e4"}`: "ä", `{"Data":" x"}`: " x", `{"Data":{"a":1}}`: `{"a":1}`, `{"Data":12.5}`: "12.5", `{"Data":true}`: "true",
	} {
		var b body
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			t.Fatal(err)
		}
		if got := string(b.data()); got != want {
			t.Errorf("%s gives %q, want %q", text, got, want)
		}
	}
}

func TestSpawnsStartAProcessAndTellTheParent(t *testing.T) {
	w := newWorld(t)
	parent := logtest.Spawn(t, w.log, "parent")
	module := ao.ID{9}
	effect := w.outbox.put(t, parent, 2, engine.EffectSpawn, map[string]any{
		"Anchor": anchor, "Data": "code", "Tags": []map[string]any{
			tag("Data-Protocol", "ao"), tag("Variant", "ao.TN.1"), tag("Type", "Process"), tag("From-Process", parent.String()),
			tag("From-Module", "what the guest says"), tag("Module", module.String()), tag("Name", "child"), tag("Reference", "5"),
		},
	})
	w.deliver()
	done, _ := w.outbox.effect(effect.Key())
	if len(done.Delivered) != 2 {
		t.Fatalf("delivered %v", done.Delivered)
	}
	entry, err := w.log.Read(t.Context(), done.Delivered[0], 0)
	if err != nil {
		t.Fatal(err)
	}
	child, err := entry.Item()
	if err != nil {
		t.Fatal(err)
	}
	parentModule := ao.ID{1}.String()
	want := dataitem.Tags{
		{Name: "Variant", Value: "ao.TN.1"}, {Name: "From-Process", Value: parent.String()}, {Name: "From-Module", Value: parentModule},
		{Name: "Module", Value: module.String()}, {Name: "Name", Value: "child"}, {Name: "Reference", Value: "5"},
		{Name: "Variant", Value: "ao.TN.1"}, {Name: "Data-Protocol", Value: "ao"}, {Name: "Type", Value: "Process"},
		{Name: "From-Process", Value: parent.String()}, {Name: "Pushed-For", Value: ao.ID{7}.String()}, {Name: "Scheduler", Value: "scheduler"},
	}
	if diff := cmp.Diff(want, child.Tags); diff != "" {
		t.Errorf("the child's tags (-want +got):\n%s", diff)
	}
	if text, shown := child.AnchorText(); shown || string(child.Data) != "code" || len(child.Target) != 0 {
		t.Errorf("the child shows anchor %q, data %q, target %x", text, child.Data, child.Target)
	}
	told := w.items(parent)
	if len(told) != 1 || told[0].ID() != done.Delivered[1] {
		t.Fatalf("the parent got %d messages", len(told))
	}
	want = dataitem.Tags{
		{Name: "From-Process", Value: parent.String()}, {Name: "From-Module", Value: parentModule}, {Name: "Module", Value: module.String()},
		{Name: "Name", Value: "child"}, {Name: "Reference", Value: "5"}, {Name: "Data-Protocol", Value: "ao"}, {Name: "Type", Value: "Message"},
		{Name: "Process", Value: done.Delivered[0].String()}, {Name: "Action", Value: "Spawned"}, {Name: "Variant", Value: "ao.TN.1"},
		{Name: "Pushed-For", Value: ao.ID{7}.String()},
	}
	if diff := cmp.Diff(want, withoutProtocol(told[0].Tags)); diff != "" {
		t.Errorf("the message to the parent (-want +got):\n%s", diff)
	}
	if string(told[0].Data) != " " || len(told[0].Anchor) != 0 {
		t.Errorf("the message to the parent has data %q, anchor %q", told[0].Data, told[0].Anchor)
	}
}

// withoutProtocol drops the guest's own Data-Protocol tag, which stands before
// the messenger's.
func withoutProtocol(tags dataitem.Tags) dataitem.Tags {
	if len(tags) > 0 && tags[0].Name == ao.TagDataProtocol {
		return tags[1:]
	}
	return tags
}

func TestSpawnsKeepTheirOwnScheduler(t *testing.T) {
	effect := engine.Effect{Body: []byte(`{"Tags":[{"name":"Module","value":"m"},{"name":"Scheduler","value":"mine"},{"name":"Variant","value":"ao.N.1"}]}`)}
	draft, _, err := spawnDraft(effect, sender{scheduler: "parent's"})
	if err != nil {
		t.Fatal(err)
	}
	var schedulers, variants []string
	for _, tag := range draft.Tags {
		switch tag.Name {
		case ao.TagScheduler:
			schedulers = append(schedulers, tag.Value)
		case ao.TagVariant:
			variants = append(variants, tag.Value)
		}
	}
	if diff := cmp.Diff([][]string{{"mine"}, {"ao.N.1", "ao.N.1"}}, [][]string{schedulers, variants}); diff != "" {
		t.Errorf("schedulers and variants (-want +got):\n%s", diff)
	}
}

func TestEqualSpawnsAreTwoProcesses(t *testing.T) {
	w := newWorld(t)
	parent := logtest.Spawn(t, w.log, "parent")
	body := map[string]any{"Data": " ", "Tags": []map[string]any{tag("Module", ao.ID{9}.String())}}
	first := w.outbox.put(t, parent, 2, engine.EffectSpawn, body)
	second := w.outbox.put(t, parent, 2, engine.EffectSpawn, body)
	third := w.outbox.put(t, parent, 3, engine.EffectSpawn, body)
	w.deliver()
	seen := map[ao.ID]bool{}
	for _, effect := range []engine.Effect{first, second, third} {
		done, _ := w.outbox.effect(effect.Key())
		seen[done.Delivered[0]] = true
	}
	if len(seen) != 3 || len(w.items(parent)) != 3 {
		t.Errorf("%d processes, %d messages to the parent", len(seen), len(w.items(parent)))
	}
}

func TestAssignments(t *testing.T) {
	w := newWorld(t)
	sender, target := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "target")
	sent := logtest.Append(t, w.log, logtest.MessageItem(t, logtest.Signer(t, 9), sender, "x"))
	assign := w.outbox.put(t, sender, 1, engine.EffectAssign, map[string]any{
		"Processes": []string{target.String()}, "Message": sent.Message.String(), "Exclude": []string{"Data"},
	})
	w.deliver()
	// The tag Assignments has the new message assigned to others too.
	message := message(sender, 1, "y", tag("Assignments", []string{target.String()}))
	both := w.outbox.put(t, sender, 2, engine.EffectMessage, message)
	w.deliver()
	items := w.items(target)
	if len(items) != 2 || items[0] != nil || items[1] != nil {
		t.Fatalf("the target's log holds %d entries, want two bare assignments", len(items))
	}
	entry, err := w.log.Read(t.Context(), target, 1)
	if err != nil {
		t.Fatal(err)
	}
	done, _ := w.outbox.effect(assign.Key())
	if entry.Message != sent.Message || done.Delivered[0] != entry.ID || cmp.Diff([]string{"Data"}, entry.Exclude) != "" {
		t.Errorf("assigned %s without %v as %s", entry.Message, entry.Exclude, entry.ID)
	}
	done, _ = w.outbox.effect(both.Key())
	if entry, err = w.log.Read(t.Context(), target, 2); err != nil || len(done.Delivered) != 2 || done.Delivered[0] != entry.Message || done.Delivered[1] != entry.ID {
		t.Errorf("delivered %v, and the target has %s as %s, %v", done.Delivered, entry.Message, entry.ID, err)
	}
	for _, sent := range w.items(sender)[1:] {
		if sent.Tags.Has("Assignments") {
			t.Error("the tag Assignments is a note to the messenger and was sent")
		}
	}
}

func TestWalletsFindTheirMessagesOnTheWeave(t *testing.T) {
	w := newWorld(t)
	sender := logtest.Spawn(t, w.log, "sender")
	wallet := ao.ID{0xaa}
	effect := w.outbox.put(t, sender, 1, engine.EffectMessage, message(wallet, 1, "notice"))
	w.deliver()
	done, _ := w.outbox.effect(effect.Key())
	if len(w.weave.items) != 1 || w.weave.items[0].TargetID() != wallet || done.Delivered[0] != w.weave.items[0].ID() {
		t.Errorf("uploaded %v, delivered %v", w.weave.items, done.Delivered)
	}
}

// TestEthereumWalletsFindTheirMessages: a process answers such a wallet by the
// address it knows, which is no item's target.
func TestEthereumWalletsFindTheirMessages(t *testing.T) {
	w := newWorld(t)
	sender := logtest.Spawn(t, w.log, "sender")
	const wallet = "0x5d054d55c3893420038f2312be5250b17Ed13B52"
	body := message(ao.ID{}, 1, "notice")
	body["Target"] = wallet
	effect := w.outbox.put(t, sender, 1, engine.EffectMessage, body)
	w.deliver()
	done, _ := w.outbox.effect(effect.Key())
	if len(w.weave.items) != 1 || done.Delivered[0] != w.weave.items[0].ID() {
		t.Fatalf("uploaded %v, delivered %v", w.weave.items, done.Delivered)
	}
	item := w.weave.items[0]
	if len(item.Target) != 0 || item.Tags.Get("Target") != wallet || string(item.Data) != "notice" || item.Verify() != nil {
		t.Errorf("uploaded with target %x, tags %v, data %q", item.Target, item.Tags, item.Data)
	}
}

func TestWhatCannotBeDeliveredIsDeadAndSaysWhy(t *testing.T) {
	w := newWorld(t)
	sender, target := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "target")
	foreign := ao.ID{0xbb}
	w.weave.processes[foreign] = "another"
	w.weave.abroad.fail = func(string, ao.ID) error { return ao.Errorf(ao.CodeInvalid, "it wants none of it") }
	long := strings.Repeat("x", 4000)
	cases := []struct {
		kind engine.EffectKind
		body any
		why  string
	}{
		{engine.EffectMessage, "text", "no message"},
		{engine.EffectMessage, map[string]any{"Anchor": anchor, "Target": "abc"}, "no target that could be"},
		{engine.EffectMessage, map[string]any{"Anchor": "short", "Target": target.String()}, "Anchor has 5 bytes"},
		{engine.EffectMessage, message(foreign, 1, "x"), "wants none of it"},
		{engine.EffectMessage, message(target, 1, "x", tag("Long", long)), "tag"},
		{engine.EffectMessage, message(target, 1, "x", tag("Assignments", []string{"nobody"})), `names process "nobody"`},
		{engine.EffectSpawn, map[string]any{"Tags": []any{}}, "names no Module"},
		{engine.EffectAssign, map[string]any{"Message": target.String()}, "names no process"},
		{engine.EffectAssign, map[string]any{"Processes": []string{"x"}, "Message": target.String()}, `names process "x"`},
		{engine.EffectAssign, map[string]any{"Processes": []string{target.String()}, "Message": "y"}, `names message "y"`},
		{engine.EffectAssign, map[string]any{"Processes": []string{foreign.String()}, "Message": target.String()}, "wants none of it"},
		{engine.EffectAssign, map[string]any{"Processes": []string{ao.ID{0xcc}.String()}, "Message": target.String()}, "is not known"},
		{"dance", map[string]any{}, `what a "dance" is`},
	}
	var effects []engine.Effect
	for i, c := range cases {
		effects = append(effects, w.outbox.put(t, sender, uint64(i+1), c.kind, c.body))
	}
	good := w.outbox.put(t, sender, uint64(len(cases)+1), engine.EffectMessage, message(target, 2, "last"))
	w.deliver()
	for i, c := range cases {
		effect, done := w.outbox.effect(effects[i].Key())
		if done || !effect.Dead || effect.Attempts != 1 || !strings.Contains(effect.Error, c.why) {
			t.Errorf("%s %v: done %v, dead %v after %d attempts: %q, want %q", c.kind, c.body, done, effect.Dead, effect.Attempts, effect.Error, c.why)
		}
	}
	if _, done := w.outbox.effect(good.Key()); !done {
		t.Error("what came after the dead ones was not delivered")
	}
}

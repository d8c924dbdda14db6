package messenger

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// signers names who signed what a process got: "shared", or a messenger's number.
func (w *world) signers(process ao.ID) (names []string) {
	w.Helper()
	for _, item := range w.items(process) {
		if item != nil {
			names = append(names, w.nameOf(item))
		}
	}
	slices.Sort(names)
	return names
}

func (w *world) nameOf(item *dataitem.Item) string {
	w.Helper()
	for seed, name := range map[byte]string{2: "shared", 50: "0", 51: "1", 52: "2"} {
		if item.Address() == dataitem.NativeAddress(logtest.Signer(w.T, seed).Owner()) {
			return name
		}
	}
	return "nobody"
}

// assignedTo names who signed what was assigned to a process, out of another's log
// or from the weave.
func (w *world) assignedTo(process, other ao.ID) (names []string) {
	w.Helper()
	head, err := w.log.Head(w.Context(), process)
	if err != nil {
		w.Fatal(err)
	}
	for nonce := range head.Nonce {
		entry, err := w.log.Read(w.Context(), process, nonce+1)
		if err != nil {
			w.Fatal(err)
		}
		if !entry.IsBare() {
			continue
		}
		for _, item := range append(w.items(other), w.weave.items...) {
			if item != nil && item.ID() == entry.Message {
				names = append(names, w.nameOf(item))
				break
			}
		}
	}
	slices.Sort(names)
	return names
}

// ownVoice is a key that counts for some.
type ownVoice struct {
	key  dataitem.Signer
	with []ao.ID
}

func (v ownVoice) Counts(id ao.ID) bool { return slices.Contains(v.with, id) }

func (v ownVoice) Signer(_ context.Context, id ao.ID) (dataitem.Signer, error) {
	if v.Counts(id) {
		return v.key, nil
	}
	return nil, nil
}

// TestEveryMessengerDeliversWhereItCounts has three messengers carry out the same
// effects, of which only the first owns the sender; two processes count the first
// two messengers' deliveries. Then all die before they noted anything, and do it
// all again.
func TestEveryMessengerDeliversWhereItCounts(t *testing.T) {
	w := newWorld(t)
	counting, alsoCounting := logtest.Spawn(t, w.log, "counting"), logtest.Spawn(t, w.log, "also counting")
	sender, plain, third := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "plain"), logtest.Spawn(t, w.log, "third")
	outboxes := []*memoryOutbox{newOutbox(), newOutbox(), newOutbox()}
	var keys []engine.EffectKey
	for _, outbox := range outboxes {
		keys = nil
		add := func(process ao.ID, nonce uint64, kind engine.EffectKind, body map[string]any) {
			keys = append(keys, outbox.put(t, process, nonce, kind, body).Key())
		}
		add(sender, 1, engine.EffectMessage, message(counting, 1, "x", tag("Assignments", []string{alsoCounting.String(), plain.String()})))
		add(sender, 2, engine.EffectMessage, message(plain, 2, "y"))
		add(sender, 3, engine.EffectMessage, message(third, 3, "z", tag("Assignments", []string{alsoCounting.String()})))
		add(counting, 1, engine.EffectSpawn, map[string]any{"Tags": []map[string]any{tag("Module", ao.ID{9}.String()), tag("From-Process", counting.String())}})
		add(counting, 2, engine.EffectSpawn, map[string]any{"Tags": []map[string]any{tag("Module", ao.ID{9}.String())}})
	}
	for range 2 {
		for i, outbox := range outboxes {
			w.outbox, outbox.done = outbox, map[engine.EffectKey]engine.Effect{}
			w.change = func(o *Options) {
				o.Owns = func(ao.ID) bool { return i == 0 }
				if i < 2 {
					o.Voice = ownVoice{logtest.Signer(t, byte(50+i)), []ao.ID{counting, alsoCounting}}
				}
			}
			m := w.open()
			want := [][]int{{0, 1, 2, 3, 4}, {0, 2, 3, 4}, {}}[i]
			w.eventually(fmt.Sprint("messenger ", i, " did its part"), func() bool {
				for _, k := range want {
					if _, done := outbox.effect(keys[k]); !done {
						return false
					}
				}
				return true
			})
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if len(outbox.done) != len(want) {
				t.Errorf("messenger %d delivered %d effects, not %d", i, len(outbox.done), len(want))
			}
		}
	}
	for process, want := range map[ao.ID][]string{
		counting: {"0", "0", "1", "1", "shared"}, // a message, the word of a child, and of one that is no push
		plain:    {"shared"}, third: {"shared"}, alsoCounting: nil,
	} {
		if diff := cmp.Diff(want, w.signers(process)); diff != "" {
			t.Errorf("%s has items signed by (-want +got):\n%s", process, diff)
		}
	}
	for process, want := range map[ao.ID][]string{alsoCounting: {"0", "0", "1", "1"}, plain: {"shared"}} {
		if diff := cmp.Diff(want, w.assignedTo(process, counting)); diff != "" {
			t.Errorf("%s was assigned items signed by (-want +got):\n%s", process, diff)
		}
	}
	heads, err := w.log.Processes(t.Context(), ao.ID{}, 100)
	if err != nil || len(heads) != 7 {
		t.Errorf("%d processes, want five and two children, %v", len(heads), err)
	}
}

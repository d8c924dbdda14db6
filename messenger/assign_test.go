package messenger

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// TestABaseLayerAssignmentWaitsForBlocks: it is no failed attempt, holds up
// nothing else for the same process, and goes on after a restart.
func TestABaseLayerAssignmentWaitsForBlocks(t *testing.T) {
	w := newWorld(t)
	w.change = func(o *Options) { o.AttemptsMax = 1 }
	sender := logtest.Spawn(t, w.log, "sender")
	target := logtest.Append(t, w.log, logtest.ProcessItem(t, logtest.Signer(t, 9), "deep", dataitem.Tag{Name: ao.TagSettlementDepth, Value: "7"})).Process
	tx := ao.ID{0x71}
	w.weave.put(tx, aolog.Standing{Confirmations: 6, Whole: true})
	effect := w.outbox.put(t, sender, 1, engine.EffectAssign, map[string]any{
		"Processes": []string{target.String()}, "Message": tx.String(), "BaseLayer": true, "Exclude": "Data, Tags",
	})
	w.outbox.put(t, sender, 2, engine.EffectMessage, message(target, 2, "later"))
	for range 2 {
		m := w.open()
		w.eventually("the message behind it is delivered", func() bool { return len(w.items(target)) == 1 })
		w.eventually("it is tried", func() bool {
			waiting, _ := w.outbox.effect(effect.Key())
			return strings.Contains(waiting.Error, "has 6 of 7: try again in 1 blocks")
		})
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if waiting, done := w.outbox.effect(effect.Key()); done || waiting.Dead || waiting.Attempts != 0 || waiting.NextMS == 0 {
		t.Errorf("done %v, dead %v after %d attempts, next at %d", done, waiting.Dead, waiting.Attempts, waiting.NextMS)
	}
	w.weave.put(tx, aolog.Standing{Confirmations: 7, Whole: true})
	w.deliver()
	entry, err := w.log.Read(t.Context(), target, 2)
	if err != nil || entry.Message != tx || cmp.Diff([]string{"Data", "Tags"}, entry.Exclude) != "" {
		t.Errorf("assigned %s without %v, %v", entry.Message, entry.Exclude, err)
	}
}

func TestADepthNobodyLivesToSeeIsGivenUp(t *testing.T) {
	w := newWorld(t)
	sender := logtest.Spawn(t, w.log, "sender")
	target := logtest.Append(t, w.log, logtest.ProcessItem(t, logtest.Signer(t, 9), "deep", dataitem.Tag{Name: ao.TagSettlementDepth, Value: "1000000000"})).Process
	tx := ao.ID{0x71}
	w.weave.put(tx, aolog.Standing{Confirmations: 6, Whole: true})
	effect := w.outbox.put(t, sender, 1, engine.EffectAssign, map[string]any{"Processes": []string{target.String()}, "Message": tx.String(), "BaseLayer": true})
	w.deliver()
	if given, _ := w.outbox.effect(effect.Key()); !given.Dead || !strings.Contains(given.Error, "has 6 of 1000000000") {
		t.Errorf("dead %v: %s", given.Dead, given.Error)
	}
}

// TestNothingIsAssignedThatIsNotThere: a process would wait for it for ever.
func TestNothingIsAssignedThatIsNotThere(t *testing.T) {
	w := newWorld(t)
	w.change = func(o *Options) { o.AttemptsMax = 3 }
	sender, target := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "target")
	missing, late, half := ao.ID{0x81}, ao.ID{0x82}, ao.ID{0x83}
	put := func(nonce uint64, message ao.ID, process ao.ID, more ...string) engine.EffectKey {
		return w.outbox.put(t, sender, nonce, engine.EffectAssign, map[string]any{
			"Processes": []string{process.String()}, "Message": message.String(), "Exclude": more,
		}).Key()
	}
	gone := put(1, missing, target)
	w.deliver()
	if effect, _ := w.outbox.effect(gone); !effect.Dead || effect.Attempts != 3 || !strings.Contains(effect.Error, "Transaction not found") {
		t.Errorf("dead %v after %d attempts: %s", effect.Dead, effect.Attempts, effect.Error)
	}
	// What is not all there is no more there for having been assigned without its
	// data to somebody else.
	w.weave.put(half, aolog.Standing{Confirmations: 1, DataBytes: 5})
	put(2, half, sender, "Data")
	w.deliver()
	part := put(3, half, target)
	w.deliver()
	if effect, _ := w.outbox.effect(part); !effect.Dead || !strings.Contains(effect.Error, "is not all at the gateway") {
		t.Errorf("dead %v: %s", effect.Dead, effect.Error)
	}
	w.weave.put(late, aolog.Standing{Confirmations: 1, Whole: true})
	put(4, late, target)
	w.deliver()
	if head, err := w.log.Head(t.Context(), target); err != nil || head.Nonce != 1 {
		t.Errorf("the target has %+v, %v", head, err)
	}
}

func TestOneBadNameKeepsTheMessageFromNobodyElse(t *testing.T) {
	w := newWorld(t)
	sender, first, second := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "first"), logtest.Spawn(t, w.log, "second")
	names := []string{first.String(), "nobody", second.String()}
	effect := w.outbox.put(t, sender, 1, engine.EffectMessage, message(sender, 1, "y", tag("Assignments", names)))
	w.deliver()
	given, _ := w.outbox.effect(effect.Key())
	if !given.Dead || len(given.Delivered) != 3 || len(w.items(first)) != 1 || len(w.items(second)) != 1 {
		t.Errorf("dead %v, delivered %v", given.Dead, given.Delivered)
	}
}

// TestFieldsOfAssignmentsAreNothingToMessages: a guest may put anything beside
// what a message is made of.
func TestFieldsOfAssignmentsAreNothingToMessages(t *testing.T) {
	w := newWorld(t)
	sender, target := logtest.Spawn(t, w.log, "sender"), logtest.Spawn(t, w.log, "target")
	body := message(target, 1, "y")
	body["Processes"], body["Message"], body["Exclude"], body["BaseLayer"] = "none", map[string]any{}, 5, "no"
	w.outbox.put(t, sender, 1, engine.EffectMessage, body)
	w.deliver()
	if got := w.data(target); len(got) != 1 {
		t.Errorf("delivered %v", got)
	}
}

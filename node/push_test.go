package node

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
)

// TestAPushTriesWhatWasGivenUpOnceMore has a process send a message that arrives
// and two that cannot, of which an operator drops one.
func TestAPushTriesWhatWasGivenUpOnceMore(t *testing.T) {
	var passed atomic.Int64
	n, spawn, eval := openAos(t, func() time.Time { return time.Now().Add(time.Duration(passed.Load())) })
	authority := dataitem.Tag{Name: ao.TagAuthority, Value: n.AuthorityAddress()}
	sender, receiver := spawn("sender", authority), spawn("receiver", authority)
	eval(sender, `ao.send({ Target = "`+receiver.String()+`", Action = "Note", Data = "once" })
		for i = 1, 2 do table.insert(ao.outbox.Messages, { Target = "`+receiver.String()+`", Anchor = "short", Tags = {}, Data = "never" }) end`)
	awaitEntry(t, n, receiver, 1)
	message, err := n.log.Read(t.Context(), sender, 1)
	if err != nil {
		t.Fatal(err)
	}
	outbox := n.engine.Outbox()
	// given waits until an effect is dead because of an attempt after a time.
	given := func(index uint32, afterMS int64) engine.Effect {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			effect, state, err := outbox.Get(engine.EffectKey{Process: sender, Nonce: 1, Index: index})
			if err != nil {
				t.Fatal(err)
			}
			if state == engine.EffectDead && effect.TimeMS > afterMS {
				return effect
			}
			if time.Now().After(deadline) {
				t.Fatalf("effect %d is %s: %+v", index, state, effect)
			}
		}
	}
	before := given(1, 0)
	dropped := given(2, 0)
	if err := outbox.Drop(dropped.Key()); err != nil {
		t.Fatal(err)
	}
	passed.Store(int64(time.Hour))
	var answer struct {
		Message string
		ID      ao.ID
	}
	push := n.Info().URLs.MU + "/push/" + message.Message.String() + "/0?process-id=" + sender.String()
	for range 2 {
		if err := clientOf(n).Do(t.Context(), http.MethodPost, push, "", nil, &answer); err != nil || answer.ID != message.Message {
			t.Fatalf("%+v, %v", answer, err)
		}
	}
	if again := given(1, before.TimeMS); again.Attempts != 1 {
		t.Errorf("it was tried %d times", again.Attempts)
	}
	if _, state, err := outbox.Get(dropped.Key()); err != nil || state != engine.EffectDropped {
		t.Errorf("what was dropped is %s, %v", state, err)
	}
	if head, err := n.log.Head(t.Context(), receiver); err != nil || head.Nonce != 1 {
		t.Errorf("the receiver has %+v, %v", head, err)
	}
}

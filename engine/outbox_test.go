package engine

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

func pendingOf(t *testing.T, o *Outbox) []Effect {
	t.Helper()
	effects, err := o.Pending(t.Context(), EffectKey{}, 100)
	if err != nil {
		t.Fatal(err)
	}
	return effects
}

func TestEffectsStandInDeliveryOrder(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	message := b.send(process, "effects")
	b.result(process, message)
	<-b.Outbox().Changed()
	want := []Effect{
		{Kind: EffectMessage, Body: []byte(`{"Target":"a"}`)},
		{Kind: EffectMessage, Body: []byte(`{"Target":"b"}`)},
		{Kind: EffectSpawn, Body: []byte(`{"Tags":[]}`)},
		{Kind: EffectAssign, Body: []byte(`{"Exclude":["Data"],"Message":"m","Processes":["p"]}`)},
		{Kind: EffectAssign, Body: []byte(`{"Exclude":["Data"],"Message":"m","Processes":["q"]}`)},
	}
	for i := range want {
		want[i].Process, want[i].Nonce, want[i].Index, want[i].Root = process, 1, uint32(i), message
	}
	got := pendingOf(t, b.Outbox())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if count := b.Outbox().Count(); count != 5 {
		t.Errorf("%d are pending", count)
	}
	page, err := b.Outbox().Pending(t.Context(), got[1].Key(), 2)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want[2:4], page); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
}

func TestEffectsDescendFromTheirRoot(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	user := ao.ID{42}
	b.send(process, "effects", dataitem.Tag{Name: ao.TagFromProcess, Value: ao.ID{8}.String()}, dataitem.Tag{Name: ao.TagPushedFor, Value: user.String()})
	last := b.send(process, "effects", dataitem.Tag{Name: ao.TagFromProcess, Value: ao.ID{8}.String()})
	b.result(process, last)
	roots := map[uint64]ao.ID{}
	for _, effect := range pendingOf(t, b.Outbox()) {
		roots[effect.Nonce] = effect.Root
	}
	if diff := cmp.Diff(map[uint64]ao.ID{1: user, 2: {}}, roots); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEffectsOfAssignedMessagesDescendFromTheirRootToo(t *testing.T) {
	user, pushed, plain := ao.ID{42}, ao.ID{1}, ao.ID{2}
	from := dataitem.Tags{{Name: ao.TagFromProcess, Value: ao.ID{8}.String()}, {Name: ao.TagPushedFor, Value: user.String()}}
	b := newBench(t, func(o *Options) {
		o.Items = assigned{pushed: {Tags: from, Data: []byte("effects")}, plain: {Data: []byte("effects")}}
	})
	process := b.spawn()
	for _, message := range []ao.ID{pushed, plain} {
		if _, _, err := b.log.Append(t.Context(), aolog.Proposal{Process: process, Message: message}); err != nil {
			t.Fatal(err)
		}
	}
	b.result(process, plain)
	roots := map[uint64]ao.ID{}
	for _, effect := range pendingOf(t, b.Outbox()) {
		roots[effect.Nonce] = effect.Root
	}
	if diff := cmp.Diff(map[uint64]ao.ID{1: user, 2: plain}, roots); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEffectsAreDeliveredOnce(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.result(process, b.send(process, "effects"))
	effects := pendingOf(t, b.Outbox())
	retried := effects[0]
	retried.Attempts, retried.NextMS, retried.Error = 3, 99, "no answer"
	dead := effects[1]
	dead.Dead, dead.Error = true, "no such target"
	done := effects[2]
	done.Attempts, done.TimeMS, done.Node, done.Delivered = 4, 1_700_000_000_777, "n2", []ao.ID{{1}, {2}}
	for _, err := range []error{b.Outbox().Update(retried), b.Outbox().Update(dead), b.Outbox().Complete(done)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	check := func() {
		t.Helper()
		want := []Effect{retried, effects[3], effects[4]}
		if diff := cmp.Diff(want, pendingOf(t, b.Outbox())); diff != "" {
			t.Errorf("pending (-want +got):\n%s", diff)
		}
		if count := b.Outbox().Count(); count != 3 {
			t.Errorf("%d are pending, not 3", count)
		}
		given, err := b.Outbox().List(t.Context(), OutboxQuery{State: EffectDead, Limit: 10})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Effect{dead}, given); diff != "" {
			t.Errorf("dead (-want +got):\n%s", diff)
		}
	}
	check()
	b.close()
	b.open()
	check()

	// The state is built again, but what is stored stays what it became.
	b.result(process, b.send(process, "add a"))
	check()

	for _, effect := range []Effect{retried, effects[3], effects[4]} {
		if err := b.Outbox().Complete(effect); err != nil {
			t.Fatal(err)
		}
	}
	if left := pendingOf(t, b.Outbox()); len(left) > 0 {
		t.Errorf("%v are pending", left)
	}
	if err := b.Outbox().Redrive(dead.Key()); err != nil {
		t.Fatal(err)
	}
	<-b.Outbox().Changed()
	left := pendingOf(t, b.Outbox())
	if len(left) != 1 || left[0].Index != 1 || left[0].Dead || left[0].Attempts != 0 {
		t.Fatalf("after the redrive %+v is pending", left)
	}
	if err := b.Outbox().Complete(left[0]); err != nil {
		t.Fatal(err)
	}
	all, finished, err := b.Outbox().Effects(EffectKey{Process: process, Nonce: 1})
	if err != nil || len(all) != 5 {
		t.Fatalf("trace is %v, %v", all, err)
	}
	if diff := cmp.Diff(slices.Repeat([]EffectState{EffectDone}, 5), finished); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(done, all[2]); diff != "" {
		t.Errorf("delivered (-want +got):\n%s", diff)
	}
	if err := b.Outbox().Complete(Effect{Process: process, Nonce: 1, Index: 5}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("completing what is not there gives %v", err)
	}
}

func TestEffectsOfLargeResultsStayCheap(t *testing.T) {
	record := outboxRecord{Count: 10_000}
	for index := range record.Count {
		record.touch(Effect{Index: index, Attempts: 1, Error: "no answer", Delivered: []ao.ID{{1}}})
		record.setDone(index)
	}
	if size := len(record.encode()); size > 2000 {
		t.Errorf("a record of 10,000 done effects has %d bytes", size)
	}
	if record.prefix() != keyTrace {
		t.Errorf("it belongs under %s", record.prefix())
	}
}

// TestEffectsAreListedByState goes through effects of all states, of two processes,
// by pages of one.
func TestEffectsAreListedByState(t *testing.T) {
	b := newBench(t, nil)
	o := b.Outbox()
	first, second := b.spawn(), b.spawn()
	for _, process := range []ao.ID{first, second} {
		b.result(process, b.send(process, "effects"))
		b.result(process, b.send(process, "effects"))
	}
	key := func(process ao.ID, nonce uint64, index uint32) EffectKey {
		return EffectKey{Process: process, Nonce: nonce, Index: index}
	}
	give := func(key EffectKey, dead bool) {
		t.Helper()
		effect, _, err := o.Get(key)
		if err == nil {
			effect.Dead, effect.Error, effect.Attempts = dead, "no", 1
			effect.Delivered = []ao.ID{{9}}
			if dead {
				err = o.Update(effect)
			} else {
				err = o.Complete(effect)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	// The first result of the first process: one of each kind. All of its second
	// one's are dead, all of the second process's first are done.
	give(key(first, 1, 0), false)
	give(key(first, 1, 1), true)
	give(key(first, 1, 2), true)
	for i := range uint32(5) {
		give(key(first, 2, i), true)
		give(key(second, 1, i), false)
	}
	if err := o.Drop(key(first, 1, 2)); err != nil {
		t.Fatal(err)
	}
	list := func(process ao.ID, state EffectState) (keys []string) {
		t.Helper()
		var after EffectKey
		for {
			page, err := o.List(t.Context(), OutboxQuery{Process: process, State: state, After: after, Limit: 1})
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				return keys
			}
			after = page[0].Key()
			keys = append(keys, after.String())
		}
	}
	texts := func(process ao.ID, places ...string) (keys []string) {
		for _, place := range places {
			keys = append(keys, process.String()+"/"+place)
		}
		return keys
	}
	for _, c := range []struct {
		process ao.ID
		state   EffectState
		want    []string
	}{
		{first, EffectPending, texts(first, "1/3", "1/4")},
		{first, EffectDead, texts(first, "1/1", "2/0", "2/1", "2/2", "2/3", "2/4")},
		{first, EffectDropped, texts(first, "1/2")},
		{first, EffectDone, texts(first, "1/0")},
		{second, EffectPending, texts(second, "2/0", "2/1", "2/2", "2/3", "2/4")},
		{second, EffectDone, texts(second, "1/0", "1/1", "1/2", "1/3", "1/4")},
		{second, EffectDead, nil},
		{ao.ID{}, EffectDropped, texts(first, "1/2")},
	} {
		if diff := cmp.Diff(c.want, list(c.process, c.state)); diff != "" {
			t.Errorf("%s effects of %s (-want +got):\n%s", c.state, c.process, diff)
		}
	}
	if all := list(ao.ID{}, EffectPending); len(all) != 7 {
		t.Errorf("pending of all: %q", all)
	}
	if s := b.Status(); s.OutboxDead != 6 || s.OutboxPending != 7 {
		t.Errorf("%d dead, %d pending", s.OutboxDead, s.OutboxPending)
	}
	b.close()
	b.open()
	o = b.Outbox()
	if s := b.Status(); s.OutboxDead != 6 || s.OutboxPending != 7 {
		t.Errorf("after a restart: %d dead, %d pending", s.OutboxDead, s.OutboxPending)
	}
	for _, k := range []EffectKey{key(first, 1, 0), key(first, 1, 2), key(first, 1, 3)} {
		if err := o.Redrive(k); ao.CodeOf(err) != ao.CodeConflict {
			t.Errorf("redrive %s: %v", k, err)
		}
		if err := o.Drop(k); ao.CodeOf(err) != ao.CodeConflict {
			t.Errorf("drop %s: %v", k, err)
		}
	}
	for _, k := range []EffectKey{key(first, 1, 9), key(first, 77, 0), key(ao.ID{3}, 1, 0)} {
		if err := o.Drop(k); ao.CodeOf(err) != ao.CodeNotFound {
			t.Errorf("drop %s: %v", k, err)
		}
	}
	if _, err := o.List(t.Context(), OutboxQuery{State: "lost", Limit: 1}); ao.CodeOf(err) != ao.CodeInvalid {
		t.Errorf("another state: %v", err)
	}
}

// TestWhatIsPendingIsCountedBeforeItIsSeen keeps an engine from counting, which
// must keep it from storing a result.
func TestWhatIsPendingIsCountedBeforeItIsSeen(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.result(process, b.send(process, "add a"))
	b.outbox.mu.Lock()
	message := b.send(process, "effects")
	time.Sleep(200 * time.Millisecond)
	nonce, _ := b.Evaluated(process)
	b.outbox.mu.Unlock()
	if nonce != 1 {
		t.Errorf("nonce %d is stored, and its effects are not counted", nonce)
	}
	b.result(process, message)
	if count := b.Outbox().Count(); count != 5 {
		t.Errorf("%d effects are counted", count)
	}
}

func TestEffectKeysAsText(t *testing.T) {
	key := EffectKey{Process: ao.ID{0xfb, 1}, Nonce: 1 << 63, Index: 4_000_000_000}
	if got, err := ParseEffectKey(key.String()); err != nil || got != key {
		t.Errorf("%s gives %v, %v", key, got, err)
	}
	for _, text := range []string{"", "a/1/2", ao.ID{1}.String(), ao.ID{1}.String() + "/1", ao.ID{1}.String() + "/-1/0", ao.ID{1}.String() + "/1/4294967296", ao.ID{1}.String() + "/1/2/3"} {
		if _, err := ParseEffectKey(text); ao.CodeOf(err) != ao.CodeInvalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestNewsAreWhatCameSince: each effect is told once, with a list of all where
// that cannot be known.
func TestNewsAreWhatCameSince(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	send := func(text string, pending int) {
		b.send(process, text)
		// News come between a result that can be read and an engine that is done with it.
		b.eventually("its effects are news", func() bool {
			return b.Outbox().Count() == pending && len(pendingOf(t, b.Outbox())) == pending && b.Status().LaggingMessages == 0
		})
	}
	send("effects 1", 5)
	if _, all, err := b.Outbox().News(); all || err != nil {
		t.Errorf("an outbox that was just opened claims to know all: %v, %v", all, err)
	}
	send("effects 2", 10)
	if effects, all, err := b.Outbox().News(); err != nil || !all || len(effects) != 5 || effects[0].Nonce != 2 {
		t.Errorf("news %v, %v, %v", effects, all, err)
	}
	if effects, all, err := b.Outbox().News(); err != nil || !all || len(effects) != 0 {
		t.Errorf("the same news again: %v, %v, %v", effects, all, err)
	}
	send("effects 3", 15)
	for range newsMax {
		b.Outbox().news.add([]EffectKey{{}})
	}
	if effects, all, err := b.Outbox().News(); err != nil || all || len(effects) != 0 {
		t.Errorf("too much to remember: %v, %v, %v", effects, all, err)
	}
}

package engine

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// keysOf lists effects in a state.
func keysOf(t *testing.T, o *Outbox, q OutboxQuery) (keys []EffectKey) {
	t.Helper()
	q.Limit = 1000
	effects, err := o.List(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	for _, effect := range effects {
		keys = append(keys, effect.Key())
	}
	return keys
}

func park(t *testing.T, o *Outbox, reason string, keys ...EffectKey) {
	t.Helper()
	for _, key := range keys {
		effect, _, err := o.Get(key)
		if err == nil {
			effect.Attempts, effect.Parked = 2, reason
			err = o.Update(effect)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func anybody(ao.ID) bool { return true }

// TestParkedEffectsWaitToBeResumed parks what two messages of a user and one
// process without a root have caused.
func TestParkedEffectsWaitToBeResumed(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	one, two := b.send(process, "effects"), b.send(process, "effects")
	rootless := b.send(process, "effects", dataitem.Tag{Name: ao.TagFromProcess, Value: ao.ID{8}.String()})
	b.result(process, rootless)
	key := func(nonce uint64, index uint32) EffectKey {
		return EffectKey{Process: process, Nonce: nonce, Index: index}
	}
	park(t, b.Outbox(), "too many", key(1, 0), key(1, 1), key(1, 2), key(1, 3), key(1, 4), key(2, 4))
	park(t, b.Outbox(), "too fast", key(3, 0))
	check := func(when string) {
		t.Helper()
		o := b.Outbox()
		want := []ParkedCascade{{one, false, "too many", 5}, {two, false, "too many", 1}, {process, true, "too fast", 1}}
		if string(two[:]) > string(process[:]) {
			want[1], want[2] = want[2], want[1]
		}
		if diff := cmp.Diff(want, o.Cascades()); diff != "" {
			t.Errorf("%s: cascades (-want +got):\n%s", when, diff)
		}
		if s := b.Status(); s.OutboxParked != 7 || s.OutboxPending != 8 || s.OutboxDead != 0 {
			t.Errorf("%s: %d parked, %d pending, %d dead", when, s.OutboxParked, s.OutboxPending, s.OutboxDead)
		}
		if reason := o.Parked(one) + ", " + o.Parked(process) + ", " + o.Parked(ao.ID{9}); reason != "too many, too fast, " {
			t.Errorf("%s: parked for %q", when, reason)
		}
		if got := keysOf(t, o, OutboxQuery{State: EffectParked, Cascade: two}); !cmp.Equal(got, []EffectKey{key(2, 4)}) {
			t.Errorf("%s: of the second message %v are parked", when, got)
		}
		if got := keysOf(t, o, OutboxQuery{State: EffectPending, Cascade: one}); got != nil {
			t.Errorf("%s: of the first message %v are pending", when, got)
		}
	}
	check("at first")
	b.close()
	b.open()
	check("after a restart")

	o := b.Outbox()
	if err := o.Redrive(key(1, 0)); ao.CodeOf(err) != ao.CodeConflict {
		t.Errorf("a parked effect is redriven: %v", err)
	}
	if err := o.Drop(key(1, 4)); err != nil {
		t.Fatal(err)
	}
	if effect, state, err := o.Get(key(1, 4)); state != EffectDropped || effect.Error != "too many" || err != nil {
		t.Errorf("the dropped one is %s for %q, %v", state, effect.Error, err)
	}
	if n, err := o.Resume(t.Context(), one, func(ao.ID) bool { return false }); n != 0 || err != nil {
		t.Errorf("a stranger resumed %d, %v", n, err)
	}
	if n, err := o.Resume(t.Context(), one, anybody); n != 4 || err != nil {
		t.Fatalf("resumed %d, %v", n, err)
	}
	effect, state, err := o.Get(key(1, 0))
	if err != nil || state != EffectPending || effect.Attempts != 2 || o.Parked(one) != "" {
		t.Errorf("it is %s after %d attempts, parked for %q, %v", state, effect.Attempts, o.Parked(one), err)
	}
	if n, err := o.Resume(t.Context(), ao.ID{}, anybody); n != 2 || err != nil || len(o.Cascades()) != 0 {
		t.Errorf("resumed %d of the rest, %v; %v are parked", n, err, o.Cascades())
	}
}

func TestDeliveriesAsStored(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.result(process, b.send(process, "effects"))
	o := b.Outbox()
	effect, _, err := o.Get(EffectKey{Process: process, Nonce: 1})
	if err != nil {
		t.Fatal(err)
	}
	ids := []ao.ID{{1}, {2}}
	for _, want := range []delivery{{}, {ids: ids}, {attempts: 7, timeMS: 1 << 50, node: "n1", ids: ids}, {node: "a node", ids: nil}} {
		want.tell(&effect)
		entry := deliveryOf(effect).entry(effect.Key())
		got, err := decodeDelivery(entry.UserMeta, entry.Value)
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(delivery{})); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		for cut := range len(entry.Value) {
			if _, err := decodeDelivery(entry.UserMeta, entry.Value[:cut]); err == nil && (cut-deliveryHeaderBytes-len(want.node))%32 != 0 {
				t.Errorf("the first %d of %d bytes are taken for a delivery", cut, len(entry.Value))
			}
		}
	}
	// Ids alone, without a version.
	if got, err := decodeDelivery(0, append(ids[0][:], ids[1][:]...)); err != nil || !cmp.Equal(got.ids, ids) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeDelivery(2, make([]byte, 64)); err == nil {
		t.Error("a later version is taken for this one")
	}
}

// TestWhenAMessageWasEvaluatedIsKept: the time stands beside the result and is not
// part of it.
func TestWhenAMessageWasEvaluatedIsKept(t *testing.T) {
	clock := new(ticking)
	clock.Store(1_800_000_000_000)
	b := newBench(t, func(o *Options) { o.Now = func() time.Time { return time.UnixMilli(clock.Add(1)) } })
	process := b.spawn()
	b.result(process, b.send(process, "add a"))
	_, at, ok, err := b.Stored(process, 1)
	if err != nil || !ok || at <= 1_800_000_000_000 || at > clock.Load() {
		t.Fatalf("evaluated at %d, %v, %v; it is %d", at, ok, err, clock.Load())
	}
	b.close()
	b.open()
	if _, again, ok, err := b.Stored(process, 1); again != at || !ok || err != nil {
		t.Errorf("after a restart it was evaluated at %d, not at %d, %v", again, at, err)
	}
	if _, _, ok, err := b.Stored(process, 2); ok || err != nil {
		t.Errorf("what is not evaluated: %v, %v", ok, err)
	}
	stored, err := b.store.record(process, place{nonce: 1})
	if err != nil {
		t.Fatal(err)
	}
	untimed := stored.encode()
	untimed = append(untimed[:recordHeaderBytesUntimed], untimed[recordHeaderBytes:]...)
	untimed[0] = recordVersionUntimed
	old, err := decodeRecord(untimed)
	if err != nil || old.evaluatedMS != 0 || string(old.result) != string(stored.result) || old.message != stored.message {
		t.Errorf("without a time: %+v, %v", old, err)
	}
	for _, bad := range [][]byte{nil, untimed[:recordHeaderBytesUntimed-1], stored.encode()[:recordHeaderBytes-1], append([]byte{3}, untimed[1:]...)} {
		if _, err := decodeRecord(bad); err == nil {
			t.Errorf("%x is taken for an evaluation", bad)
		}
	}
}

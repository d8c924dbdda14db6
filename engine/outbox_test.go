package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
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
	done.Delivered = []ao.ID{{1}, {2}}
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
		given, err := b.Outbox().Dead(t.Context(), 10)
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
	all, finished, err := b.Outbox().Effects(process, 1)
	if err != nil || len(all) != 5 {
		t.Fatalf("trace is %v, %v", all, err)
	}
	if diff := cmp.Diff([]bool{true, true, true, true, true}, finished); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]ao.ID{{1}, {2}}, all[2].Delivered); diff != "" {
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

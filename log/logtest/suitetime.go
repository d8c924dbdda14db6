package logtest

import (
	"slices"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/log"
)

// testPromises holds a log to its word: what comes after a promise is later.
func testPromises(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	before, err := l.Head(t.Context(), process)
	if err != nil {
		t.Fatal(err)
	}
	ahead := before.TimestampMS + 1<<40
	head, err := l.Promise(t.Context(), log.Promise{Process: process, UntilMS: ahead})
	if err != nil {
		t.Fatal(err)
	}
	if head.PromisedMS < before.TimestampMS || head.PromisedMS >= ahead || head.Nonce != before.Nonce || head.Assignment != before.Assignment {
		t.Errorf("promised until %d at nonce %d, with a clock that was at %d", head.PromisedMS, head.Nonce, before.TimestampMS)
	}
	again, err := l.Promise(t.Context(), log.Promise{Process: process, UntilMS: before.TimestampMS})
	if err != nil || again.PromisedMS != head.PromisedMS {
		t.Errorf("an earlier promise gives %d, %v", again.PromisedMS, err)
	}
	entry := Append(t, l, MessageItem(t, Signer(t, 9), process, "later"))
	if entry.TimestampMS <= head.PromisedMS {
		t.Errorf("an entry at %d, and %d was promised", entry.TimestampMS, head.PromisedMS)
	}
	if after, err := l.Head(t.Context(), process); err != nil || after.PromisedMS != 0 {
		t.Errorf("behind the entry %d is promised, %v", after.PromisedMS, err)
	}
	if _, err := l.Promise(t.Context(), log.Promise{Process: ao.ID{1}, UntilMS: 1}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("a promise for a stranger gives %v", err)
	}
}

// testSkips leaves time out, and remembers behind which place.
func testSkips(t *testing.T, l log.Log) {
	process := Spawn(t, l, "a")
	later := int64(1) << 60 // the log's own clock decides
	first, err := l.Promise(t.Context(), log.Promise{Process: process, UntilMS: later})
	if err != nil {
		t.Fatal(err)
	}
	second := first
	for second.PromisedMS == first.PromisedMS {
		if second, err = l.Promise(t.Context(), log.Promise{Process: process, UntilMS: later, Skip: true}); err != nil {
			t.Fatal(err)
		}
	}
	from := max(first.TimestampMS, first.PromisedMS)
	want := []log.Skip{{Process: process, FromMS: from, UntilMS: second.PromisedMS}}
	if skips, err := l.Skips(t.Context(), process, 0); err != nil || !slices.Equal(skips, want) {
		t.Errorf("skips %+v, %v, want %+v", skips, err, want)
	}
	Append(t, l, MessageItem(t, Signer(t, 9), process, "x"))
	if skips, err := l.Skips(t.Context(), process, 1); err != nil || len(skips) != 0 {
		t.Errorf("the next place has skips %+v, %v", skips, err)
	}
}

// testWatches notes who is watched.
func testWatches(t *testing.T, l log.Log) {
	a, b := Spawn(t, l, "a"), Spawn(t, l, "b")
	for i, c := range []struct {
		process ao.ID
		on      bool
		changed bool
	}{{a, true, true}, {a, true, false}, {b, true, true}, {b, false, true}, {b, false, false}} {
		if changed, err := l.Watch(t.Context(), c.process, c.on); err != nil || changed != c.changed {
			t.Errorf("step %d: changed %v, %v", i, changed, err)
		}
	}
	// What was said in one millisecond is said once: the last of it.
	said, err := l.Watches(t.Context(), b)
	if err != nil || len(said) == 0 || len(said) > 2 || said[len(said)-1].On || !said[0].On && len(said) > 1 || said[0].FromMS > said[len(said)-1].FromMS {
		t.Errorf("of b was said %+v, %v", said, err)
	}
	head, err := l.Head(t.Context(), a)
	said, errA := l.Watches(t.Context(), a)
	if err != nil || errA != nil || len(said) != 1 || said[0].FromMS < head.TimestampMS || said[0].FromMS != head.PromisedMS {
		t.Errorf("of a was said %+v, %v, and its head is %+v, %v", said, errA, head, err)
	}
	if list, err := l.Watched(t.Context(), ao.ID{}, 10); err != nil || !slices.Equal(list, []ao.ID{a}) {
		t.Errorf("watched %v, %v", list, err)
	}
	if list, err := l.Watched(t.Context(), a, 10); err != nil || len(list) != 0 {
		t.Errorf("watched after the last %v, %v", list, err)
	}
	if _, err := l.Watch(t.Context(), ao.ID{1}, true); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("a stranger gives %v", err)
	}
}

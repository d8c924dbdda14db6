package engine

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/log/memory"
	"github.com/wallaby-ao/wallaby/vm"
)

// unfollowed is a log that an engine only replays.
type unfollowed struct{ *memory.Log }

func (unfollowed) Groups() []uint32 { return nil }

// replayEngine opens an engine beside another that does nothing but replays.
func replayEngine(t *testing.T, b *bench) *Engine {
	t.Helper()
	db := openDB(t, t.TempDir())
	e, err := Open(t.Context(), Options{
		Log: unfollowed{b.log}, DB: db, Drivers: append([]vm.Driver{b.driver}, twistedDrivers(b.driver)...), Modules: b.modules,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// TestAReplayGoesOnWhereItWasStopped stops a replay, goes on with it, and compares
// it with one that was never stopped.
func TestAReplayGoesOnWhereItWasStopped(t *testing.T) {
	b := newBench(t, func(o *Options) {
		o.Drivers = append(o.Drivers, twistedDrivers(o.Drivers[0].(*testDriver))...)
	})
	p := b.spawn()
	for i := range 9 {
		b.send(p, fmt.Sprintf("add %d", i))
	}
	other := replayEngine(t, b)
	var told []ReplayResult
	var begun []uint64
	run := func(machines []string, have uint64, stopAt int) (Replay, error) {
		var state Replay
		err := other.ReplayWith(t.Context(), p, ReplayOptions{
			Machines: machines, Have: have, KeepAfter: 1,
			Keep: func() error { return nil },
			Begin: func(nonce uint64) error {
				begun, told = append(begun, nonce), told[:nonce]
				return nil
			},
			Result: func(r ReplayResult) error {
				if told = append(told, r); len(told) == stopAt {
					return errStop
				}
				return nil
			},
			Progress: func(s Replay) error { state = s; return nil },
		})
		return state, err
	}
	if _, err := run([]string{"test", "same"}, 0, 6); !errors.Is(err, errStop) {
		t.Fatalf("got %v", err)
	}
	whole, err := run([]string{"test", "same"}, uint64(len(told)), 0)
	if err != nil {
		t.Fatal(err)
	}
	all := told
	again, err := run([]string{"test"}, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]uint64{0, 5, 0}, begun); diff != "" {
		t.Fatal(diff)
	}
	if diff := cmp.Diff(told, all); diff != "" {
		t.Fatal(diff)
	}
	if again.Machines[0].Results != whole.Machines[1].Results || again.Machines[0].Root != whole.Machines[1].Root || whole.Messages != again.Messages {
		t.Fatalf("%+v, at one go %+v", whole, again)
	}
}

var errStop = errors.New("stop")

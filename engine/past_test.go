package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
)

// rememberedRoots gives the root behind each nonce and each tick of a process.
func (b *bench) rememberedRoots(process ao.ID, last uint64, ticks map[uint64]uint64) (roots []string) {
	b.Helper()
	for nonce := range last + 1 {
		for tick := range ticks[nonce] + 1 {
			root, err := b.RootAt(b.Context(), process, nonce, tick)
			if err != nil {
				b.Fatalf("nonce %d, tick %d: %v", nonce, tick, err)
			}
			roots = append(roots, fmt.Sprintf("%d.%d %s", root.Nonce, root.Tick, root.Root))
		}
	}
	return roots
}

// TestThePastIsAsItWas asks for the state behind every nonce while the process goes
// on, from many snapshots, from few and from none, and compares it with what was
// answered then.
func TestThePastIsAsItWas(t *testing.T) {
	var want []string
	for name, change := range map[string]func(*Options){
		"without snapshots": func(o *Options) { o.SnapshotAfterMS, o.SnapshotWorthMS = 1<<40, 1<<40 },
		"with snapshots":    func(o *Options) { o.SnapshotAfterMessages = 7 },
		"with roots kept":   func(o *Options) { o.RootEvery, o.SnapshotAfterMessages = 3, 10 },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, change)
			process := b.spawn()
			var outputs []string
			for i := range 30 {
				command := []string{"add ", "add ", "trap ", "error "}[i%4] + itoa(int64(i))
				evaluation := b.result(process, b.send(process, command))
				if evaluation.Result.Error == nil {
					outputs = append(outputs, string(evaluation.Result.Output))
				} else {
					outputs = append(outputs, outputs[len(outputs)-1])
				}
			}
			for _, nonce := range []uint64{30, 3, 17, 16, 18, 1, 29} {
				was := outputs[nonce-1]
				got, err := b.DryRunAt(t.Context(), process, DryRunMessage{Owner: "o", Data: text("add tried")}, nonce, 0)
				if err != nil {
					t.Fatal(err)
				}
				if want := was[:len(was)-1] + `,tried"`; string(got.Output) != want {
					t.Errorf("nonce %d answers %s, not %s", nonce, got.Output, want)
				}
				var memory bytes.Buffer
				state, err := b.StateAt(t.Context(), process, nonce, 0)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := state.WriteTo(&memory); err != nil {
					t.Error(err)
				}
				root, err := state.Root()
				if at, rootErr := b.RootAt(t.Context(), process, nonce, 0); err != nil || rootErr != nil || at.Root != root {
					t.Errorf("nonce %d has root %s, its state %s: %v, %v", nonce, at.Root, root, err, rootErr)
				}
				if err := state.Close(); err != nil {
					t.Error(err)
				}
				words := bytes.ReplaceAll([]byte(was[1:len(was)-1]), []byte(","), []byte("\n"))
				if !bytes.HasPrefix(memory.Bytes()[4:], words) || state.Nonce != nonce {
					t.Errorf("the state at nonce %d is of nonce %d and begins with %q", nonce, state.Nonce, memory.Bytes()[:40])
				}
			}
			roots := b.rememberedRoots(process, 30, nil)
			if want == nil {
				want = roots
			}
			if diff := cmp.Diff(want, roots); diff != "" {
				t.Errorf("roots (-before +now):\n%s", diff)
			}
			if newest, err := b.Root(t.Context(), process); err != nil || fmt.Sprintf("30.0 %s", newest.Root) != roots[30] {
				t.Errorf("the newest root is %+v, %v", newest, err)
			}
			if got := b.output(process, b.send(process, "add on")); got != outputs[29][:len(outputs[29])-1]+`,on"` {
				t.Errorf("afterwards the output is %s", got)
			}
			if status := b.Status(); status.DivergencesTotal != 0 {
				t.Errorf("%d divergences", status.DivergencesTotal)
			}
		})
	}
}

func TestTicksHaveAPast(t *testing.T) {
	var want []string
	for _, every := range []uint64{1 << 40, 3} {
		clock := newCronClock()
		b := newBenchAt(t, clock.now, func(o *Options) { o.SnapshotAfterMessages = every })
		process := b.spawn(cron("1-second", "count")...)
		ticks := map[uint64]uint64{}
		for nonce := range uint64(4) {
			if nonce > 0 {
				b.result(process, b.send(process, "add "+itoa(int64(nonce))))
			}
			clock.pass(5 * time.Second)
			b.promise(process, false)
			b.passTime(process)
			for _, _, ok, _ := b.StoredTick(process, nonce, ticks[nonce]+1); ok; _, _, ok, _ = b.StoredTick(process, nonce, ticks[nonce]+1) {
				ticks[nonce]++
			}
		}
		if ticks[0] < 4 || ticks[3] < 4 {
			t.Fatalf("ticks are %v", ticks)
		}
		roots := b.rememberedRoots(process, 3, ticks)
		if want == nil {
			want = roots
		}
		if diff := cmp.Diff(want, roots); diff != "" {
			t.Errorf("(-without snapshots +with):\n%s", diff)
		}
		if state, err := b.StateAt(t.Context(), process, 1, ticks[1]); err != nil || state.Tick != ticks[1] {
			t.Errorf("state is %+v, %v", state, err)
		} else if err := state.Close(); err != nil {
			t.Error(err)
		}
		if _, err := b.RootAt(t.Context(), process, 1, ticks[1]+1); ao.CodeOf(err) != ao.CodeNotFound {
			t.Errorf("a tick that never was gives %v", err)
		}
	}
}

func TestKeptRootsAreReadAndOthersAreOneStepAway(t *testing.T) {
	b := newBench(t, func(o *Options) { o.RootEvery = 4 })
	process := b.spawn()
	var last ao.ID
	for i := range 12 {
		last = b.send(process, "add "+itoa(int64(i)))
	}
	b.result(process, last)
	runs := func(nonce uint64) int64 {
		t.Helper()
		before := b.driver.runs.Load()
		root, err := b.RootAt(t.Context(), process, nonce, 0)
		if err != nil {
			t.Fatal(err)
		}
		if root.Process != process || root.Nonce != nonce || root.Snapshot || root.Root.IsZero() {
			t.Errorf("nonce %d has %+v", nonce, root)
		}
		return b.driver.runs.Load() - before
	}
	for nonce, want := range []int64{0: 0, 4: 0, 8: 0, 12: 0} {
		if nonce%4 == 0 && runs(uint64(nonce)) != want {
			t.Errorf("messages ran for the root at nonce %d", nonce)
		}
	}
	if got := []int64{runs(5), runs(6), runs(6), runs(3)}; !cmp.Equal(got, []int64{6, 1, 0, 4}) {
		t.Errorf("%v messages ran for nonces 5, 6, 6 and 3", got)
	}
	if stored := b.countKeys(keyStateRoot); stored != 4 {
		t.Errorf("%d roots are stored", stored)
	}
}

func TestThePastHasBounds(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	close(b.driver.gate)
	b.result(process, b.send(process, "wait"))
	<-b.driver.stuck
	b.result(process, b.send(process, "add a"))
	if _, err := b.RootAt(t.Context(), process, 3, 0); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("a nonce to come gives %v", err)
	}
	if _, err := b.StateAt(t.Context(), ao.ID{9}, 0, 0); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("an unknown process gives %v", err)
	}
	if _, err := b.DryRunAt(t.Context(), process, DryRunMessage{}, 1, 0); ao.CodeOf(err) != ao.CodeInvalid {
		t.Errorf("nobody's message gives %v", err)
	}
	// Whoever asks goes away in the middle: the way back ends there.
	b.driver.gate = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1+pastQueueMax)
	ask := func() { _, err := b.RootAt(ctx, process, 1, 0); done <- err }
	go ask()
	<-b.driver.stuck
	for range pastQueueMax {
		go ask()
	}
	b.eventually("the others wait", func() bool { return b.past.pool.count() == 1+pastQueueMax })
	if _, err := b.RootAt(t.Context(), process, 2, 0); ao.CodeOf(err) != ao.CodeRateLimited {
		t.Errorf("one too many gives %v", err)
	}
	cancel()
	for range 1 + pastQueueMax {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("the one who went away gets %v", err)
		}
	}
	close(b.driver.gate)
	if _, err := b.RootAt(t.Context(), process, 1, 0); err != nil {
		t.Error(err)
	}
}

func TestAPastThatCannotBeRepeatedIsRefused(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	b.result(process, b.send(process, "add a"))
	b.result(process, b.send(process, "add b"))
	key := placeKey(keyRecord, process, place{nonce: 1})
	stored, err := b.store.record(process, place{nonce: 1})
	if err != nil {
		t.Fatal(err)
	}
	stored.result = []byte(`{"Output":"another"}`)
	b.put(key, stored.encode())
	if _, err := b.RootAt(t.Context(), process, 2, 0); ao.CodeOf(err) != ao.CodeInternal {
		t.Errorf("it gives %v", err)
	}
}

func TestADryRunOnAnOldMessage(t *testing.T) {
	b := newBench(t, nil)
	process := b.spawn()
	old := b.send(process, "add a")
	newest := b.send(process, "add b")
	for to, want := range map[ao.ID]string{old: `",a,c"`, newest: `",a,b,c"`} {
		got, err := b.DryRun(t.Context(), process, DryRunMessage{Owner: "o", Data: text("add c")}, &to)
		if err != nil || string(got.Output) != want {
			t.Errorf("result is %s, %v, not %s", got.JSON(), err, want)
		}
	}
}

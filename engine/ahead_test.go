package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
)

// lagging is an engine on a log whose first message it cannot get past yet, with
// what an engine that had evaluated all of it answered.
type lagging struct {
	*bench
	process ao.ID
	ids     []ao.ID // of the messages, from nonce 1 on
	outputs []string
	asked   []uint64 // pairs: from which nonce to which a state was looked for
	offer   *Vouched
	fails   error
}

// stateAt keeps the state behind a nonce.
func (b *bench) stateAt(process ao.ID, nonce uint64) *Vouched {
	b.Helper()
	state, err := b.StateAt(b.Context(), process, nonce, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer state.Close()
	kept := vm.NewState()
	if err := state.Snapshot(kept); err != nil {
		b.Fatal(err)
	}
	root, err := state.Root()
	if err != nil {
		b.Fatal(err)
	}
	return &Vouched{Nonce: nonce, Root: root, State: kept.Reader()}
}

// openLagging evaluates a log, keeps the state behind one of its nonces and starts
// again with nothing else.
func openLagging(t *testing.T, at uint64, tags ...dataitem.Tag) *lagging {
	t.Helper()
	l := &lagging{bench: newBench(t, nil)}
	close(l.driver.gate)
	l.process = l.spawn(tags...)
	for i, command := range []string{"wait w", "add a", "error x", "add b", "add c", "trap y", "add d", "add e"} {
		l.ids = append(l.ids, l.send(l.process, command))
		evaluation := l.result(l.process, l.ids[i])
		l.outputs = append(l.outputs, string(evaluation.Result.JSON()))
	}
	l.offer = l.stateAt(l.process, at)
	l.close()
	if err := l.db.Close(); err != nil {
		t.Fatal(err)
	}
	l.dir, l.driver = t.TempDir(), newTestDriver()
	l.db = openDB(t, l.dir)
	l.change = func(o *Options) {
		o.AheadMessages = 2
		o.Vouched = func(_ context.Context, process ao.ID, first, last uint64) (*Vouched, error) {
			if process != l.process {
				t.Errorf("asked for process %s", process)
			}
			l.asked = append(l.asked, first, last)
			return l.offer, l.fails
		}
	}
	l.open()
	<-l.driver.stuck
	return l
}

func (l *lagging) answer(nonce uint64) string {
	return string(l.result(l.process, l.ids[nonce-1]).Result.JSON())
}

// TestReadsAreAnsweredFromAVouchedState stops the evaluation at nonce 1, and reads
// what lies behind a state of nonce 4.
func TestReadsAreAnsweredFromAVouchedState(t *testing.T) {
	l := openLagging(t, 4)
	for _, nonce := range []uint64{8, 6, 5, 7, 8} {
		if got := l.answer(nonce); got != l.outputs[nonce-1] {
			t.Errorf("nonce %d answers %s, and answered %s", nonce, got, l.outputs[nonce-1])
		}
	}
	tried, err := l.DryRun(t.Context(), l.process, DryRunMessage{Owner: "o", Data: text("add tried")}, nil)
	if err != nil || !strings.Contains(string(tried.Output), "a,b,c,d,e,tried") {
		t.Errorf("a dry run answers %s, %v", tried.Output, err)
	}
	tried, err = l.DryRunAt(t.Context(), l.process, DryRunMessage{Owner: "o", Data: text("add tried")}, 5, 0)
	if err != nil || !strings.Contains(string(tried.Output), "a,b,c,tried") {
		t.Errorf("a dry run at nonce 5 answers %s, %v", tried.Output, err)
	}
	root, err := l.RootAt(t.Context(), l.process, 4, 0)
	if err != nil || root.Root != l.offer.Root {
		t.Errorf("the root at nonce 4 is %+v, %v", root, err)
	}
	newest, err := l.Root(t.Context(), l.process)
	if err != nil || newest.Nonce != 8 {
		t.Errorf("the newest root is %+v, %v", newest, err)
	}
	if len(l.asked) != 2 || l.asked[0] > 1 || l.asked[1] != 8 {
		t.Errorf("a state was looked for in %v", l.asked)
	}

	// Nothing of it is an evaluation of the node's own.
	if nonce, ok := l.Evaluated(l.process); ok && nonce > 0 {
		t.Errorf("nonce %d counts as evaluated", nonce)
	}
	page, err := l.Results(t.Context(), l.process, ResultsQuery{Limit: 100})
	if err != nil || len(page.Evaluations) > 1 {
		t.Errorf("%d results are listed, %v", len(page.Evaluations), err)
	}

	// What lies before the state waits for the replay, and then all is as it was.
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.Result(ctx, l.process, l.ids[1]); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nonce 2 did not wait: %v", err)
	}
	close(l.driver.gate)
	for nonce := uint64(1); nonce <= 8; nonce++ {
		if got := l.answer(nonce); got != l.outputs[nonce-1] {
			t.Errorf("evaluated, nonce %d answers %s, and answered %s", nonce, got, l.outputs[nonce-1])
		}
	}
	own, err := l.Root(t.Context(), l.process)
	if err != nil || own.Root != newest.Root {
		t.Errorf("the root is %s, and was %s ahead", own.Root, newest.Root)
	}
	if l.counters.divergences.Load() != 0 {
		t.Error("a right checkpoint counts as a divergence")
	}
}

// TestAVouchedStateThatIsWrongIsFoundOut has the replay come to the place of a state
// that is another one.
func TestAVouchedStateThatIsWrongIsFoundOut(t *testing.T) {
	l := openLagging(t, 4)
	l.offer.Root[0] ^= 1
	if got := l.answer(8); got != l.outputs[7] {
		t.Fatalf("nonce 8 answers %s", got)
	}
	close(l.driver.gate)
	l.eventually("the replay has come to nonce 8", func() bool { nonce, _ := l.Evaluated(l.process); return nonce == 8 })
	if l.counters.divergences.Load() != 1 {
		t.Error("nobody noticed that the checkpoint was wrong")
	}
	if l.ahead.known(l.process) != nil {
		t.Error("the checkpoint is still used")
	}
}

// TestNoVouchedStateMeansWaiting has no state, one that fails, and processes for
// which none may be used.
func TestNoVouchedStateMeansWaiting(t *testing.T) {
	for name, c := range map[string]struct {
		tags   []dataitem.Tag
		change func(*lagging)
		asked  int
	}{
		"none":      {change: func(l *lagging) { l.offer = nil }, asked: 1},
		"a failure": {change: func(l *lagging) { l.offer, l.fails = nil, errors.New("the gateway is away") }, asked: 1},
		"too new":   {change: func(l *lagging) { l.offer.Nonce = 9 }, asked: 1},
		"a quorum": {tags: []dataitem.Tag{
			{Name: ao.TagAuthority, Value: "0x" + strings.Repeat("1", 40)}, {Name: ao.TagAuthority, Value: "0x" + strings.Repeat("2", 40)}, {Name: ao.TagAuthorityQuorum, Value: "2/2"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := openLagging(t, 4, c.tags...)
			if c.change != nil {
				c.change(l)
			}
			for range 2 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				if _, err := l.Result(ctx, l.process, l.ids[7]); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("nonce 8 did not wait: %v", err)
				}
				cancel()
			}
			if len(l.asked) != 2*c.asked {
				t.Errorf("a state was looked for %d times, not %d", len(l.asked)/2, c.asked)
			}
			close(l.driver.gate)
			if got := l.answer(8); got != l.outputs[7] {
				t.Errorf("nonce 8 answers %s", got)
			}
		})
	}
}

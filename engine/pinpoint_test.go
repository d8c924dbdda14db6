package engine

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/diff"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
	"github.com/wallaby-ao/wallaby/vm"
)

// pinpoint replays a process on machines and gives where they differ.
func pinpoint(t *testing.T, e *Engine, process ao.ID, machines ...string) *ReplayDivergence {
	t.Helper()
	var state Replay
	err := e.ReplayWith(t.Context(), process, ReplayOptions{
		Machines: machines, Pinpoint: true, Progress: func(s Replay) error { state = s; return nil },
	})
	if err != nil || !state.Done {
		t.Fatalf("replay: %+v, %v", state, err)
	}
	return state.Divergence
}

// TestADifferenceIsTracedToWhereStatesPart lets a state rot at any of many messages, of
// which no result tells.
func TestADifferenceIsTracedToWhereStatesPart(t *testing.T) {
	for _, at := range []int{1, 50, 99, 100, 101, 230} {
		b := newShadowBench(t, nil)
		p := b.spawn()
		for i := 1; i <= 230; i++ {
			data := fmt.Sprint("add ", i)
			if i == at {
				data = "add odd"
			}
			b.send(p, data)
		}
		d := pinpoint(t, b.Engine, p, "test", "same", "rotten")
		if d == nil || d.Nonce != uint64(at) || d.VM != "rotten" || d.Against != "test" || d.States == nil {
			t.Fatalf("rotten at %d: %+v", at, d)
		}
		if s := d.States; s.RootA == s.RootB || s.PagesTotal+len(s.Sections) == 0 {
			t.Errorf("rotten at %d: states differ in %+v", at, s)
		}
		if d := pinpoint(t, b.Engine, p, "test", "wrong"); d == nil || d.Nonce != uint64(at) || len(diff.Fields([]byte(d.Wanted), []byte(d.Result))) == 0 {
			t.Errorf("wrong at %d: %+v", at, d)
		}
		if d := pinpoint(t, b.Engine, p, "test", "same"); d != nil {
			t.Errorf("machines that agree differ: %+v", d)
		}
	}
}

// bent is a machine that reads another text in a message than there is.
type bent struct {
	vm.Driver
	old, with string
}

func (bent) Name() string { return "bent" }

func (d bent) Load(ctx context.Context, source vm.Source) (vm.Module, error) {
	m, err := d.Driver.Load(ctx, source)
	return bentModule{m, d}, err
}

type bentModule struct {
	vm.Module
	driver bent
}

func (m bentModule) New(ctx context.Context, config vm.Config, snapshot vm.SnapshotReader) (vm.Process, error) {
	p, err := m.Module.New(ctx, config, snapshot)
	return bentProcess{p, m.driver}, err
}

type bentProcess struct {
	vm.Process
	driver bent
}

func (p bentProcess) Handle(ctx context.Context, call vm.Call) (vm.Output, error) {
	call.Message = []byte(strings.Replace(string(call.Message), p.driver.old, p.driver.with, 1))
	return p.Process.Handle(ctx, call)
}

func (p bentProcess) Fork(ctx context.Context) (vm.Process, error) {
	forked, err := p.Process.Fork(ctx)
	return bentProcess{forked, p.driver}, err
}

// TestLuaGlobalsThatDifferAreNamed has a machine change a global where no result shows
// it.
func TestLuaGlobalsThatDifferAreNamed(t *testing.T) {
	log := memory.New(logtest.Signer(t, 1), time.Now)
	options := aosOptions(t, log)
	options.DB = openDB(t, t.TempDir())
	options.Drivers = append(options.Drivers, bent{options.Drivers[0], "Balances.bob = 10", "Balances.bob = 99"})
	process := aosHistory(t, log, "globals", 6, func(n int) string {
		return []string{
			"Balances = { alice = 100, bob = 0 }", "Name = 'a\\nb'", "return 1", "Balances.bob = 10; return 'done'", "return Balances.alice", "return Balances.bob",
		}[n]
	})
	e, err := Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
		if err := options.DB.Close(); err != nil {
			t.Error(err)
		}
	})
	d := pinpoint(t, e, process, "wazero", "bent")
	if d == nil || d.Nonce != 4 || d.States == nil {
		t.Fatalf("they differ at %+v", d)
	}
	found := false
	for _, global := range d.States.Globals {
		found = found || global == diff.Field{Path: "Balances.bob", A: `"10"`, B: `"99"`}
		if strings.HasPrefix(global.Path, "Balances.alice") || global.Path == "Name" {
			t.Errorf("%+v is the same", global)
		}
	}
	if !found || d.States.PagesTotal == 0 {
		t.Errorf("states differ in %+v", d.States)
	}
}

// TestADigestIsOfTheResultsThatAReplayGives makes digests of an engine's results, and of
// what a replay came to.
func TestADigestIsOfTheResultsThatAReplayGives(t *testing.T) {
	b := newBench(t, nil)
	p := b.spawn()
	for _, data := range []string{"add a", "error b", "add c", "trap d", "add e"} {
		b.send(p, data)
	}
	var results [][]byte
	err := b.ReplayWith(t.Context(), p, ReplayOptions{
		Machines: []string{"test"}, Progress: func(Replay) error { return nil },
		Result: func(r ReplayResult) error { results = append(results, r.Result); return nil },
	})
	if err != nil || len(results) != 6 {
		t.Fatalf("%d results, %v", len(results), err)
	}
	for from := range uint64(6) {
		var want diff.Digest
		for to := from; to < 6; to++ {
			want = want.Add(results[to])
			got, err := b.Digest(t.Context(), p, from, to)
			if err != nil || got.Digest != ao.ID(want) || got.Newest != 5 {
				t.Errorf("nonces %d to %d: %+v, %v", from, to, got, err)
			}
			if single := from == to; single != (string(got.Result) == string(results[to])) || single != (got.Message != nil) {
				t.Errorf("nonces %d to %d have the result %s of %v", from, to, got.Result, got.Message)
			}
		}
	}
	for _, wrong := range [][2]uint64{{2, 1}, {0, diff.SpanMax}, {3, 6}} {
		if got, err := b.Digest(t.Context(), p, wrong[0], wrong[1]); err == nil {
			t.Errorf("nonces %d to %d: %+v", wrong[0], wrong[1], got)
		}
	}
}

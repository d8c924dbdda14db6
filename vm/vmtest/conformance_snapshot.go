package vmtest

import (
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
)

// Snapshot is a state with what tests want of it.
type Snapshot struct{ *vm.State }

// NewSnapshot makes an empty snapshot.
func NewSnapshot() *Snapshot { return &Snapshot{vm.NewState()} }

// Equal reports whether two states are the same.
func (s *Snapshot) Equal(other *Snapshot) bool { return s.State.Equal(other.State) }

// TakeSnapshot writes a process's state.
func TakeSnapshot(tb testing.TB, p vm.Process) *Snapshot {
	tb.Helper()
	s := NewSnapshot()
	if err := p.Snapshot(s); err != nil {
		tb.Fatal(err)
	}
	return s
}

func testSnapshot(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{})
	g.want("count", "2")
	g.want("time", "0")
	g.want("zoom", "4")
	saved := TakeSnapshot(t, g)
	module, err := driver.Load(t.Context(), guestSource(plainFormat))
	if err != nil {
		t.Fatal(err)
	}
	p, err := module.New(t.Context(), vm.Config{}, saved.Reader())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	again := guest{p, t}
	if !TakeSnapshot(t, again).Equal(saved) {
		t.Fatal("a restored process has another state")
	}
	for _, g := range []guest{g, again} {
		g.want("count", "6")
		g.want("time", "1")
		g.rollback()
		g.want("time", "1")
		if _, err := g.do(t.Context(), "divide"); !isTrap(err) {
			t.Fatal(err)
		}
		if err := g.Snapshot(NewSnapshot()); err == nil {
			t.Fatal("a snapshot of the state after a trap")
		}
		g.want("zoom", "8")
	}
	if !TakeSnapshot(t, again).Equal(TakeSnapshot(t, g)) {
		t.Fatal("a restored process went another way than the one it was saved from")
	}
}

func testBadSnapshot(t *testing.T, driver vm.Driver) {
	module, err := driver.Load(t.Context(), guestSource(plainFormat))
	if err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Snapshot){
		"no sections":   func(s *Snapshot) { clear(s.Sections) },
		"short section": func(s *Snapshot) { s.Sections["globals"] = []byte{1} },
		"short host":    func(s *Snapshot) { s.Sections["host"] = nil },
		"too large":     func(s *Snapshot) { s.MemoryBytes = 1 << 40 },
		"too small":     func(s *Snapshot) { s.MemoryBytes = 0 },
		"not in pages":  func(s *Snapshot) { s.MemoryBytes++ },
		"page outside":  func(s *Snapshot) { s.Pages[guestPagesMax] = make([]byte, vm.PageBytes) },
		"short page":    func(s *Snapshot) { s.Pages[0] = []byte{1} },
	} {
		s := TakeSnapshot(t, newGuest(t, driver, vm.Config{}))
		spoil(s)
		if p, err := module.New(t.Context(), vm.Config{}, s.Reader()); err == nil {
			t.Errorf("%s: a process came of it", name)
			_ = p.Close()
		}
	}
}

func testFork(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{})
	g.want("zoom", "2")
	p, err := g.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	fork := guest{p, t}
	if !TakeSnapshot(t, fork).Equal(TakeSnapshot(t, g)) {
		t.Fatal("a fork has another state")
	}
	fork.want("count", "4")
	fork.want("zoom", "6")
	fork.rollback()
	fork.want("count", "6")
	g.want("count", "4")
	if _, err := g.do(t.Context(), "unreachable"); !isTrap(err) {
		t.Fatal(err)
	}
	fork.want("count", "8")
	g.want("count", "6")
}

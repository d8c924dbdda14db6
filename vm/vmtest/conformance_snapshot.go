package vmtest

import (
	"crypto/sha256"
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

// hashChecker is a vm.HashWriter that compares what it is told with what it sees.
type hashChecker struct {
	*Snapshot
	t *testing.T
}

func (c hashChecker) HashedPage(index uint32, data []byte, hash [sha256.Size]byte) error {
	if sha256.Sum256(data) != hash {
		c.t.Errorf("page %d comes with another hash", index)
	}
	return c.Page(index, data)
}

// testPageHashes reads the state after each of many messages and rollbacks, by a
// writer that takes hashes and by one that does not.
func testPageHashes(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{})
	check := func(p vm.Process) *Snapshot {
		t.Helper()
		hashed := hashChecker{NewSnapshot(), t}
		if err := p.Snapshot(hashed); err != nil {
			t.Fatal(err)
		}
		if !hashed.Equal(TakeSnapshot(t, p)) {
			t.Fatal("a writer that takes hashes gets another state")
		}
		return hashed.Snapshot
	}
	before := check(g)
	for _, command := range []string{"count", "count", "zoom", "count", "divide", "zoom", "time", "divide", "count"} {
		_, err := g.do(t.Context(), command)
		if (command == "divide") != isTrap(err) {
			t.Fatalf("%s: %v", command, err)
		}
		if err != nil {
			g.rollback()
		}
		if after := check(g); after.Equal(before) == (err == nil) {
			t.Fatalf("%s: the state is as before: %v", command, err != nil)
		} else {
			before = after
		}
	}
	g.rollback()
	check(g)
	fork, err := g.Fork(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	check(fork)
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

package vmtest

import (
	"context"
	"errors"
	"testing"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
)

const (
	plainFormat   = "wasm32-unknown-emscripten4"
	meteredFormat = "wasm32-unknown-emscripten-metering"
	// enoughGas is more than any command of the guest needs but the endless
	// ones.
	enoughGas = 300_000_000
)

// Conformance runs every test that needs no real module. newDriver makes a
// driver that the test closes at its end.
func Conformance(t *testing.T, newDriver func(testing.TB) vm.Driver) {
	for name, test := range map[string]func(*testing.T, vm.Driver){
		"state":        testState,
		"formats":      testFormats,
		"failures":     testFailures,
		"rollback":     testRollback,
		"output limit": testOutputLimit,
		"memory limit": testMemoryLimit,
		"gas":          testGas,
		"timeout":      testTimeout,
		"cancel":       testCancel,
		"snapshot":     testSnapshot,
		"bad snapshot": testBadSnapshot,
		"page hashes":  testPageHashes,
		"fork":         testFork,
		"host":         testHost,
		"unsupported":  testUnsupported,
	} {
		t.Run(name, func(t *testing.T) { test(t, newDriver(t)) })
	}
}

func guestSource(format string) vm.Source {
	return vm.Source{ID: dataitem.ID{2}, Format: format, Bytes: Guest()}
}

// guest is a process of the test guest.
type guest struct {
	vm.Process
	t *testing.T
}

func newGuest(t *testing.T, driver vm.Driver, config vm.Config) guest {
	t.Helper()
	return guest{start(t, driver, guestSource(plainFormat), config), t}
}

// do gives the guest a command.
func (g guest) do(ctx context.Context, command string) (vm.Output, error) {
	return g.Handle(ctx, vm.Call{Message: []byte(`"` + command + `"`), Env: []byte(`{}`), GasLimit: enoughGas})
}

// want checks the answer to a command.
func (g guest) want(command, answer string) {
	g.t.Helper()
	output, err := g.do(g.t.Context(), command)
	if err != nil {
		g.t.Fatalf("%s: %v", command, err)
	}
	if string(output.Response) != `"`+answer+`"` {
		g.t.Fatalf("%s gave %s, want %q", command, output.Response, answer)
	}
}

func (g guest) rollback() {
	g.t.Helper()
	if err := g.Rollback(g.t.Context()); err != nil {
		g.t.Fatal(err)
	}
}

func testState(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{})
	g.want("count", "2")
	g.want("count", "4")
	g.want("time", "0")
	g.want("time", "1")
	g.want("zoom", "6")
	other := newGuest(t, driver, vm.Config{})
	other.want("count", "2")
	g.want("count", "8")
}

// testFormats runs the guest in every format the driver names, and wants time to
// stand still in the two that have no clock.
func testFormats(t *testing.T, driver vm.Driver) {
	if len(driver.Formats()) == 0 {
		t.Fatal("the driver names no format")
	}
	for _, format := range driver.Formats() {
		g := guest{start(t, driver, guestSource(format), vm.Config{}), t}
		g.want("count", "2")
		g.want("time", "0")
		if format == "wasm32-unknown-emscripten" || format == "wasm32-unknown-emscripten2" {
			g.want("time", "0")
		} else {
			g.want("time", "1")
		}
	}
}

// failures are the commands that end badly, and how.
var failures = map[string]func(error) bool{
	"no":          isGuestError(`"I refuse"`),
	"junk":        func(err error) bool { _, ok := errors.AsType[*vm.GuestError](err); return ok },
	"loop":        is(vm.ErrOutOfGas),
	"bomb":        isTrap,
	"heap":        is(vm.ErrMemoryLimit),
	"unreachable": isTrap,
	"divide":      isTrap,
	"pointer":     isTrap,
	"write":       isTrap,
	"string":      isTrap,
	"recurse":     isTrapOf("call stack exhausted"),
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func isTrap(err error) bool {
	_, ok := errors.AsType[*vm.TrapError](err)
	return ok
}

func isTrapOf(reason string) func(error) bool {
	return func(err error) bool {
		trap, ok := errors.AsType[*vm.TrapError](err)
		return ok && trap.Reason == reason
	}
}

func isGuestError(response string) func(error) bool {
	return func(err error) bool {
		guest, ok := errors.AsType[*vm.GuestError](err)
		return ok && string(guest.Response) == response
	}
}

// testFailures wants every failure to have its error, to be undone whether or
// not the caller asks for it, and to come out the same the second time.
func testFailures(t *testing.T, driver vm.Driver) {
	for command, ok := range failures {
		t.Run(command, func(t *testing.T) {
			g := newGuest(t, driver, vm.Config{MemoryLimitBytes: 32 * vm.PageBytes})
			g.want("count", "2")
			_, first := g.do(t.Context(), command)
			if !ok(first) {
				t.Fatalf("error %v (%T)", first, first)
			}
			g.rollback()
			g.rollback() // there is nothing more to undo
			g.want("count", "4")
			_, second := g.do(t.Context(), command)
			if second == nil || second.Error() != first.Error() {
				t.Fatalf("error %v, and the same again %v", first, second)
			}
			g.want("count", "6")
		})
	}
}

func testRollback(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{})
	g.rollback() // of nothing
	g.want("count", "2")
	g.rollback()
	g.want("count", "2")
	g.want("time", "0")
	g.want("zoom", "4")
	g.rollback()
	g.want("zoom", "4")
	g.want("time", "1")
	g.rollback()
	g.want("time", "1")
	for range 30 {
		if _, err := g.do(t.Context(), "count"); err != nil {
			t.Fatal(err)
		}
	}
	g.rollback()
	g.want("count", "4") // 2 × 32
	output, err := g.do(t.Context(), "count")
	if err != nil || output.MemoryBytes != (guestPagesMin+1)*vm.PageBytes {
		t.Fatalf("memory of %d bytes after a zoom, %v", output.MemoryBytes, err)
	}
}

func testOutputLimit(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{OutputLimitBytes: 100_000})
	if _, err := g.do(t.Context(), "output"); !errors.Is(err, vm.ErrOutputLimit) {
		t.Fatalf("error %v", err)
	}
	g.want("count", "2")
	wide := newGuest(t, driver, vm.Config{OutputLimitBytes: 200_000})
	output, err := wide.do(t.Context(), "output")
	if err != nil || len(output.Response) < 99_000 {
		t.Fatalf("%d bytes, %v", len(output.Response), err)
	}
}

func testMemoryLimit(t *testing.T, driver vm.Driver) {
	module, err := driver.Load(t.Context(), guestSource(plainFormat))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := module.New(t.Context(), vm.Config{MemoryLimitBytes: vm.PageBytes}, nil); !errors.Is(err, vm.ErrMemoryLimit) {
		t.Fatalf("a limit under the module's first size: %v", err)
	}
	g := newGuest(t, driver, vm.Config{MemoryLimitBytes: (guestPagesMin + 2) * vm.PageBytes})
	g.want("zoom", "2")
	g.want("zoom", "4")
	if _, err := g.do(t.Context(), "zoom"); !isTrap(err) {
		t.Fatalf("a page over the limit: %v", err)
	}
	g.want("count", "6")
}

package vmtest

import (
	"context"
	"errors"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
)

func testGas(t *testing.T, driver vm.Driver) {
	run := func(format, command string, limit uint64) (vm.Output, error) {
		p := start(t, driver, guestSource(format), vm.Config{})
		return p.Handle(t.Context(), vm.Call{Message: []byte(`"` + command + `"`), Env: []byte(`{}`), GasLimit: limit})
	}
	output, err := run(meteredFormat, "count", enoughGas)
	if err != nil || output.GasUsed == 0 {
		t.Fatalf("a metered format used %d gas, %v", output.GasUsed, err)
	}
	if exact, err := run(meteredFormat, "count", output.GasUsed); err != nil || exact.GasUsed != output.GasUsed {
		t.Fatalf("with just the gas it needs: %d, %v", exact.GasUsed, err)
	}
	if _, err := run(meteredFormat, "count", output.GasUsed-1); !errors.Is(err, vm.ErrOutOfGas) {
		t.Fatalf("with one gas less than it needs: %v", err)
	}
	if plain, err := run(plainFormat, "count", enoughGas); err != nil || plain.GasUsed != 0 {
		t.Fatalf("a format without metering reports %d gas, %v", plain.GasUsed, err)
	}
	if unlimited, err := run(meteredFormat, "count", 0); err != nil || unlimited.GasUsed != output.GasUsed {
		t.Fatalf("without a limit: %d gas, %v", unlimited.GasUsed, err)
	}
}

func testTimeout(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{TimeoutMS: 20})
	g.want("count", "2")
	_, err := g.Handle(t.Context(), vm.Call{Message: []byte(`"loop"`), Env: []byte(`{}`)})
	if !errors.Is(err, vm.ErrTimeout) {
		t.Fatalf("error %v", err)
	}
	g.want("count", "4")
}

// testCancel wants a cancelled message to leave no trace, so that nobody need
// roll it back, and a rollback after it to undo nothing else.
func testCancel(t *testing.T, driver vm.Driver) {
	g := newGuest(t, driver, vm.Config{})
	g.want("count", "2")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := g.Handle(ctx, vm.Call{Message: []byte(`"loop"`), Env: []byte(`{}`)})
		ended <- err
	}()
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	g.rollback()
	if _, err := g.do(ctx, "count"); !errors.Is(err, context.Canceled) {
		t.Fatalf("a message whose context had ended: %v", err)
	}
	g.want("count", "4")
}

// files is a Host with one file.
type files struct{ err error }

func (f files) Open(_ context.Context, path string) ([]byte, error) {
	if f.err != nil {
		return nil, f.err
	}
	if path == "/data/x" {
		return []byte("7 bytes"), nil
	}
	return nil, vm.ErrNotFound
}

func testHost(t *testing.T, driver vm.Driver) {
	newGuest(t, driver, vm.Config{}).want("file", "-")
	newGuest(t, driver, vm.Config{Host: files{}}).want("file", "7")
	newGuest(t, driver, vm.Config{Host: files{vm.ErrNotFound}}).want("file", "-")
	broken := errors.New("the gateway is away")
	g := newGuest(t, driver, vm.Config{Host: files{broken}})
	g.want("count", "2")
	// What the network does is no result of the guest's.
	if _, err := g.do(t.Context(), "file"); !errors.Is(err, broken) || isTrap(err) {
		t.Fatalf("error %v (%T)", err, err)
	}
	g.want("count", "4")
}

func testUnsupported(t *testing.T, driver vm.Driver) {
	for name, source := range map[string]vm.Source{
		"format":    {Format: "wasm99-unknown", Bytes: Guest()},
		"empty":     {Format: plainFormat},
		"garbage":   {Format: plainFormat, Bytes: []byte("this is no module, is it?")},
		"no handle": {Format: plainFormat, Bytes: []byte("\x00asm\x01\x00\x00\x00")},
		"cut short": {Format: plainFormat, Bytes: Guest()[:300]},
	} {
		_, err := driver.Load(t.Context(), source)
		if _, ok := errors.AsType[*vm.UnsupportedError](err); !ok {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

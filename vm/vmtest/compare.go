package vmtest

import (
	"encoding/json"
	"errors"
	"os"
	"testing"

	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
)

// GasLimit is the limit that test messages run under, the usual one of aos.
const GasLimit = 9_000_000_000_000

// Compare gives the same messages to a driver and to the reference loader and
// wants the same bytes from both, and so also the same order of keys. Neither
// undoes a message, so that what a failed one leaves behind is compared, too.
func Compare(t *testing.T, driver vm.Driver, module, format string, messages [][]byte) {
	path := ModulePath(t, module)
	oracle := StartOracle(t, OracleOptions{Module: path, Format: format, GasLimit: GasLimit, KeepMemory: true})
	process := Start(t, driver, path, format)
	same := 0
	for i, message := range messages {
		want, err := oracle.Handle(message, Env())
		if err != nil {
			t.Fatal(err)
		}
		got, err := process.Handle(t.Context(), vm.Call{Message: message, Env: Env(), GasLimit: GasLimit})
		compare(t, i, message, got, err, want)
		if err != nil {
			t.Fatal("nothing after a refused message can be compared")
		}
		if sameGas(t, i, got.GasUsed, want.Gas) {
			same++
		}
	}
	if same < len(messages)*4/5 {
		t.Errorf("only %d of %d messages used the same gas as with the reference", same, len(messages))
	}
}

// Start makes a process of a module file.
func Start(tb testing.TB, driver vm.Driver, path, format string) vm.Process {
	tb.Helper()
	source, err := readSource(path, format)
	if err != nil {
		tb.Fatal(err)
	}
	return start(tb, driver, source, vm.Config{})
}

func readSource(path, format string) (vm.Source, error) {
	bytes, err := os.ReadFile(path)
	return vm.Source{ID: dataitem.ID{1}, Format: format, Bytes: bytes}, err
}

func start(tb testing.TB, driver vm.Driver, source vm.Source, config vm.Config) vm.Process {
	tb.Helper()
	module, err := driver.Load(tb.Context(), source)
	if err != nil {
		tb.Fatal(err)
	}
	process, err := module.New(tb.Context(), config, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := process.Close(); err != nil {
			tb.Error(err)
		}
	})
	return process
}

func compare(t *testing.T, i int, message []byte, got vm.Output, gotErr error, want Reply) {
	t.Helper()
	guest, isGuest := errors.AsType[*vm.GuestError](gotErr)
	switch {
	case want.Thrown != "" && isGuest:
		var text string
		if err := json.Unmarshal(guest.Response, &text); err != nil || text != want.Thrown {
			t.Errorf("message %d %.200s\nrefused with %s\nthe reference with %q", i, message, guest.Response, want.Thrown)
		}
	case want.Thrown != "" || gotErr != nil:
		t.Errorf("message %d %.200s\nerror %v\nthe reference's %q", i, message, gotErr, want.Thrown)
	default:
		var answer struct {
			Response json.RawMessage `json:"response"`
		}
		if err := json.Unmarshal([]byte(want.Text), &answer); err != nil {
			t.Fatalf("message %d: the reference's text %q: %v", i, want.Text, err)
		}
		if string(got.Response) != string(answer.Response) {
			t.Errorf("message %d %.200s\ngave          %s\nthe reference %s", i, message, got.Response, answer.Response)
		}
	}
}

// sameGas allows for a few percent more or less in a few messages: in JavaScript
// calls to WeaveDrive really suspend the guest, which takes gas, and leave the
// heap laid out differently, which shows when it grows.
func sameGas(t *testing.T, i int, got, want uint64) bool {
	t.Helper()
	if difference := max(got, want) - min(got, want); difference > want/25 {
		t.Errorf("message %d used %d gas, with the reference %d", i, got, want)
	}
	return got == want
}

package vmtest

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
)

// Contender is a driver that must come to the same as others.
type Contender struct {
	Driver vm.Driver
	// Most is how many messages it runs of a history; 0: all. An interpreter runs
	// fewer.
	Most int
}

// rootEvery is how often Equal compares whole states.
const rootEvery = 25

// Equal gives the same messages to processes of one module on several drivers,
// and wants of every message the same response or error, gas and memory size, and
// now and then and at the end the same state. What a message that failed did is
// undone. It gives the number of messages run on the first driver.
func Equal(t *testing.T, contenders []Contender, source vm.Source, messages [][]byte) int {
	t.Helper()
	return EqualWithin(t, contenders, source, messages, GasLimit)
}

// EqualWithin is Equal under another gas limit.
func EqualWithin(t *testing.T, contenders []Contender, source vm.Source, messages [][]byte, gas uint64) int {
	t.Helper()
	return equal(t, contenders, source, messages, gas, rootEvery)
}

// EqualModule gives a module of ours its messages, and compares the state after
// each.
func EqualModule(t *testing.T, contenders []Contender, format string, m Module, gas uint64) {
	t.Helper()
	equal(t, contenders, vm.Source{Format: format, Bytes: m.Wasm}, m.Messages, gas, 1)
}

func equal(t *testing.T, contenders []Contender, source vm.Source, messages [][]byte, gas uint64, rootEvery int) int {
	t.Helper()
	want := make([]string, len(messages))
	for n, c := range contenders {
		p := start(t, c.Driver, source, vm.Config{MemoryLimitBytes: 1 << 30})
		most := len(messages)
		if c.Most > 0 {
			most = min(most, c.Most)
		}
		for i, message := range messages[:most] {
			root := i%rootEvery == rootEvery-1 || i == len(messages)-1
			got := outcome(t, p, message, gas, root)
			if n == 0 {
				want[i] = got
			} else if got != want[i] {
				t.Fatalf("message %d %.300s\non %s gave\n%.2000s\non %s\n%.2000s", i, message, contenders[0].Driver.Name(), want[i], c.Driver.Name(), got)
			}
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return len(messages)
}

// GuestCommands are messages for Guest that reach all that it does, each failure
// between two that go well.
func GuestCommands() [][]byte {
	var messages [][]byte
	for _, command := range []string{
		"count", "time", "zoom", "output", "no", "junk", "loop", "recurse", "bomb", "heap", "unreachable", "divide", "pointer", "write", "string", "file",
	} {
		messages = append(messages, []byte(`"`+command+`"`), []byte(`"count"`))
	}
	return messages
}

// Relay runs messages on one driver after the other: each takes the state over
// from the one before, by a snapshot, and runs its share. In the end the state must
// be that of the first driver alone.
func Relay(t *testing.T, contenders []Contender, source vm.Source, messages [][]byte) {
	t.Helper()
	alone := start(t, contenders[0].Driver, source, vm.Config{})
	for _, message := range messages {
		outcome(t, alone, message, GasLimit, false)
	}
	var state *Snapshot
	share := (len(messages) + len(contenders) - 1) / len(contenders)
	for i, c := range contenders {
		module, err := c.Driver.Load(t.Context(), source)
		if err != nil {
			t.Fatal(err)
		}
		var from vm.SnapshotReader
		if state != nil {
			from = state.Reader()
		}
		p, err := module.New(t.Context(), vm.Config{}, from)
		if err != nil {
			t.Fatalf("%s cannot go on from the state: %v", c.Driver.Name(), err)
		}
		for _, message := range messages[min(i*share, len(messages)):min((i+1)*share, len(messages))] {
			outcome(t, p, message, GasLimit, false)
		}
		state = TakeSnapshot(t, p)
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if !state.Equal(TakeSnapshot(t, alone)) {
		t.Error("the state that went from engine to engine is another one")
	}
}

// outcome says in words all that a message came to.
func outcome(t *testing.T, p vm.Process, message []byte, gas uint64, root bool) string {
	t.Helper()
	output, err := p.Handle(t.Context(), vm.Call{Message: message, Env: Env(), GasLimit: gas})
	text := fmt.Sprintf("gas %d, memory %d\n%s\n", output.GasUsed, output.MemoryBytes, output.Response)
	if err != nil {
		guest, isGuest := errors.AsType[*vm.GuestError](err)
		if !isGuest && !isTrap(err) && !errors.Is(err, vm.ErrOutOfGas) && !errors.Is(err, vm.ErrMemoryLimit) && !errors.Is(err, vm.ErrOutputLimit) {
			t.Fatalf("message %.300s: %v", message, err)
		}
		text += err.Error()
		if isGuest {
			text += string(guest.Response)
		}
		if err := p.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if root {
		text += fmt.Sprintf("\nstate %x", TakeSnapshot(t, p).Root())
	}
	return text
}

// Root is a hash of the whole state.
func (s *Snapshot) Root() [32]byte {
	h := sha256.New()
	fmt.Fprintf(h, "%d\n", s.MemoryBytes)
	for _, name := range slices.Sorted(maps.Keys(s.Sections)) {
		fmt.Fprintf(h, "%s %d\n", name, len(s.Sections[name]))
		h.Write(s.Sections[name])
	}
	for _, index := range slices.Sorted(maps.Keys(s.Pages)) {
		h.Write(binary.LittleEndian.AppendUint32(nil, index))
		h.Write(s.Pages[index])
	}
	return [32]byte(h.Sum(nil))
}

package wasm

import (
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/vm"
)

// TestLastWordsAreTheGuestsReason prints as Go's runtimes do, in pieces, and wants the
// reason in the error of a guest that ended itself, and in no other.
func TestLastWordsAreTheGuestsReason(t *testing.T) {
	long := strings.Repeat("x", 3*lineBytesMax)
	for name, c := range map[string]struct {
		printed []string
		err     error
		want    string
	}{
		"nothing":             {nil, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable"},
		"in pieces":           {[]string{"pan", "ic: ", "as asked", "\n", "\ngoroutine 1 [running]:\n"}, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable: panic: as asked"},
		"without an end":      {[]string{"hello\npanic: at once"}, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable: panic: at once"},
		"TinyGo's end of one": {[]string{"panic: runtime error: index out of range\r\n"}, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable: panic: runtime error: index out of range"},
		"before it exits":     {[]string{"fatal error: out of memory\n"}, exitError{2}, "trap: program terminated with exit(2): fatal error: out of memory"},
		"the last of two":     {[]string{"panic: caught\n", "panic: not caught\n"}, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable: panic: not caught"},
		"no reason":           {[]string{"what a panic: there\n"}, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable"},
		"long":                {[]string{"panic: " + long + "\n"}, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable: " + ("panic: " + long)[:lineBytesMax]},
		"no text":             {[]string{"panic: \xff\n"}, &vm.TrapError{Reason: TrapUnreachable}, "trap: unreachable: panic: \uFFFD"},
		"another trap":        {[]string{"panic: caught\n"}, &vm.TrapError{Reason: TrapMemory}, "trap: " + TrapMemory},
		"out of gas":          {[]string{"panic: caught\n"}, vm.ErrOutOfGas, vm.ErrOutOfGas.Error()},
	} {
		var words lastWords
		for _, text := range c.printed {
			words.hear([]byte(text))
		}
		if err := words.explain(c.err); err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

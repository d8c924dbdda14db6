package wasm

import (
	"bytes"
	"errors"
	"strings"

	"github.com/wallaby-ao/wallaby/vm"
)

// lineBytesMax is as much of a line as is kept, and as much as is looked at of what one
// fd_write prints: no gas pays for it.
const lineBytesMax = 256

// lastWords is what a guest printed of its own end. A program in Go that panics has its
// reason there and nowhere else: its engine sees an instruction "unreachable".
type lastWords struct {
	line   []byte // that is not at its end yet
	reason string
}

// reasonPrefixes begin the line in which Go's runtime, or TinyGo's, says why it ends.
var reasonPrefixes = []string{"panic: ", "fatal error: "}

// hear takes the beginning of what is printed.
func (w *lastWords) hear(printed []byte) {
	for len(printed) > 0 {
		line, rest, whole := bytes.Cut(printed, []byte("\n"))
		w.line = append(w.line, line[:min(len(line), lineBytesMax-len(w.line))]...)
		if whole {
			w.endLine()
		}
		printed = rest
	}
}

func (w *lastWords) endLine() {
	line := strings.TrimSuffix(strings.ToValidUTF8(string(w.line), "\uFFFD"), "\r")
	w.line = w.line[:0]
	for _, prefix := range reasonPrefixes {
		if strings.HasPrefix(line, prefix) {
			w.reason = line
		}
	}
}

// explain adds the guest's own reason to that of the engine, if it ended itself.
func (w *lastWords) explain(err error) error {
	trap, isTrap := errors.AsType[*vm.TrapError](err)
	_, isExit := errors.AsType[exitError](err)
	if !isExit && (!isTrap || trap.Reason != TrapUnreachable) {
		return err
	}
	w.endLine()
	if w.reason == "" {
		return err
	}
	reason := err.Error()
	if isTrap {
		reason = trap.Reason
	}
	return &vm.TrapError{Reason: reason + ": " + w.reason}
}

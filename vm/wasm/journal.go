package wasm

import (
	"bytes"
	"time"

	"github.com/wallaby-ao/wallaby/vm"
)

// journal holds the messages since the base image, all of which went well but
// perhaps the last.
type journal struct {
	calls []vm.Call
	bytes int
	spent time.Duration
	first bool // the base is of before the first message
}

const (
	// journalRatio is how many times longer the journal may take than renewing
	// the base does: the copying then is a few percent of the whole.
	journalRatio = 25
	// journalSpentMin keeps the base even if renewing is cheap: a message that
	// fails after a long row of good ones may well wait that long, once.
	journalSpentMin = time.Second
	// journalCallsMax and journalBytesMax bound the memory it takes.
	journalCallsMax = 4096
	journalBytesMax = 16 << 20
)

// due reports whether it is time to renew the base. The first message starts
// whatever the guest has in it, which nobody wants to wait for twice.
func (j *journal) due(cost time.Duration) bool {
	return j.first && len(j.calls) > 0 || j.spent > max(journalRatio*cost, journalSpentMin) || len(j.calls) >= journalCallsMax || j.bytes >= journalBytesMax
}

// add keeps a copy of the call, since its bytes are the caller's. Messages of a
// process come with one and the same env, which is kept once.
func (j *journal) add(call vm.Call, spent time.Duration) {
	call.Message = bytes.Clone(call.Message)
	j.bytes += len(call.Message)
	if n := len(j.calls); n > 0 && bytes.Equal(j.calls[n-1].Env, call.Env) {
		call.Env = j.calls[n-1].Env
	} else {
		call.Env = bytes.Clone(call.Env)
		j.bytes += len(call.Env)
	}
	j.calls = append(j.calls, call)
	j.spent += spent
}

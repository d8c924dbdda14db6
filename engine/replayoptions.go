package engine

import (
	"encoding/json"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/vm"
)

// ReplayOptions say what a replay runs on, and who hears of it.
type ReplayOptions struct {
	// Machines are names of virtual machines.
	Machines []string
	// Progress is called now and then and at the end. Its error ends the replay.
	Progress func(Replay) error
	// Result is called with every message's result, on which all machines agree; what
	// crons gave counts in the hash of results alone. Its error ends the replay; nil:
	// nobody hears of them.
	Result func(ReplayResult) error
	// Claimed gives what somebody says that the result is, if it is not equal.
	Claimed func(ReplayResult) (*ReplayClaim, error)

	// State gives where the first machine's state after a message goes; nil: nowhere.
	State func(nonce uint64) vm.SnapshotWriter
	// From has the replay begin in a state that is given; nil: at the beginning.
	From *ReplayFrom

	// Pinpoint has a difference between machines traced back to the first message after
	// which their states differ, and says what of the states does. It does not go with
	// Keep or From.
	Pinpoint bool

	// Keep has the state kept in the engine's store every KeepAfter (10 s), so that
	// the same replay goes on from there when it was stopped. It is called before, to
	// make sure that the results told so far are safe. For an engine that does nothing
	// else: its snapshots would be taken for those of its evaluations.
	Keep      func() error
	KeepAfter time.Duration
	// Have is how many results of a replay that was stopped are known: it goes on no
	// later than after those.
	Have uint64
	// Begin is told which nonce comes first; nil: nobody is.
	Begin func(nonce uint64) error
}

// ReplayFrom is a state to begin in, which nobody here has computed.
type ReplayFrom struct {
	Nonce uint64 // of the message that led to it
	State *vm.State
	Root  ao.ID
}

// ReplayResult is one result of a replay.
type ReplayResult struct {
	Nonce      uint64          `json:"nonce"`
	Message    ao.ID           `json:"message"`
	Assignment ao.ID           `json:"assignment"`
	Result     json.RawMessage `json:"result"`
}

// ReplayClaim is another result, and whose it is.
type ReplayClaim struct {
	Whose  string
	Result string
}

// result tells of a result, and compares it with what somebody claims.
func (r *replayer) result(entry aolog.Entry, message ao.ID, result []byte) error {
	told := ReplayResult{Nonce: entry.Nonce, Message: message, Assignment: entry.ID, Result: result}
	if r.options.Result != nil {
		if err := r.options.Result(told); err != nil {
			return err
		}
	}
	if r.options.Claimed == nil {
		return nil
	}
	claim, err := r.options.Claimed(told)
	if err != nil || claim == nil {
		return err
	}
	return r.diverge(place{nonce: entry.Nonce}, message, 0, string(result), claim.Whose, claim.Result)
}

package log

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
)

// Mode is how a process's messages get their order: the operator's choice, made
// for each process.
type Mode struct {
	// Voters is how many nodes keep the log; a message is acknowledged when most
	// of them have it on disk.
	Voters int
	// Cosigners is how many operators must sign the hash chain before an order
	// counts; 0 asks for none.
	Cosigners int
}

// Solo is the mode of a process that one node orders.
var Solo = Mode{Voters: 1}

// ParseMode reads solo, raft:N or cosigned:K/N. Errors are *ao.Error with
// CodeInvalid.
func ParseMode(text string) (Mode, error) {
	kind, rest, _ := strings.Cut(text, ":")
	var m Mode
	var err error
	switch kind {
	case "solo":
		if rest == "" {
			return Solo, nil
		}
		err = fmt.Errorf("solo takes no number")
	case "raft":
		m.Voters, err = strconv.Atoi(rest)
	case "cosigned":
		k, n, _ := strings.Cut(rest, "/")
		if m.Cosigners, err = strconv.Atoi(k); err == nil {
			m.Voters, err = strconv.Atoi(n)
		}
		if err == nil && (m.Cosigners < 1 || m.Cosigners > m.Voters) {
			err = fmt.Errorf("%d of %d cannot sign", m.Cosigners, m.Voters)
		}
	case "l1":
		return m, ao.Errorf(ao.CodeInvalid, "sequencing by l1 is specified (docs/L1-SEQUENCING.md) and not built yet: choose solo, raft:N or cosigned:K/N")
	default:
		err = fmt.Errorf("there is no such mode")
	}
	if err == nil && m.Voters != 3 && m.Voters != 5 {
		err = fmt.Errorf("%d voters: 3 or 5 can order a process", m.Voters)
	}
	if err != nil {
		return Mode{}, ao.Errorf(ao.CodeInvalid, "sequencing %q: %w: choose solo, raft:3, raft:5 or cosigned:K/N", text, err)
	}
	return m, nil
}

// String gives the text that ParseMode reads.
func (m Mode) String() string {
	switch {
	case m.Cosigners > 0:
		return fmt.Sprintf("cosigned:%d/%d", m.Cosigners, m.Voters)
	case m.Voters <= 1:
		return "solo"
	}
	return fmt.Sprintf("raft:%d", m.Voters)
}

// MarshalText gives the mode's text.
func (m Mode) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads the mode's text.
func (m *Mode) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMode(string(b))
	return err
}

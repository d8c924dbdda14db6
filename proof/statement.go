package proof

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/history"
)

// Statement is what a proof says.
type Statement struct {
	Process    ao.ID  `json:"process"`
	Module     ao.ID  `json:"module"`
	Nonce      uint64 `json:"nonce"`
	Message    ao.ID  `json:"message"` // the process itself at nonce 0
	Assignment ao.ID  `json:"assignment"`
	// HashChain is what the next assignment carries: it fixes all before.
	HashChain ao.ID `json:"hashChain"`
	// Fingerprint names the module as a virtual machine runs it.
	Fingerprint ao.ID `json:"fingerprint"`
	// Root is that of the state after the message.
	Root ao.ID `json:"root"`
	// Given is the state that the proof begins in, on which nothing in it sheds light;
	// nil: it begins with the process.
	Given *Given `json:"given,omitempty"`
	// Result is the message's result, byte for byte.
	Result json.RawMessage `json:"-"`
}

// Given is a state that is taken for granted.
type Given struct {
	Nonce uint64 `json:"nonce"` // of the message that led to it
	Root  ao.ID  `json:"root"`
	// SHA256 is that of the state as the proof has it, packed.
	SHA256 ao.ID `json:"sha256"`
}

// record makes a statement's record: two parts, the JSON and the result.
func (s Statement) record() history.Record {
	head, _ := json.Marshal(s) // always encodes
	return history.Record{Kind: history.KindStatement, Nonce: s.Nonce, Payload: history.Joined(head, s.Result)}
}

func parseStatement(r history.Record) (s Statement, err error) {
	head, result, err := history.Parted(r.Payload)
	if err == nil {
		err = json.Unmarshal(head, &s)
	}
	if err != nil {
		return s, fmt.Errorf("read the statement: %w", err)
	}
	s.Result = bytes.Clone(result)
	return s, nil
}

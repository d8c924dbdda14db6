package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
)

// Evaluation is one message's place in a process and what running it gave.
type Evaluation struct {
	Process     ao.ID
	Message     ao.ID // the process itself at nonce 0
	Assignment  ao.ID
	Nonce       uint64
	TimestampMS int64
	BlockHeight uint64
	Result      ao.Result
}

// Flags of a stored evaluation. They are also the key's user meta, so that a
// listing can pass over errors without reading them.
const (
	flagError   byte = 1 << iota // the result has an Error
	flagKept                     // the state is what it was before the message
	flagSkipped                  // the message had an earlier place in this process
)

// recordVersion begins every stored evaluation:
// version (1), flags (1), message (32), assignment (32), timestamp (8),
// block height (8), when it was evaluated (8), result (JSON). Version 1 lacks
// the time of evaluation.
const (
	recordVersion     = 2
	recordHeaderBytes = 2 + 32 + 32 + 8 + 8 + 8

	recordVersionUntimed     = 1
	recordHeaderBytesUntimed = recordHeaderBytes - 8
)

// record is an evaluation in the form in which it is stored.
type record struct {
	flags       byte
	message     ao.ID
	assignment  ao.ID
	timestampMS int64
	blockHeight uint64
	// evaluatedMS is this node's clock when it had evaluated the message, 0 when
	// that is not known. It is beside the result, which is the same on all nodes.
	evaluatedMS int64
	result      []byte
}

func (r record) encode() []byte {
	b := make([]byte, 0, recordHeaderBytes+len(r.result))
	b = append(b, recordVersion, r.flags)
	b = append(b, r.message[:]...)
	b = append(b, r.assignment[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.timestampMS))
	b = binary.BigEndian.AppendUint64(b, r.blockHeight)
	b = binary.BigEndian.AppendUint64(b, uint64(r.evaluatedMS))
	return append(b, r.result...)
}

var errRecord = errors.New("stored evaluation is malformed")

// decodeRecord keeps b.
func decodeRecord(b []byte) (record, error) {
	if len(b) < recordHeaderBytesUntimed || b[0] == recordVersion && len(b) < recordHeaderBytes {
		return record{}, errRecord
	}
	r := record{
		flags:       b[1],
		message:     ao.ID(b[2:34]),
		assignment:  ao.ID(b[34:66]),
		timestampMS: int64(binary.BigEndian.Uint64(b[66:74])),
		blockHeight: binary.BigEndian.Uint64(b[74:82]),
	}
	switch b[0] {
	case recordVersionUntimed:
		r.result = b[recordHeaderBytesUntimed:]
	case recordVersion:
		r.evaluatedMS = int64(binary.BigEndian.Uint64(b[82:90]))
		r.result = b[recordHeaderBytes:]
	default:
		return record{}, errRecord
	}
	return r, nil
}

func (r record) evaluation(process ao.ID, nonce uint64) (Evaluation, error) {
	evaluation := Evaluation{
		Process:     process,
		Message:     r.message,
		Assignment:  r.assignment,
		Nonce:       nonce,
		TimestampMS: r.timestampMS,
		BlockHeight: r.blockHeight,
	}
	if err := evaluation.Result.UnmarshalJSON(r.result); err != nil {
		return evaluation, fmt.Errorf("evaluation %s at nonce %d: %w", process, nonce, err)
	}
	return evaluation, nil
}

package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
)

// Evaluation is one message's place in a process and what running it gave.
type Evaluation struct {
	Process    ao.ID
	Message    ao.ID // the process itself at nonce 0; zero for a tick
	Assignment ao.ID // zero for a tick
	Nonce      uint64
	// Tick is a number of its own for each message of a cron behind the nonce, and
	// Cron the cron's name; 0 and "" for a message of the log.
	Tick        uint64
	Cron        string
	TimestampMS int64
	BlockHeight uint64
	Result      ao.Result
}

// Flags of a stored evaluation. They are also the key's user meta, so that a
// listing can pass over errors without reading them.
const (
	flagError   byte = 1 << iota // the result has an Error
	flagKept                     // the state is what it was before the message
	flagSkipped                  // the process did not get the message: it had an earlier place, or is a push without a quorum
)

// recordVersion begins every stored evaluation:
// version (1), flags (1), message (32), assignment (32), timestamp (8),
// block height (8), when it was evaluated (8), result (JSON). Version 1 lacks
// the time of evaluation; a tick, version 3, has its cron's name before the result,
// with its length (2).
const (
	recordVersion     = 2
	recordVersionTick = 3
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
	cron        string // of a tick
	result      []byte
}

func (r record) encode() []byte {
	b := make([]byte, 0, recordHeaderBytes+2+len(r.cron)+len(r.result))
	version := byte(recordVersion)
	if r.cron != "" {
		version = recordVersionTick
	}
	b = append(b, version, r.flags)
	b = append(b, r.message[:]...)
	b = append(b, r.assignment[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.timestampMS))
	b = binary.BigEndian.AppendUint64(b, r.blockHeight)
	b = binary.BigEndian.AppendUint64(b, uint64(r.evaluatedMS))
	if r.cron != "" {
		b = binary.BigEndian.AppendUint16(b, uint16(len(r.cron)))
		b = append(b, r.cron...)
	}
	return append(b, r.result...)
}

var errRecord = errors.New("stored evaluation is malformed")

// decodeRecord keeps b.
func decodeRecord(b []byte) (record, error) {
	if len(b) < recordHeaderBytesUntimed || b[0] >= recordVersion && len(b) < recordHeaderBytes {
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
	case recordVersionTick:
		r.evaluatedMS = int64(binary.BigEndian.Uint64(b[82:90]))
		rest := b[recordHeaderBytes:]
		if len(rest) < 2 || len(rest) < 2+int(binary.BigEndian.Uint16(rest)) {
			return record{}, errRecord
		}
		end := 2 + int(binary.BigEndian.Uint16(rest))
		r.cron, r.result = string(rest[2:end]), rest[end:]
	default:
		return record{}, errRecord
	}
	return r, nil
}

func (r record) evaluation(process ao.ID, at place) (Evaluation, error) {
	evaluation := Evaluation{
		Process:     process,
		Message:     r.message,
		Assignment:  r.assignment,
		Nonce:       at.nonce,
		Tick:        at.tick,
		Cron:        r.cron,
		TimestampMS: r.timestampMS,
		BlockHeight: r.blockHeight,
	}
	if err := evaluation.Result.UnmarshalJSON(r.result); err != nil {
		return evaluation, fmt.Errorf("evaluation of process %s at %s: %w", process, at, err)
	}
	return evaluation, nil
}

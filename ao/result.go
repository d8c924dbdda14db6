package ao

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
)

// Result is what evaluating one message gave. Messages, assignments and spawns
// keep the guest's own JSON, so that key order survives to the client.
type Result struct {
	Messages    []json.RawMessage
	Assignments []json.RawMessage
	Spawns      []json.RawMessage
	Output      json.RawMessage // "" in JSON when the guest gave none
	GasUsed     *uint64         // nil: not reported
	// Error is a JSON string or object; nil when the evaluation went well.
	Error json.RawMessage
}

// JSON gives the result in the reference compute unit's key order: Messages,
// Assignments, Spawns, Output, GasUsed, Error.
func (r Result) JSON() []byte {
	var b bytes.Buffer
	b.WriteString(`{"Messages":`)
	writeList(&b, r.Messages)
	b.WriteString(`,"Assignments":`)
	writeList(&b, r.Assignments)
	b.WriteString(`,"Spawns":`)
	writeList(&b, r.Spawns)
	b.WriteString(`,"Output":`)
	writeRaw(&b, r.Output, `""`)
	if r.GasUsed != nil {
		b.WriteString(`,"GasUsed":`)
		b.WriteString(strconv.FormatUint(*r.GasUsed, 10))
	}
	if r.Error != nil {
		b.WriteString(`,"Error":`)
		writeRaw(&b, r.Error, `{}`)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// MarshalJSON gives JSON, so that a result can stand inside other values.
func (r Result) MarshalJSON() ([]byte, error) { return r.JSON(), nil }

// UnmarshalJSON reads what JSON wrote.
func (r *Result) UnmarshalJSON(b []byte) error {
	type plain Result
	if err := json.Unmarshal(b, (*plain)(r)); err != nil {
		return fmt.Errorf("decode result: %w", err)
	}
	return nil
}

// HasEffects reports whether there is anything for a messenger to deliver.
func (r Result) HasEffects() bool {
	return len(r.Messages)+len(r.Assignments)+len(r.Spawns) > 0
}

func writeList(b *bytes.Buffer, list []json.RawMessage) {
	b.WriteByte('[')
	for i, raw := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		writeRaw(b, raw, "null")
	}
	b.WriteByte(']')
}

func writeRaw(b *bytes.Buffer, raw json.RawMessage, empty string) {
	if len(raw) == 0 {
		b.WriteString(empty)
		return
	}
	b.Write(raw)
}

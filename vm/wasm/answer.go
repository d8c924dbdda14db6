package wasm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/vm"
	"github.com/wallaby-ao/wallaby/vm/wasm/binary"
)

// decodeResponse takes the guest's {"ok":…,"response":…} apart.
func decodeResponse(text []byte) ([]byte, error) {
	// The reference reads memory as UTF-8 with replacement.
	if !utf8.Valid(text) {
		text = bytes.ToValidUTF8(text, []byte("\uFFFD"))
	}
	var answer struct {
		OK       bool            `json:"ok"`
		Response json.RawMessage `json:"response"`
	}
	if len(text) == 0 {
		return nil, &vm.GuestError{Response: []byte(`"Unexpected end of JSON input"`)}
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		reason, _ := json.Marshal("the process answered with invalid JSON: " + err.Error())
		return nil, &vm.GuestError{Response: reason}
	}
	if !answer.OK {
		return nil, &vm.GuestError{Response: answer.Response}
	}
	return answer.Response, nil
}

// explain turns an engine's error into one of the contract's.
func (p *Process) explain(err error) error {
	if p.host.failure != nil {
		err = p.host.failure
	}
	if p.host.fuel.out {
		return vm.ErrOutOfGas
	}
	if left, ok := p.instance.Global(binary.StackExport); ok && int32(left) < 0 {
		return &vm.TrapError{Reason: "call stack exhausted"}
	}
	if outside, ok := errors.AsType[hostError](err); ok {
		return outside.error
	}
	if p.host.memoryRefused {
		return fmt.Errorf("%w: %w", vm.ErrMemoryLimit, err)
	}
	err = p.host.words.explain(err)
	if _, ok := errors.AsType[*vm.TrapError](err); ok {
		return err
	}
	return &vm.TrapError{Reason: err.Error()}
}

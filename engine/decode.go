package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/vm"
)

// outcome is what one message gave and whether its state counts.
type outcome struct {
	result ao.Result
	// keep says that the state stays what it was before the message.
	keep bool
}

// memoryExhausted ends the output of a guest whose allocator gave up. The
// reference keeps the old state then, without an error.
const memoryExhausted = "not enough memory for buffer allocation"

// decodeResponse reads a guest's response object. A response that is JSON but
// no object asks for nothing and says nothing.
func decodeResponse(response []byte, gasUsed uint64) (outcome, error) {
	if !utf8.Valid(response) {
		response = []byte(dataitem.Text(response))
	}
	response = bytes.TrimSpace(response)
	// A map, not a struct: Go matches struct fields in any letter case, but to
	// a guest "messages" is not "Messages".
	var fields map[string]json.RawMessage
	if len(response) > 0 && response[0] == '{' || !json.Valid(response) {
		if err := json.Unmarshal(response, &fields); err != nil {
			return outcome{}, err
		}
	}
	result := ao.Result{
		Messages:    values(fields["Messages"]),
		Assignments: values(fields["Assignments"]),
		Spawns:      values(fields["Spawns"]),
		Output:      normalOutput(fields["Output"]),
		GasUsed:     &gasUsed,
	}
	if failure := fields["Error"]; truthy(failure) {
		result.Error = failure
	}
	return outcome{result: result, keep: result.Error != nil || outOfMemory(result.Output)}, nil
}

// values reads an array; anything else, such as the object that some Lua encoders
// make of an empty table, is an empty list.
func values(raw json.RawMessage) (all []json.RawMessage) {
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	return all
}

// normalOutput turns numbers into text and nothing into empty text.
func normalOutput(raw json.RawMessage) json.RawMessage {
	if isNull(raw) {
		return json.RawMessage(`""`)
	}
	if c := raw[0]; c == '-' || c >= '0' && c <= '9' {
		return appendJSONText(nil, numberText(string(raw)))
	}
	return raw
}

// numberText writes a JSON number as JavaScript's String does.
func numberText(raw string) string {
	number, err := strconv.ParseFloat(raw, 64)
	if err != nil {
		if strings.HasPrefix(raw, "-") {
			return "-Infinity"
		}
		return "Infinity"
	}
	if number == 0 {
		return "0"
	}
	// Go's JSON encoder follows JavaScript's rules for when to write an exponent.
	text, err := json.Marshal(number)
	if err != nil {
		return raw
	}
	return string(text)
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}

// truthy reports what JavaScript takes for true.
func truthy(raw json.RawMessage) bool {
	switch string(raw) {
	case "", "null", "false", `""`, "0", "-0", "0.0":
		return false
	}
	return true
}

// outOfMemory looks where the reference does: in the output itself, or in
// data.output of an object.
func outOfMemory(output json.RawMessage) bool {
	if !bytes.Contains(output, []byte(memoryExhausted)) {
		return false
	}
	var text string
	if json.Unmarshal(output, &text) == nil {
		return strings.HasSuffix(text, memoryExhausted)
	}
	var object struct{ Data struct{ Output string } }
	return json.Unmarshal(output, &object) == nil && strings.HasSuffix(object.Data.Output, memoryExhausted)
}

// emptyResult is the result of a message that was not run or did not finish.
func emptyResult() ao.Result { return ao.Result{Output: json.RawMessage(`""`)} }

// decodeFailure turns a failed call into the message's result. It reports
// false for failures that are not the message's fault: those have no result.
func decodeFailure(err error) (outcome, bool) {
	result := emptyResult()
	fail := func(text string) { result.Error = appendJSONText(nil, text) }
	guest, isGuest := errors.AsType[*vm.GuestError](err)
	trap, isTrap := errors.AsType[*vm.TrapError](err)
	switch {
	case isGuest && truthy(guest.Response):
		result.Error = bytes.Clone(guest.Response)
	case isGuest:
		fail("the process gave no reason")
	case errors.Is(err, context.Canceled):
		return outcome{}, false
	case errors.Is(err, vm.ErrOutOfGas):
		fail("out of gas: the message needs more than the process's Compute-Limit")
	case errors.Is(err, vm.ErrMemoryLimit):
		fail("out of memory: the message needs more than the process's Memory-Limit")
	case errors.Is(err, vm.ErrOutputLimit):
		fail("the response to the message is larger than this node allows")
	case errors.Is(err, vm.ErrTimeout):
		fail("the message ran longer than this node allows")
	case isTrap:
		fail(trap.Error())
	default:
		return outcome{}, false
	}
	return outcome{result: result, keep: true}, true
}

// notJSON is the failure of a guest whose answer cannot be read.
func notJSON(err error) error {
	return &vm.GuestError{Response: appendJSONText(nil, "the process did not answer with JSON: "+err.Error())}
}

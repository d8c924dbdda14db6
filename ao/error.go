package ao

import (
	"errors"
	"fmt"
)

// Code says for machines what kind of refusal an Error is. The http package
// maps each code to one status, in both directions.
type Code string

// The codes, from the client's fault to the node's.
const (
	CodeInvalid       Code = "invalid"       // the request can never succeed as sent
	CodeUnauthorized  Code = "unauthorized"  // the caller may not do this
	CodeNotFound      Code = "not_found"     // no such process, message, module or result
	CodeConflict      Code = "conflict"      // contradicts what is already there
	CodeTooLarge      Code = "too_large"     // over a size limit
	CodeUnprocessable Code = "unprocessable" // well-formed, but the node cannot run it
	CodeRateLimited   Code = "rate_limited"  // a bounded queue is full: try later
	CodeUnavailable   Code = "unavailable"   // the node cannot serve this now: try later
	CodeTimeout       Code = "timeout"       // no answer within the time allowed
	CodeInternal      Code = "internal"      // the node's own fault
)

// Error is a refusal with a code for machines and a message for people. The
// message is safe to show to any client.
type Error struct {
	Code    Code
	Message string
	// Cause is kept for logs and errors.Is; it is never shown to clients.
	Cause error
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }

// Unwrap gives the cause, if there is one.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error. A %w operand becomes its cause as well as text.
func Errorf(code Code, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Cause: errors.Unwrap(err)}
}

// CodeOf gives the code of the first Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}

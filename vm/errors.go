package vm

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound is returned when a path, section or page does not exist.
	ErrNotFound = errors.New("not found")
	// ErrOutOfGas is returned when a message used up its gas limit.
	ErrOutOfGas = errors.New("out of gas")
	// ErrMemoryLimit is returned when a guest asked for more memory than its
	// limit and could not go on without it.
	ErrMemoryLimit = errors.New("memory limit exceeded")
	// ErrOutputLimit is returned when a guest's response is larger than allowed.
	ErrOutputLimit = errors.New("output limit exceeded")
	// ErrTimeout is returned when a message ran longer than its wall clock.
	ErrTimeout = errors.New("evaluation time limit exceeded")
)

// TrapError says that the guest did something its machine forbids.
type TrapError struct{ Reason string }

// Error gives the reason in words.
func (e *TrapError) Error() string { return "trap: " + e.Reason }

// GuestError is the guest's own refusal: it answered with ok false.
type GuestError struct {
	// Response is the JSON value the guest gave as its response, usually a
	// string.
	Response []byte
}

// Error gives the guest's text as JSON.
func (e *GuestError) Error() string { return "guest error: " + string(e.Response) }

// UnsupportedError says that a driver cannot run a module, and why.
type UnsupportedError struct{ Feature string }

// Error names the missing feature.
func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("module is not supported: %s", e.Feature)
}

// LostError says that the machine that ran a process is gone with the process's
// live state: it crashed, hung, or was stopped for using too much. What it ran
// has no result.
type LostError struct{ Reason string }

// Error gives the reason in words.
func (e *LostError) Error() string { return "the virtual machine was lost: " + e.Reason }

package plugin

import (
	"context"
	"errors"

	"github.com/wallaby-ao/wallaby/vm"
)

// The codes of errors that mean something to a node.
const (
	codeTrap        = "trap"
	codeGuest       = "guest"
	codeUnsupported = "unsupported"
	codeHost        = "host"    // the node's own answer to kindOpen
	codeUnknown     = "unknown" // this worker does not have the module
)

var sentinels = map[string]error{
	"notFound":    vm.ErrNotFound,
	"outOfGas":    vm.ErrOutOfGas,
	"memoryLimit": vm.ErrMemoryLimit,
	"outputLimit": vm.ErrOutputLimit,
	"timeout":     vm.ErrTimeout,
	"canceled":    context.Canceled,
	"deadline":    context.DeadlineExceeded,
}

// hostError is the node's own error on its way through a guest.
type hostError struct{ error }

func (e hostError) Unwrap() error { return e.error }

// failure makes an answer of an error.
func failure(err error) frame {
	f := frame{kind: kindFailed, header: header{Error: err.Error()}}
	if guest, ok := errors.AsType[*vm.GuestError](err); ok {
		f.Code, f.body = codeGuest, guest.Response
		return f
	}
	if unsupported, ok := errors.AsType[*vm.UnsupportedError](err); ok {
		f.Code, f.Error = codeUnsupported, unsupported.Feature
		return f
	}
	if _, ok := errors.AsType[hostError](err); ok {
		f.Code = codeHost
		return f
	}
	for code, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			f.Code = code
			return f
		}
	}
	if trap, ok := errors.AsType[*vm.TrapError](err); ok {
		f.Code, f.Error = codeTrap, trap.Reason
	}
	return f
}

// remoteError is an error that came over the wire, with the kind it had.
type remoteError struct {
	text string
	kind error
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Unwrap() error { return e.kind }

// err gives the error in an answer; nil when it went well.
func (f *frame) err() error {
	if f.kind != kindFailed {
		return nil
	}
	switch f.Code {
	case codeGuest:
		return &vm.GuestError{Response: f.body}
	case codeUnsupported:
		return &vm.UnsupportedError{Feature: f.Error}
	case codeTrap:
		return &vm.TrapError{Reason: f.Error}
	}
	return &remoteError{f.Error, sentinels[f.Code]}
}

package http

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// retryAfterSeconds is when a client that was refused for now should come back.
const retryAfterSeconds = 1

// codeOf gives the code of any error that a handler may meet.
func codeOf(err error) ao.Code {
	switch {
	case errors.Is(err, aolog.ErrProcessUnknown), errors.Is(err, aolog.ErrEntryUnknown):
		return ao.CodeNotFound
	case errors.Is(err, context.DeadlineExceeded):
		return ao.CodeTimeout
	case errors.Is(err, aolog.ErrClosed), errors.Is(err, context.Canceled):
		return ao.CodeUnavailable
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return ao.CodeTooLarge
	}
	return ao.CodeOf(err)
}

// WriteError answers with an error's status, for routes beside the units'.
func WriteError(w http.ResponseWriter, r *http.Request, err error) { writeError(w, r, err) }

// writeError answers with an error's status. What went wrong inside the node is
// for its log; the client learns only that it did.
func writeError(w http.ResponseWriter, r *http.Request, err error) {
	code := codeOf(err)
	message := err.Error()
	if code == ao.CodeInternal {
		requestOf(r).failure = err
		message = "internal error: the node's log says more under request " + requestOf(r).id
	}
	if code == ao.CodeTimeout {
		message = "the answer took longer than allowed: ask again"
	}
	status := connect.StatusOf(code)
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfterSeconds))
	}
	writeJSON(w, status, connect.Refusal{Error: message, Code: code})
}

// writeJSON answers with a value as JSON, markup characters as they are.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	encoder := json.NewEncoder(w)
	encoder.SetEscapeHTML(false)
	// The status is sent: a client that went away cannot be told anything.
	_ = encoder.Encode(value)
}

func writeRawJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}

func asMaxBytes(err error) (limit int64, ok bool) {
	e, ok := errors.AsType[*http.MaxBytesError](err)
	if !ok {
		return 0, false
	}
	return e.Limit, true
}

package http

import (
	"context"
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/engine"
)

// Past gives states and their roots: the newest, and those that processes have left
// behind.
type Past interface {
	State(ctx context.Context, process ao.ID) (*engine.State, error)
	StateAt(ctx context.Context, process ao.ID, nonce, tick uint64) (*engine.State, error)
	Root(ctx context.Context, process ao.ID) (ao.StateRoot, error)
	RootAt(ctx context.Context, process ao.ID, nonce, tick uint64) (ao.StateRoot, error)
	DryRunAt(ctx context.Context, process ao.ID, message engine.DryRunMessage, nonce, tick uint64) (ao.Result, error)
}

// queryPlace reads the place that a request names with nonce, and tick; ok is false
// when it names none and so means the newest.
func queryPlace(r *http.Request) (at connect.Place, ok bool, err error) {
	for name, to := range map[string]*uint64{"nonce": &at.Nonce, "tick": &at.Tick} {
		text := queryText(r, name)
		if text == "" {
			continue
		}
		if *to, err = strconv.ParseUint(text, 10, 64); err != nil {
			return at, false, ao.Errorf(ao.CodeInvalid, "%s must be a number from 0, not %.32q", name, text)
		}
	}
	ok = queryText(r, "nonce") != ""
	if !ok && at.Tick > 0 {
		return at, false, ao.Errorf(ao.CodeInvalid, "tick %d of which message? give nonce, too", at.Tick)
	}
	return at, ok, nil
}

// state gives a process's raw memory, behind the newest evaluation or the place that
// is asked for.
func (c *cu) state(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	at, past, placeErr := queryPlace(r)
	if err == nil {
		err = placeErr
	}
	if err == nil && queryText(r, "to") != "" {
		err = ao.Errorf(ao.CodeUnprocessable, "this node gives the newest state, or that behind a nonce: leave out to, or give nonce")
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.wait)
	defer cancel()
	var state *engine.State
	if past {
		state, err = c.Evaluator.StateAt(ctx, process, at.Nonce, at.Tick)
	} else {
		state, err = c.Evaluator.State(ctx, process)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	defer state.Close()
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Last-Timestamp", strconv.FormatInt(state.TimestampMS, 10))
	header.Set("Last-Ordinate", strconv.FormatUint(state.Nonce, 10))
	header.Set("Last-Block-Height", strconv.FormatUint(state.BlockHeight, 10))
	// The status is sent with the first byte: a client that goes away, or a
	// failure after that, can only be seen by the length.
	_, _ = state.WriteTo(w)
}

// root gives the root of a process's state, behind the newest evaluation or the place
// that is asked for.
func (c *cu) root(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	at, past, placeErr := queryPlace(r)
	if err == nil {
		err = placeErr
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.wait)
	defer cancel()
	var root ao.StateRoot
	if past {
		root, err = c.Evaluator.RootAt(ctx, process, at.Nonce, at.Tick)
	} else {
		root, err = c.Evaluator.Root(ctx, process)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, root)
}

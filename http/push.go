package http

import (
	"context"
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"github.com/wallaby-ao/wallaby/ao"
)

// Pusher delivers what results ask for.
type Pusher interface {
	Resulter
	// Push has what the result at a nonce asks for and was given up delivered
	// after all.
	Push(ctx context.Context, process ao.ID, nonce uint64) error
}

// push delivers what a result asks for once more. Since whatever is not given up
// is on its way without anybody asking, that concerns what was; and what was
// delivered is not delivered twice.
func (m *mu) push(w http.ResponseWriter, r *http.Request) {
	id, err := m.pushResult(r)
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusAccepted, muPosted{"Processing Message Result", id})
}

func (m *mu) pushResult(r *http.Request) (id ao.ID, err error) {
	if id, err = pathID(r, "id"); err != nil {
		return id, err
	}
	number, err := strconv.ParseUint(mux.Vars(r)["number"], 10, 32)
	if err != nil {
		return id, ao.Errorf(ao.CodeInvalid, "'number' parameter must be a valid number")
	}
	evaluation, err := evaluated(r, m.Log, m.Pusher, m.wait)
	if err != nil {
		return id, err
	}
	if count := len(evaluation.Result.Messages); number >= uint64(count) {
		return id, ao.Errorf(ao.CodeInvalid, "'number' parameter must be smaller than the number of messages in the result, which is %d", count)
	}
	return id, m.Pusher.Push(r.Context(), evaluation.Process, evaluation.Nonce)
}

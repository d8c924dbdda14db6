package node

import (
	"net/http"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/engine"
	aohttp "github.com/wallaby-ao/wallaby/http"
)

// PathReplay replays a process (process=ID) on machines (vm=NAME, repeated) and
// answers with a line of JSON now and then, an engine.Replay, the last of which is
// done or has an error.
const PathReplay = "/wallaby/replay"

// ReplayLine is a line of the answer.
type ReplayLine struct {
	engine.Replay
	Error string `json:"error,omitempty"`
}

// serveReplay runs one replay at a time, and only for callers on this machine: it
// takes a core for as long as the process's history is.
func (n *Node) serveReplay(w http.ResponseWriter, r *http.Request) {
	if err := local(r, "a replay"); err != nil {
		aohttp.WriteError(w, r, err)
		return
	}
	process, err := ao.ParseID(r.URL.Query().Get("process"))
	if err != nil {
		aohttp.WriteError(w, r, ao.Errorf(ao.CodeInvalid, "name a process: %w", err))
		return
	}
	if !n.replaying.TryLock() {
		aohttp.WriteError(w, r, ao.Errorf(ao.CodeRateLimited, "a fork or another replay is running: try again when it is done"))
		return
	}
	defer n.replaying.Unlock()
	answer := lines{w: w}
	err = n.engine.Replay(r.Context(), process, r.URL.Query()["vm"], func(state engine.Replay) error { return answer.tell(ReplayLine{Replay: state}) })
	switch {
	case err != nil && answer.started:
		_ = answer.tell(ReplayLine{Error: err.Error()})
	case err != nil:
		aohttp.WriteError(w, r, err)
	}
}

package node

import (
	"encoding/json"
	"net"
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

// isLoopback reports whether a request comes from this machine.
func isLoopback(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	ip := net.ParseIP(host)
	return err == nil && ip != nil && ip.IsLoopback()
}

// serveReplay runs one replay at a time, and only for callers on this machine: it
// takes a core for as long as the process's history is.
func (n *Node) serveReplay(w http.ResponseWriter, r *http.Request) {
	if !isLoopback(r) {
		aohttp.WriteError(w, r, ao.Errorf(ao.CodeUnauthorized, "a replay takes a core for long: ask for it on the node's own machine"))
		return
	}
	process, err := ao.ParseID(r.URL.Query().Get("process"))
	if err != nil {
		aohttp.WriteError(w, r, ao.Errorf(ao.CodeInvalid, "name a process: %w", err))
		return
	}
	if !n.replaying.TryLock() {
		aohttp.WriteError(w, r, ao.Errorf(ao.CodeRateLimited, "another replay is running: try again when it is done"))
		return
	}
	defer n.replaying.Unlock()
	lines := json.NewEncoder(w)
	started := false
	tell := func(line ReplayLine) error {
		if !started {
			started = true
			w.Header().Set("Content-Type", "application/x-ndjson")
		}
		if err := lines.Encode(line); err != nil {
			return err
		}
		return http.NewResponseController(w).Flush()
	}
	err = n.engine.Replay(r.Context(), process, r.URL.Query()["vm"], func(state engine.Replay) error { return tell(ReplayLine{Replay: state}) })
	switch {
	case err != nil && started:
		_ = tell(ReplayLine{Error: err.Error()})
	case err != nil:
		aohttp.WriteError(w, r, err)
	}
}

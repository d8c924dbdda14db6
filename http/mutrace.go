package http

import (
	"net/http"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
)

// The sizes of a page of traces.
const (
	tracePageSize    = 10
	tracePageSizeMax = 1000
)

type (
	traceJSON struct {
		PageInfo struct {
			HasNextPage bool `json:"hasNextPage"`
		} `json:"pageInfo"`
		Edges []traceEdge `json:"edges"`
	}
	traceEdge struct {
		Node   traceNode `json:"node"`
		Cursor string    `json:"cursor"`
	}
	// traceNode has the reference's keys. Who sent the first message, and from
	// where, is kept nowhere.
	traceNode struct {
		Relation  string `json:"relation"` // root: sent by the first message's evaluation; descendant: by a later one's
		ID        string `json:"id"`
		MessageID string `json:"messageId"`
		ProcessID string `json:"processId"`
		Wallet    string `json:"wallet"`
		IP        string `json:"ip"`
		ParentID  string `json:"parentId"`
		Timestamp int64  `json:"timestamp"`
		Type      string `json:"type"`
		Error     string `json:"error,omitempty"`
	}
)

var traceTypes = map[string]string{"message": "MESSAGE", "spawn": "SPAWN", "assign": "ASSIGN"}

// trace answers with what became of what a process sent, newest first.
func (m *mu) trace(w http.ResponseWriter, r *http.Request) {
	query, err := traceQuery(r)
	if err != nil {
		writeError(w, r, err)
		return
	}
	hops, more, err := m.Tracer.Trace(r.Context(), query)
	if err != nil {
		writeError(w, r, err)
		return
	}
	answer := traceJSON{Edges: []traceEdge{}}
	answer.PageInfo.HasNextPage = more
	for _, hop := range hops {
		relation := "descendant"
		if hop.Message == hop.Root || hop.Root.IsZero() {
			relation = "root"
		}
		for _, id := range delivered(hop) {
			answer.Edges = append(answer.Edges, traceEdge{Cursor: id, Node: traceNode{
				Relation: relation, ID: id, MessageID: idText(hop.Message), ProcessID: query.Process.String(),
				ParentID: idText(hop.Root), Timestamp: hop.TimeMS, Type: traceTypes[hop.Kind], Error: hop.Error,
			}})
		}
	}
	writeJSON(w, http.StatusOK, answer)
}

func traceQuery(r *http.Request) (q TraceQuery, err error) {
	process, ok, err := queryID(r, "process")
	if err == nil && !ok {
		err = ao.Errorf(ao.CodeInvalid, "'process': Process ID is required.")
	}
	if err != nil {
		return q, err
	}
	q.Process = process
	for kind := range traceTypes {
		id, ok, err := queryID(r, kind)
		switch {
		case err != nil:
			return q, err
		case ok && q.Kind != "":
			return q, ao.Errorf(ao.CodeUnprocessable, "Only one of 'message', 'spawn', or 'assign' can be asked for at once.")
		case ok:
			q.Kind, q.ID = kind, id
		}
	}
	page, err := queryNumber(r, "page", 1)
	if err != nil {
		return q, err
	}
	size, err := queryNumber(r, "page-size", tracePageSize)
	q.Limit = min(size, tracePageSizeMax)
	q.Skip = (min(page, 1<<20) - 1) * q.Limit
	return q, err
}

// queryNumber reads a number from 1 on.
func queryNumber(r *http.Request, name string, standard int) (int, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return standard, nil
	}
	number, err := strconv.Atoi(text)
	if err != nil || number < 1 {
		return 0, ao.Errorf(ao.CodeInvalid, "'%s' must be a number from 1 on, not %q", name, text)
	}
	return number, nil
}

// delivered gives the ids a hop made; a hop that made none still shows.
func delivered(hop Hop) []string {
	ids := make([]string, 0, len(hop.Delivered)+1)
	for _, id := range hop.Delivered {
		ids = append(ids, id.String())
	}
	if len(ids) == 0 {
		ids = append(ids, "")
	}
	return ids
}

func idText(id ao.ID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

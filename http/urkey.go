package http

import (
	"net/http"

	"github.com/gorilla/mux"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// constantProcess stands for requests about no process, as in the reference.
const constantProcess = "process"

var errNoProcess = ao.Errorf(ao.CodeNotFound, "Process id not found on request")

func constantKey(*http.Request, []byte) (routed, error) {
	return routed{process: constantProcess}, nil
}

func pathKey(r *http.Request, _ []byte) (routed, error) {
	return routed{process: mux.Vars(r)["process"]}, nil
}

func queryKey(r *http.Request, _ []byte) (routed, error) {
	process := r.URL.Query().Get("process-id")
	if process == "" {
		return routed{}, errNoProcess
	}
	return routed{process: process}, nil
}

// itemKey finds the process that a messenger's POST is about: the query's for an
// assignment, else a message's target or a process's own id.
func itemKey(r *http.Request, body []byte) (routed, error) {
	if r.URL.Query().Has("assign") {
		return queryKey(r, body)
	}
	item, err := dataitem.Parse(body)
	if err == nil {
		err = item.Verify()
	}
	if err != nil {
		return routed{}, ao.Errorf(ao.CodeUnprocessable, "the body is not a signed data item: %w", err)
	}
	key := routed{module: item.Tags.Get(ao.TagFromModule)}
	switch {
	case item.Tags.Contains(ao.TagType, ao.TypeMessage):
		key.process = item.TargetID().String()
	case item.Tags.Contains(ao.TagType, ao.TypeProcess):
		key.process = item.ID().String()
	default:
		return routed{}, ao.Errorf(ao.CodeUnprocessable, "tag Type must be Message or Process, not %q", item.Tags.Get(ao.TagType))
	}
	return key, nil
}

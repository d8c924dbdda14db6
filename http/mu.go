package http

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Monitors remembers for which processes somebody wants delivered what their crons
// send.
type Monitors interface {
	// Watch reports whether that is a change.
	Watch(ctx context.Context, process ao.ID, on bool) (changed bool, err error)
}

// Tracer lists what became of what a process sent.
type Tracer interface {
	// Trace gives what was tried to deliver, newest first; more says whether there
	// is more behind it.
	Trace(ctx context.Context, query TraceQuery) (hops []Hop, more bool, err error)
}

// TraceQuery chooses what a process sent.
type TraceQuery struct {
	Process     ao.ID
	Kind        string // message, spawn or assign; "": all
	ID          ao.ID  // of what was delivered; zero: all
	Skip, Limit int
}

// Hop is something that was tried to deliver.
type Hop struct {
	Kind      string // message, spawn or assign
	Root      ao.ID  // the message that began it all
	Message   ao.ID  // the message whose evaluation sent it
	Delivered []ao.ID
	TimeMS    int64
	Error     string
}

// MUOptions say what a messenger unit serves.
type MUOptions struct {
	Base
	Log      aolog.Log
	Weave    Weave
	Monitors Monitors
	Tracer   Tracer
	// Elsewhere takes what is not for this node's log; nil: it is refused.
	Elsewhere Elsewhere
	Pusher    Pusher
}

type mu struct {
	MUOptions
	su   *su
	wait time.Duration
}

// NewMU serves the messenger unit's routes (the reference's servers/mu).
// Messages are put into the log at once; what they cause is evaluated and
// delivered whether anybody waits or not.
func NewMU(o MUOptions) http.Handler {
	m := &mu{o, &su{SUOptions{Log: o.Log, Weave: o.Weave}}, time.Duration(o.Limits.withDefaults().WaitMS) * time.Millisecond}
	router := newRouter()
	router.HandleFunc("/", m.post).Methods(http.MethodPost)
	router.HandleFunc("/", m.get).Methods(http.MethodGet, http.MethodHead)
	router.HandleFunc("/push/{id}/{number}", m.push).Methods(http.MethodPost)
	router.HandleFunc("/monitor/{process}", m.monitor).Methods(http.MethodPost)
	router.HandleFunc("/monitor/{process}", m.unmonitor).Methods(http.MethodDelete)
	return o.wrap("mu", router)
}

type muPosted struct {
	Message string `json:"message"`
	ID      ao.ID  `json:"id"`
}

// post takes an item or an assignment. It answers itself and never redirects:
// clients lose the body of a redirected POST.
func (m *mu) post(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if query.Has("assign") || query.Has("process-id") && r.ContentLength == 0 {
		m.assign(w, r, query)
		return
	}
	item, err := readItem(r)
	if err == nil && item == nil {
		err = ao.Errorf(ao.CodeInvalid, "'body': A valid and signed data item must be provided as the body.")
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	duplicate, err := m.take(r.Context(), item)
	if err != nil {
		writeError(w, r, err)
		return
	}
	if duplicate {
		w.Header().Set(headerDuplicate, "true")
	}
	if err := m.assignToTarget(r.Context(), item); err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusAccepted, muPosted{"Processing DataItem", item.ID()})
}

// assignToTarget assigns a new process to the process it is addressed to.
func (m *mu) assignToTarget(ctx context.Context, item *dataitem.Item) error {
	kind, _, err := ao.CheckItem(item)
	if err != nil || kind != ao.KindProcess || item.Target == nil {
		return err
	}
	_, _, err = m.Log.Append(ctx, aolog.Proposal{Process: item.TargetID(), Message: item.ID()})
	if codeOf(err) == ao.CodeNotFound {
		// A target that is no process here gets nothing, as in the reference.
		return nil
	}
	return err
}

func (m *mu) assign(w http.ResponseWriter, r *http.Request, query url.Values) {
	if !query.Has("assign") || !query.Has("process-id") {
		writeError(w, r, ao.Errorf(ao.CodeInvalid, "You must set both process-id and assign to send an assignment, not just one"))
		return
	}
	id, away, err := m.assignElsewhere(r)
	if err == nil && !away {
		var duplicate bool
		if id, duplicate, err = m.assignHere(r); duplicate {
			w.Header().Set(headerDuplicate, "true")
		}
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusAccepted, muPosted{"Processing Assignment", id})
}

func (m *mu) assignHere(r *http.Request) (id ao.ID, duplicate bool, err error) {
	proposal, err := m.su.proposal(r)
	if err != nil {
		return ao.ID{}, false, err
	}
	entry, duplicate, err := m.Log.Append(r.Context(), proposal)
	return entry.ID, duplicate, err
}

// get says what this is, or with ?debug what became of a process's messages.
func (m *mu) get(w http.ResponseWriter, r *http.Request) {
	if !r.URL.Query().Has("debug") {
		writeText(w, http.StatusOK, "ao messenger unit")
		return
	}
	m.trace(w, r)
}

func (m *mu) monitor(w http.ResponseWriter, r *http.Request) {
	m.changeMonitor(w, r, true, "Monitoring process", ao.Errorf(ao.CodeConflict, "Process already being monitored"))
}

func (m *mu) unmonitor(w http.ResponseWriter, r *http.Request) {
	m.changeMonitor(w, r, false, "Process deleted", ao.Errorf(ao.CodeNotFound, "Process monitor not found"))
}

// changeMonitor goes by the signed item's target, not by the path, and checks
// the signature, which the reference does not.
func (m *mu) changeMonitor(w http.ResponseWriter, r *http.Request, on bool, done string, unchanged error) {
	item, err := readItem(r)
	switch {
	case err != nil:
	case item == nil:
		err = ao.Errorf(ao.CodeInvalid, "Signed data item is required")
	default:
		err = m.checkMonitor(r.Context(), item)
	}
	changed := true
	if err == nil {
		changed, err = m.Monitors.Watch(r.Context(), item.TargetID(), on)
	}
	if err == nil && !changed {
		err = unchanged
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeText(w, http.StatusOK, done)
}

func (m *mu) checkMonitor(ctx context.Context, item *dataitem.Item) error {
	if err := item.Verify(); err != nil {
		return ao.Errorf(ao.CodeInvalid, "item %s cannot be accepted: %w", item.ID(), err)
	}
	if _, err := m.Log.Head(ctx, item.TargetID()); err != nil {
		return notFound(err, "process %s is not known to this messenger", item.TargetID())
	}
	return nil
}

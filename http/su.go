package http

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Weave is what the scheduler asks of the base layer.
type Weave interface {
	aolog.Weave
	// Height is the newest block's.
	Height() uint64
}

// SUOptions say what a scheduler unit serves.
type SUOptions struct {
	Base
	// Log answers reads with all that was acknowledged before, by whichever node.
	Log aolog.Log
	// Stale answers reads that ask for ?stale with what this node has; nil: Log
	// does.
	Stale aolog.Log
	Weave Weave
	// Sequencing answers about how processes are ordered; nil: nobody does.
	// Blocks lists the blocks that crons see, as engine.BlockSource does; nil: none.
	Blocks     func(ctx context.Context, afterMS, beforeMS int64, limit int) ([]history.Block, error)
	Sequencing Sequencing
	Address    string // of the scheduler, in the form gateways index
	NowMS      func() int64
}

type su struct{ SUOptions }

// headerConsistency says which reads a scheduler's answer comes from.
const headerConsistency = "Wallaby-Consistency"

// NewSU serves the scheduler unit's routes (the reference's servers/su).
func NewSU(o SUOptions) http.Handler {
	fresh, stale := (&su{o}).routes(), http.Handler(nil)
	if o.Stale != nil {
		o.Log = o.Stale
		stale = (&su{o}).routes()
	}
	return o.wrap("su", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, consistency := fresh, "linearizable"
		if r.Method == http.MethodGet && stale != nil && r.URL.Query().Has("stale") {
			handler, consistency = stale, "stale"
		}
		w.Header().Set(headerConsistency, consistency)
		handler.ServeHTTP(w, r)
	}))
}

func (s *su) routes() http.Handler {
	router := newRouter()
	router.HandleFunc("/", s.post).Methods(http.MethodPost)
	router.HandleFunc("/", s.info).Methods(http.MethodGet, http.MethodHead)
	router.HandleFunc("/timestamp", s.timestamp).Methods(http.MethodGet)
	router.HandleFunc("/health", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }).Methods(http.MethodGet)
	router.HandleFunc("/processes/{process}", s.process).Methods(http.MethodGet)
	router.HandleFunc("/{process}/latest", s.latest).Methods(http.MethodGet)
	router.HandleFunc("/{process}/history", s.history).Methods(http.MethodGet)
	if s.Sequencing != nil {
		router.HandleFunc("/evidence", s.accuse).Methods(http.MethodPost)
		router.HandleFunc("/evidence", s.evidence).Methods(http.MethodGet)
		router.HandleFunc("/{process}/attestations", s.attestations).Methods(http.MethodGet)
		router.HandleFunc("/{process}/sequencing", s.order).Methods(http.MethodPost)
	}
	router.HandleFunc("/{id}", s.get).Methods(http.MethodGet)
	return router
}

func (s *su) info(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, suInfo{strconv.FormatInt(s.NowMS(), 10), s.Address})
}

func (s *su) timestamp(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, suTimestamp{strconv.FormatInt(s.NowMS(), 10), fmt.Sprintf("%012d", s.Weave.Height())})
}

// post takes an item, or the assignment of one that is elsewhere.
func (s *su) post(w http.ResponseWriter, r *http.Request) {
	proposal, err := s.proposal(r)
	if err != nil {
		writeError(w, r, err)
		return
	}
	entry, duplicate, err := s.Log.Append(r.Context(), proposal)
	if err != nil {
		writeError(w, r, err)
		return
	}
	if duplicate {
		w.Header().Set(headerDuplicate, "true")
	}
	id := entry.Message
	switch {
	case proposal.Item == nil:
		id = entry.ID
	case id.IsZero():
		id = entry.Process
	}
	writeJSON(w, http.StatusOK, suPosted{entry.TimestampMS, id})
}

// headerDuplicate says that an item was in the log before.
const headerDuplicate = "Wallaby-Duplicate"

func (s *su) proposal(r *http.Request) (aolog.Proposal, error) {
	process, hasProcess, err := queryID(r, "process-id", "proc-id")
	if err != nil {
		return aolog.Proposal{}, err
	}
	message, hasMessage, err := queryID(r, "assign")
	if err != nil {
		return aolog.Proposal{}, err
	}
	if hasMessage != hasProcess && hasMessage {
		return aolog.Proposal{}, ao.Errorf(ao.CodeInvalid, "if sending assign or process-id, you must send both")
	}
	if hasMessage {
		proposal := aolog.Proposal{Process: process, Message: message, Exclude: excluded(r)}
		return proposal, aolog.CheckAssignment(r.Context(), s.Log, s.Weave, proposal, r.URL.Query().Has("base-layer"))
	}
	item, err := readItem(r)
	if err != nil {
		return aolog.Proposal{}, err
	}
	if item == nil {
		return aolog.Proposal{}, ao.Errorf(ao.CodeInvalid, "the body is empty: post a signed data item, or name process-id and assign")
	}
	return aolog.Proposal{Item: item}, nil
}

func excluded(r *http.Request) (fields []string) {
	for field := range strings.SplitSeq(r.URL.Query().Get("exclude"), ",") {
		if field = strings.TrimSpace(field); field != "" {
			fields = append(fields, field)
		}
	}
	return fields
}

// notFound gives a look-up's error a message for people.
func notFound(err error, format string, args ...any) error {
	if errors.Is(err, aolog.ErrProcessUnknown) || errors.Is(err, aolog.ErrEntryUnknown) {
		return ao.Errorf(ao.CodeNotFound, format, args...)
	}
	return err
}

func (s *su) process(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r, "process")
	if err == nil {
		var entry aolog.Entry
		if entry, err = s.Log.Read(r.Context(), id, 0); err == nil {
			var shape processJSON
			if shape, err = processShape(entry); err == nil {
				writeJSON(w, http.StatusOK, shape)
				return
			}
		}
		err = notFound(err, "process %s is not known to this scheduler", id)
	}
	writeError(w, r, err)
}

// latest gives the newest entry; on a fresh process that is the process itself.
func (s *su) latest(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r, "process")
	if err != nil {
		writeError(w, r, err)
		return
	}
	head, err := s.Log.Head(r.Context(), id)
	if err != nil {
		writeError(w, r, notFound(err, "process %s is not known to this scheduler", id))
		return
	}
	s.writeEntry(w, r, id, head.Nonce)
}

func (s *su) writeEntry(w http.ResponseWriter, r *http.Request, process ao.ID, nonce uint64) {
	entry, err := s.Log.Read(r.Context(), process, nonce)
	if err != nil {
		writeError(w, r, err)
		return
	}
	shape, err := messageShape(entry, r.URL.Query().Has("show-anchor"))
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, shape)
}

// get answers for a message or assignment id with that entry, and for a
// process id with a page of its log.
func (s *su) get(w http.ResponseWriter, r *http.Request) {
	id, err := pathID(r, "id")
	if err != nil {
		writeError(w, r, err)
		return
	}
	if _, err := s.Log.Head(r.Context(), id); err == nil {
		s.list(w, r, id)
		return
	}
	process, within, err := queryID(r, "process-id", "proc-id")
	if err != nil {
		writeError(w, r, err)
		return
	}
	var nonce uint64
	if within {
		nonce, err = s.Log.Find(r.Context(), process, id)
	} else {
		process, nonce, err = s.Log.Locate(r.Context(), id)
	}
	if err != nil {
		writeError(w, r, notFound(err, "Message or Process not found: %s", id))
		return
	}
	s.writeEntry(w, r, process, nonce)
}

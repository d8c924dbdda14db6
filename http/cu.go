package http

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// Resulter waits for results.
type Resulter interface {
	// Result gives the evaluation of a message, an assignment or a process.
	Result(ctx context.Context, process, id ao.ID) (engine.Evaluation, error)
}

// Evaluator is what a compute unit asks of the engine.
type Evaluator interface {
	Resulter
	Results(ctx context.Context, process ao.ID, query engine.ResultsQuery) (engine.ResultsPage, error)
	DryRun(ctx context.Context, process ao.ID, message engine.DryRunMessage, to *ao.ID) (ao.Result, error)
	Past
	Digest(ctx context.Context, process ao.ID, from, to uint64) (engine.ResultsDigest, error)
	// Changed gives a channel that is closed when more of a process is evaluated than
	// is now.
	Changed(process ao.ID) <-chan struct{}
}

// Crons evaluates a process as time passes.
type Crons interface {
	// CatchUp evaluates a process up to now, or to an earlier time. When ctx ends
	// before that, the error says how much is left.
	CatchUp(ctx context.Context, process ao.ID, untilMS int64) error
}

// CUOptions say what a compute unit serves.
type CUOptions struct {
	Base
	Log       aolog.Log
	Evaluator Evaluator
	Crons     Crons
	Address   string
	NowMS     func() int64
	// Stopping is closed when streams of events are to end; nil: never.
	Stopping <-chan struct{}
}

type cu struct {
	CUOptions
	wait    time.Duration
	streams chan struct{} // one for each stream of events
}

// NewCU serves the compute unit's routes (the reference's servers/cu). A result
// is always JSON and never "busy": a request waits for its evaluation.
func NewCU(o CUOptions) http.Handler {
	c := &cu{o, time.Duration(o.Limits.withDefaults().WaitMS) * time.Millisecond, make(chan struct{}, streamsMax)}
	router := newRouter()
	router.HandleFunc("/", c.info).Methods(http.MethodGet, http.MethodHead)
	router.HandleFunc("/result/{id}", c.result).Methods(http.MethodGet)
	router.HandleFunc("/results/{process}", c.results).Methods(http.MethodGet)
	router.HandleFunc("/events/{process}", c.events).Methods(http.MethodGet)
	router.HandleFunc("/digest/{process}", c.digest).Methods(http.MethodGet)
	router.HandleFunc("/cron/{process}", c.cron).Methods(http.MethodGet)
	router.HandleFunc("/state/{process}", c.state).Methods(http.MethodGet)
	router.HandleFunc("/root/{process}", c.root).Methods(http.MethodGet)
	router.HandleFunc("/dry-run", c.dryRun).Methods(http.MethodPost)
	return o.wrap("cu", router)
}

func (c *cu) info(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Address   string `json:"address"`
		Timestamp int64  `json:"timestamp"`
	}{c.Address, c.NowMS()})
}

// result waits for an evaluation; the id is a message's, an assignment's, or
// the process's own for its boot.
func (c *cu) result(w http.ResponseWriter, r *http.Request) {
	evaluation, err := evaluated(r, c.Log, c.Evaluator, c.wait)
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeRawJSON(w, http.StatusOK, evaluation.Result.JSON())
}

// evaluated waits for the evaluation of the id in a request's path, in the
// process that its query names, if it names one.
func evaluated(r *http.Request, log aolog.Log, resulter Resulter, wait time.Duration) (none engine.Evaluation, err error) {
	id, err := pathID(r, "id")
	if err != nil {
		return none, err
	}
	process, ok, err := queryID(r, "process-id")
	if err == nil && !ok {
		process, _, err = log.Locate(r.Context(), id)
		err = notFound(err, "message %s is in no process of this node; name its process with process-id", id)
	}
	if err != nil {
		return none, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	// The message may have been acknowledged by another node a moment ago.
	if _, err := log.Find(ctx, process, id); err != nil {
		return none, notFound(err, "message %s is not in the log of process %s", id, process)
	}
	return resulter.Result(ctx, process, id)
}

// The bounds of a page of results.
const (
	resultsLimitDefault = 25
	resultsLimitMax     = 1000
)

func (c *cu) results(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	if err != nil {
		writeError(w, r, err)
		return
	}
	query, err := resultsQuery(r, resultsLimitDefault)
	if err != nil {
		writeError(w, r, err)
		return
	}
	page, err := c.Evaluator.Results(r.Context(), process, query)
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, resultsShape(page, query.Descending))
}

// resultsQuery reads a query; the direction inside a cursor beats the
// parameter, so that a client that pages on stays on its way.
func resultsQuery(r *http.Request, limitDefault int) (query engine.ResultsQuery, err error) {
	query.Limit = limitDefault
	if text := queryText(r, "limit"); text != "" {
		if query.Limit, err = strconv.Atoi(text); err != nil || query.Limit < 1 {
			return query, ao.Errorf(ao.CodeInvalid, "limit must be a number from 1, not %.32q", text)
		}
		query.Limit = min(query.Limit, resultsLimitMax)
	}
	direction := strings.ToUpper(queryText(r, "sort"))
	for _, bound := range []struct {
		name string
		to   **engine.Cursor
	}{{"to", &query.To}, {"from", &query.From}} {
		text := queryText(r, bound.name)
		if text == "" {
			continue
		}
		cursor, err := engine.ParseCursor(text)
		if err != nil {
			return query, err
		}
		if cursor.Sort != "" {
			direction = cursor.Sort
		}
		*bound.to = &cursor
	}
	switch direction {
	case "", engine.SortAscending:
	case engine.SortDescending:
		query.Descending = true
	default:
		return query, ao.Errorf(ao.CodeInvalid, "sort must be ASC or DESC, not %.32q", direction)
	}
	return query, nil
}

func resultsShape(page engine.ResultsPage, descending bool) connect.ResultsPage {
	shape := connect.ResultsPage{PageInfo: connect.PageInfo{HasNextPage: page.HasNext}, Edges: make([]connect.ResultEdge, 0, len(page.Evaluations))}
	for _, evaluation := range page.Evaluations {
		result := evaluation.Result
		shape.Edges = append(shape.Edges, connect.ResultEdge{
			Cursor: engine.EncodeCursor(engine.CursorOf(evaluation, descending)),
			Node: connect.ResultNode{
				Messages: orEmpty(result.Messages), Assignments: orEmpty(result.Assignments),
				Spawns: orEmpty(result.Spawns), Output: orEmptyText(result.Output),
			},
		})
	}
	return shape
}

func orEmpty(list []json.RawMessage) []json.RawMessage {
	if list == nil {
		return []json.RawMessage{}
	}
	return list
}

func orEmptyText(raw json.RawMessage) json.RawMessage {
	if len(raw) == 0 {
		return json.RawMessage(`""`)
	}
	return raw
}

// The bounds of a page of what crons gave.
const (
	cronLimitDefault = 500
	// cronWait bounds how long a request for crons waits: a process may be a week
	// behind, and the next request goes on where this one left off.
	cronWait = 20 * time.Second
)

// cron evaluates a process up to now, or up to the end of the page, and lists what
// its crons gave, always from the oldest on.
func (c *cu) cron(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	if err != nil {
		writeError(w, r, err)
		return
	}
	query, err := resultsQuery(r, cronLimitDefault)
	query.Descending, query.Crons = false, true
	untilMS := c.NowMS()
	if query.To != nil {
		untilMS = min(untilMS, query.To.TimestampMS+1)
	}
	if err == nil {
		_, err = c.Log.Head(r.Context(), process)
		err = notFound(err, "process %s is not known to this node", process)
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(c.wait, cronWait))
	defer cancel()
	if err == nil {
		err = c.Crons.CatchUp(ctx, process, untilMS)
	}
	var page engine.ResultsPage
	if err == nil {
		page, err = c.Evaluator.Results(r.Context(), process, query)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, resultsShape(page, false))
}

// dryRunBytesMax bounds a dry run's body, as in the reference.
const dryRunBytesMax = 1 << 20

func (c *cu) dryRun(w http.ResponseWriter, r *http.Request) {
	process, ok, err := queryID(r, "process-id")
	if err == nil && !ok {
		err = ao.Errorf(ao.CodeInvalid, "'process-id': Process ID is required.")
	}
	var message engine.DryRunMessage
	if err == nil {
		message, err = readDryRun(r)
	}
	var to *ao.ID
	if id, ok, toErr := queryID(r, "to"); err == nil {
		err = toErr
		if ok {
			to = &id
		}
	}
	at, past, placeErr := queryPlace(r)
	if err == nil {
		err = placeErr
	}
	if err == nil && past && to != nil {
		err = ao.Errorf(ao.CodeInvalid, "give to or nonce, not both: each names a place")
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), c.wait)
	defer cancel()
	var result ao.Result
	if past {
		result, err = c.Evaluator.DryRunAt(ctx, process, message, at.Nonce, at.Tick)
	} else {
		result, err = c.Evaluator.DryRun(ctx, process, message, to)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	writeRawJSON(w, http.StatusOK, result.JSON())
}

func readDryRun(r *http.Request) (message engine.DryRunMessage, err error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, dryRunBytesMax+1))
	if err != nil {
		return message, bodyError(err)
	}
	if len(body) > dryRunBytesMax {
		return message, ao.Errorf(ao.CodeTooLarge, "a dry run has at most %d bytes", dryRunBytesMax)
	}
	var request connect.DryRunRequest
	if err := json.Unmarshal(body, &request); err != nil {
		return message, ao.Errorf(ao.CodeInvalid, "the body is not a message in JSON: %v", err)
	}
	if request.Owner == "" {
		return message, ao.Errorf(ao.CodeInvalid, "'Owner': a dry run says as whom it asks")
	}
	return engine.DryRunMessage{
		ID: request.ID, Signature: request.Signature, Target: request.Target, Owner: request.Owner, Anchor: request.Anchor,
		Data: request.Data, Tags: request.Tags, TimestampMS: request.TimestampMS, BlockHeight: request.BlockHeight,
	}, nil
}

package http

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/engine"
)

const (
	// streamsMax is how many streams of events one unit serves at once.
	streamsMax = 1024
	// eventsPage is how many results are read at once.
	eventsPage = 100
	// heartbeat keeps a quiet stream from being taken for a dead one.
	heartbeat = 15 * time.Second
)

// events sends results as they come, errors among them, as server-sent events. It begins
// behind the cursor in from, or in Last-Event-ID; without one, with what comes next.
func (c *cu) events(w http.ResponseWriter, r *http.Request) {
	process, err := pathID(r, "process")
	if err == nil {
		_, err = c.Log.Head(r.Context(), process)
		err = notFound(err, "process %s is not known to this node", process)
	}
	var from *engine.Cursor
	if err == nil {
		from, err = c.eventsFrom(r, process)
	}
	if err != nil {
		writeError(w, r, err)
		return
	}
	select {
	case c.streams <- struct{}{}:
		defer func() { <-c.streams }()
	default:
		writeError(w, r, ao.Errorf(ao.CodeUnavailable, "%d streams of events are open, which is the most that this node serves: ask /results now and then", streamsMax))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	c.stream(w, r, process, from)
}

// eventsFrom gives the cursor behind which a stream begins; nil: at the beginning.
func (c *cu) eventsFrom(r *http.Request, process ao.ID) (*engine.Cursor, error) {
	text := queryText(r, "from")
	if again := r.Header.Get("Last-Event-ID"); again != "" {
		text = again
	}
	if text != "" {
		cursor, err := engine.ParseCursor(text)
		return &cursor, err
	}
	page, err := c.Evaluator.Results(r.Context(), process, engine.ResultsQuery{Limit: 1, Descending: true, Errors: true})
	if err != nil || len(page.Evaluations) == 0 {
		return nil, err
	}
	cursor := engine.CursorOf(page.Evaluations[0], false)
	return &cursor, nil
}

// stream ends with the client, or with the unit.
func (c *cu) stream(w http.ResponseWriter, r *http.Request, process ao.ID, from *engine.Cursor) {
	out := http.NewResponseController(w)
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		changed := c.Evaluator.Changed(process) // before reading, or news might be missed
		page, err := c.Evaluator.Results(r.Context(), process, engine.ResultsQuery{From: from, Limit: eventsPage, Errors: true})
		if err != nil {
			return // the client asks again, from where it is
		}
		for _, evaluation := range page.Evaluations {
			cursor := engine.CursorOf(evaluation, false)
			if from = &cursor; writeEvent(w, evaluation, engine.EncodeCursor(cursor)) != nil {
				return
			}
		}
		if out.Flush() != nil {
			return
		}
		if page.HasNext {
			continue
		}
		select {
		case <-changed:
		case <-ticker.C:
			if _, err := fmt.Fprint(w, ": still here\n\n"); err != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-c.Stopping:
			return
		}
	}
}

func writeEvent(w http.ResponseWriter, evaluation engine.Evaluation, cursor string) error {
	event := connect.Event{
		Cursor: cursor, Nonce: evaluation.Nonce, TimestampMS: evaluation.TimestampMS, Cron: evaluation.Cron,
		Result: json.RawMessage(evaluation.Result.JSON()),
	}
	if !evaluation.Message.IsZero() {
		event.Message = evaluation.Message.String()
	}
	b, err := json.Marshal(event)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "id: %s\ndata: %s\n\n", cursor, b)
	return err
}

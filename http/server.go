package http

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gorilla/mux"
	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Limits bound what one request may cost.
type Limits struct {
	// BodyBytesMax bounds a request's body; default 10 MiB, as in the reference
	// scheduler.
	BodyBytesMax int64
	// WaitMS bounds how long a request waits for an evaluation; default
	// 300,000.
	WaitMS int64
}

func (l Limits) withDefaults() Limits {
	if l.BodyBytesMax == 0 {
		l.BodyBytesMax = 10 << 20
	}
	if l.WaitMS == 0 {
		l.WaitMS = 300_000
	}
	return l
}

// Base is what the handlers of all units share.
type Base struct {
	Limits  Limits
	Logger  zerolog.Logger
	Metrics *Metrics // nil: none
}

// request is what the wrapper knows of the request in hand.
type request struct {
	id      string
	failure error // what writeError did not tell the client
}

type requestKey struct{}

func requestOf(r *http.Request) *request {
	if known, ok := r.Context().Value(requestKey{}).(*request); ok {
		return known
	}
	return &request{id: "-"}
}

// newRouter makes a router whose refusals are JSON like all others.
func newRouter() *mux.Router {
	// Cleaning is done by the wrapper: the router's own way is a redirect, and a
	// redirected POST loses its body.
	router := mux.NewRouter().SkipClean(true)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeError(w, r, ao.Errorf(ao.CodeNotFound, "there is no %s %s here", r.Method, r.URL.Path))
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusMethodNotAllowed, connect.Refusal{Error: fmt.Sprintf("%s is not allowed on %s", r.Method, r.URL.Path), Code: ao.CodeInvalid})
	})
	return router
}

// wrap puts around a unit what every request needs: an id, a clean path, CORS,
// a bounded body, a net under panics, metrics and a line in the log.
func (b Base) wrap(unit string, next http.Handler) http.Handler {
	limits := b.Limits.withDefaults()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		started := time.Now()
		state := &request{id: requestID(r)}
		r = r.WithContext(context.WithValue(r.Context(), requestKey{}, state))
		r.URL.Path = path.Clean("/" + r.URL.Path)
		r.URL.RawPath = ""
		recorder := &recorder{ResponseWriter: w}
		recorder.Header().Set("X-Request-Id", state.id)
		allowCORS(recorder.Header(), r)
		r.Body = http.MaxBytesReader(recorder, r.Body, limits.BodyBytesMax)
		defer func() {
			if reason := recover(); reason != nil {
				state.failure = fmt.Errorf("panic: %v\n%s", reason, debug.Stack())
				if recorder.status == 0 {
					writeError(recorder, r, state.failure)
				}
			}
			b.record(unit, r, recorder, state, time.Since(started))
		}()
		if r.Method == http.MethodOptions {
			recorder.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(recorder, r)
	})
}

// requestID takes the client's id when it is harmless, or makes one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	valid := len(id) > 0 && len(id) <= 64
	for _, c := range id {
		valid = valid && (c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_')
	}
	if valid {
		return id
	}
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// allowCORS lets pages of any origin use the node, and read the headers that
// aoconnect reads.
func allowCORS(header http.Header, r *http.Request) {
	header.Set("Access-Control-Allow-Origin", "*")
	header.Set("Access-Control-Expose-Headers", "process, slot, timestamp, id, message, X-Request-Id, Wallaby-Duplicate, Retry-After")
	if r.Method != http.MethodOptions {
		return
	}
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE, OPTIONS")
	wanted := r.Header.Get("Access-Control-Request-Headers")
	if wanted == "" {
		wanted = "*"
	}
	header.Set("Access-Control-Allow-Headers", wanted)
	header.Set("Access-Control-Max-Age", "86400")
}

// recorder remembers the status for the log.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (b Base) record(unit string, r *http.Request, w *recorder, state *request, took time.Duration) {
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	if b.Metrics != nil {
		b.Metrics.observe(unit, r.Method, status, took)
	}
	event := b.Logger.Debug()
	if state.failure != nil {
		event = b.Logger.Error().Err(state.failure)
	}
	event.Str("unit", unit).Str("request", state.id).Str("method", r.Method).Str("path", r.URL.Path).
		Int("status", status).Int64("bytes", w.bytes).Dur("took", took).Msg("request")
}

// readItem reads a data item from a request's body; an empty body gives nil.
func readItem(r *http.Request) (*dataitem.Item, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, bodyError(err)
	}
	if len(body) == 0 {
		return nil, nil
	}
	item, err := dataitem.Parse(body)
	if err != nil {
		if len(body) > 1 && binary.LittleEndian.Uint16(body) == uint16(dataitem.MultiAptos) {
			// Refused whatever follows: the reason matters more than the length.
			err = (&dataitem.Item{SignatureType: dataitem.MultiAptos}).Verify()
		}
		return nil, ao.Errorf(ao.CodeInvalid, "the body is not a signed data item: %w", err)
	}
	return item, nil
}

func bodyError(err error) error {
	if limit, ok := asMaxBytes(err); ok {
		return ao.Errorf(ao.CodeTooLarge, "the body has more than %d bytes, which is the most this node takes", limit)
	}
	return ao.Errorf(ao.CodeInvalid, "the body cannot be read: %w", err)
}

// pathID reads an id out of the path.
func pathID(r *http.Request, name string) (ao.ID, error) {
	id, err := ao.ParseID(mux.Vars(r)[name])
	if err != nil {
		return id, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	return id, nil
}

// queryID reads an id out of the query under the first of these names that is
// there; ok is false when none is.
func queryID(r *http.Request, names ...string) (id ao.ID, ok bool, err error) {
	for _, name := range names {
		text := strings.TrimSpace(r.URL.Query().Get(name))
		if text == "" {
			continue
		}
		if id, err = ao.ParseID(text); err != nil {
			return id, false, ao.Errorf(ao.CodeInvalid, "%s: %w", name, err)
		}
		return id, true, nil
	}
	return id, false, nil
}

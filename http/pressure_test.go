package http

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

// refusing is a log that takes nothing for now, as one whose queue is full, or
// whose cluster has no majority.
type refusing struct {
	log.Log
	code ao.Code
}

func (l refusing) Append(context.Context, log.Proposal) (log.Entry, bool, error) {
	return log.Entry{}, false, ao.Errorf(l.code, "not now")
}

// TestRefusalsForNowSayWhenToComeBack posts a message to the units while the log
// takes none. A node of a cluster passes the code of its leader on, so it answers
// as one that is alone.
func TestRefusalsForNowSayWhenToComeBack(t *testing.T) {
	memory := memory.New(logtest.Signer(t, 1), (&clock{}).now)
	process := logtest.Spawn(t, memory, "a")
	item := logtest.MessageItem(t, logtest.Signer(t, 2), process, "x")
	for code, status := range map[ao.Code]int{
		ao.CodeRateLimited: http.StatusTooManyRequests, ao.CodeUnavailable: http.StatusServiceUnavailable,
	} {
		refuses := refusing{memory, code}
		for name, handler := range map[string]http.Handler{
			"su": NewSU(SUOptions{Log: refuses, Weave: fakeWeave{}, NowMS: func() int64 { return 1 }}),
			"mu": NewMU(MUOptions{Log: refuses, Weave: fakeWeave{}, Monitors: refuses, Tracer: fakeTracer{}}),
		} {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", bytes.NewReader(item.Bytes())))
			if seconds, err := strconv.Atoi(w.Header().Get("Retry-After")); w.Code != status || err != nil || seconds < 1 {
				t.Errorf("%s at %s: %d, Retry-After %q", name, code, w.Code, w.Header().Get("Retry-After"))
			}
			if err := connect.RefusalOf(w.Code, w.Body.Bytes()); ao.CodeOf(err) != code {
				t.Errorf("%s at %s: a client is told %v", name, code, err)
			}
		}
	}
}

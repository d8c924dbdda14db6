package http

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func TestPagesOfAnyOriginMayAsk(t *testing.T) {
	u := newUnits(t, nil)
	a := u.do(http.MethodOptions, u.cu.URL+"/dry-run", nil, "Origin", "https://example.org",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type, x-own")
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Origin") != "*" ||
		a.header.Get("Access-Control-Allow-Headers") != "content-type, x-own" || !strings.Contains(a.header.Get("Access-Control-Allow-Methods"), "DELETE") {
		t.Errorf("a preflight gives %d %v", a.status, a.header)
	}
	for _, a := range []answer{u.get(u.su.URL), u.get(u.su.URL + "/nonsense"), u.do(http.MethodPut, u.mu.URL, nil)} {
		exposed := a.header.Get("Access-Control-Expose-Headers")
		if a.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(exposed, "process") || !strings.Contains(exposed, "slot") {
			t.Errorf("status %d has %v", a.status, a.header)
		}
	}
}

func TestPathsAreCleanedWithoutARedirect(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "x")
	item := logtest.MessageItem(t, logtest.Signer(t, 9), process, "x")
	for _, url := range []string{u.su.URL, u.su.URL + "/", u.su.URL + "//", u.mu.URL, u.mu.URL + "//", u.mu.URL + "/./"} {
		if a := u.do(http.MethodPost, url, item.Bytes()); a.status != http.StatusOK && a.status != http.StatusAccepted {
			t.Errorf("POST %s: %d %s", url, a.status, a.body)
		}
	}
	for _, path := range []string{"/%2Fprocesses/", "//processes//", "/processes/", "/x/../processes/"} {
		if a := u.get(u.su.URL + path + process.String() + "/"); a.status != http.StatusOK {
			t.Errorf("GET %s: %d %s", path, a.status, a.body)
		}
	}
}

func TestBodiesAreBounded(t *testing.T) {
	u := newUnits(t, func(u *units) { u.limits.BodyBytesMax = 2000 })
	process := logtest.Spawn(t, u.log, "x")
	fits := logtest.MessageItem(t, logtest.Signer(t, 9), process, strings.Repeat("x", 1500))
	large := logtest.MessageItem(t, logtest.Signer(t, 9), process, strings.Repeat("x", 2000))
	if a := u.do(http.MethodPost, u.su.URL, fits.Bytes()); a.status != http.StatusOK {
		t.Errorf("%d bytes: %d %s", len(fits.Bytes()), a.status, a.body)
	}
	for _, url := range []string{u.su.URL, u.mu.URL, u.mu.URL + "/monitor/" + process.String()} {
		u.do(http.MethodPost, url, large.Bytes()).refuses(t, http.StatusRequestEntityTooLarge, ao.CodeTooLarge, "2000 bytes")
	}
	u.do(http.MethodPost, u.cu.URL+"/dry-run?process-id="+process.String(), large.Bytes()).refuses(t, 413, ao.CodeTooLarge, "2000 bytes")
}

func TestPanicsAreContained(t *testing.T) {
	var logged strings.Builder
	handler := Base{Logger: zerolog.New(&logged)}.wrap("x", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { panic("oh no") }))
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/path", nil))
	id := recorder.Header().Get("X-Request-Id")
	answer{recorder.Code, recorder.Header(), recorder.Body.String()}.refuses(t, 500, ao.CodeInternal, id)
	if !strings.Contains(logged.String(), "oh no") || !strings.Contains(logged.String(), id) || !strings.Contains(logged.String(), "server_test.go") {
		t.Errorf("the log says %s", &logged)
	}
}

func TestRequestIDs(t *testing.T) {
	u := newUnits(t, nil)
	if id := u.do(http.MethodGet, u.su.URL, nil, "X-Request-Id", "my-own_1").header.Get("X-Request-Id"); id != "my-own_1" {
		t.Errorf("the client's id became %q", id)
	}
	seen := map[string]bool{}
	for _, bad := range []string{"", "with space", "line\u00e4", strings.Repeat("x", 65)} {
		id := u.do(http.MethodGet, u.su.URL, nil, "X-Request-Id", bad).header.Get("X-Request-Id")
		if len(id) != 16 || seen[id] {
			t.Errorf("%q became %q", bad, id)
		}
		seen[id] = true
	}
}

func TestBodiesStayOutOfTheLog(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "x")
	u.do(http.MethodPost, u.su.URL+"?secret=question", logtest.MessageItem(t, logtest.Signer(t, 9), process, "secret data").Bytes())
	if line := u.logged.String(); strings.Contains(line, "secret") || !strings.Contains(line, `"method":"POST"`) || !strings.Contains(line, `"status":200`) {
		t.Errorf("the log says %s", line)
	}
}

func TestMetrics(t *testing.T) {
	u := newUnits(t, nil)
	u.get(u.su.URL)
	u.get(u.su.URL + "/nonsense")
	u.do("BREW", u.cu.URL, nil)
	u.metrics.Gauge("wallaby_test_height", "A height.", func() float64 { return 7 })
	u.metrics.Counter("wallaby_test_total", "A count.", func() float64 { return 8 })
	recorder := httptest.NewRecorder()
	u.metrics.Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for _, line := range []string{
		`wallaby_http_requests_total{method="GET",status="200",unit="su"} 1`,
		`wallaby_http_requests_total{method="GET",status="400",unit="su"} 1`,
		`wallaby_http_requests_total{method="other",status="405",unit="cu"} 1`,
		`wallaby_http_request_seconds_count{unit="su"} 2`, "wallaby_test_height 7", "wallaby_test_total 8", "go_goroutines",
	} {
		if !strings.Contains(recorder.Body.String(), line) {
			t.Errorf("no line %q in\n%.3000s", line, recorder.Body)
		}
	}
}

func TestClients(t *testing.T) {
	u := newUnits(t, nil)
	c := u.client()
	ctx := t.Context()
	from, to := logtest.Spawn(t, u.log, "from"), logtest.Spawn(t, u.log, "to")
	id, err := c.Send(ctx, dataitem.Draft{Target: from[:], Tags: protocolTags(ao.TypeMessage), Data: []byte("hi")}, logtest.Signer(t, 9))
	if err != nil {
		t.Fatal(err)
	}
	assigned, err := c.Assign(ctx, to, id, "Data", "Tags")
	if err != nil {
		t.Fatal(err)
	}
	list, err := c.Schedule(ctx, to, 1, 10)
	if err != nil || len(list.Edges) != 1 || list.Edges[0].Node.Assignment.ID != assigned.String() || !list.Edges[0].Node.Assignment.Tags.Has("Exclude") {
		t.Errorf("the schedule is %+v, %v", list, err)
	}
	if list, err = c.Schedule(ctx, from, 0, 1); err != nil || len(list.Edges) != 1 || !list.PageInfo.HasNextPage || list.Edges[0].Node.Message.ID != from.String() {
		t.Errorf("the schedule is %+v, %v", list, err)
	}
	if _, err := c.Send(ctx, dataitem.Draft{Target: []byte("short")}, logtest.Signer(t, 9)); ao.CodeOf(err) != ao.CodeInvalid {
		t.Errorf("a draft that cannot be: %v", err)
	}
	if _, err := c.Send(ctx, dataitem.Draft{}, logtest.Signer(t, 9)); ao.CodeOf(err) != ao.CodeInvalid || !strings.Contains(err.Error(), "Data-Protocol") {
		t.Errorf("an item that is refused: %v", err)
	}
}

func TestClientsExplainWhatTheyMeet(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	_, err := connect.New(gone.URL+"/").Result(t.Context(), ao.ID{}, ao.ID{})
	if ao.CodeOf(err) != ao.CodeUnavailable || !strings.Contains(err.Error(), "wallaby dev") || !strings.Contains(err.Error(), gone.URL) {
		t.Errorf("a node that is not there: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := connect.New(gone.URL).Result(ctx, ao.ID{}, ao.ID{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for _, c := range []struct {
		status int
		body   string
		code   ao.Code
		text   string
	}{
		{502, "<html>bad gateway", ao.CodeInternal, "<html>bad gateway"},
		{404, "", ao.CodeNotFound, "status 404"},
		{400, `{"error":"old style"}`, ao.CodeInvalid, "old style"},
		{200, "no json", ao.CodeInternal, "no JSON"},
		{307, "", ao.CodeInternal, "status 307"},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		_, err := connect.New(server.URL).Result(t.Context(), ao.ID{}, ao.ID{})
		server.Close()
		if ao.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%d %q: %s, %v", c.status, c.body, ao.CodeOf(err), err)
		}
	}
}

package http

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock begins at a round time and gains a millisecond at every look.
type clock struct {
	mu sync.Mutex
	ms int64
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ms++
	return time.UnixMilli(1_700_000_000_000 + c.ms)
}

type fakeWeave map[ao.ID]aolog.Standing

func (fakeWeave) Height() uint64 { return 1587000 }

func (w fakeWeave) Standing(_ context.Context, id ao.ID) (aolog.Standing, bool, error) {
	standing, known := w[id]
	return standing, known, nil
}

// fakeCrons remembers what it was asked.
type fakeCrons struct {
	process ao.ID
	untilMS int64
	err     error
}

func (c *fakeCrons) CatchUp(_ context.Context, process ao.ID, untilMS int64) error {
	c.process, c.untilMS = process, untilMS
	return c.err
}

// fakeTracer pages through hops of processes.
type fakeTracer map[ao.ID][]Hop

func (t fakeTracer) Trace(_ context.Context, q TraceQuery) (hops []Hop, more bool, err error) {
	for _, hop := range t[q.Process] {
		if q.Kind == "" || hop.Kind == q.Kind && slices.Contains(hop.Delivered, q.ID) {
			hops = append(hops, hop)
		}
	}
	hops = hops[min(q.Skip, len(hops)):]
	return hops[:min(q.Limit, len(hops))], len(hops) > q.Limit, nil
}

// fakeEvaluator answers what a test tells it to and remembers what it was asked.
type fakeEvaluator struct {
	result engine.Evaluation
	page   engine.ResultsPage
	query  engine.ResultsQuery
	dryRun engine.DryRunMessage
	to     *ao.ID
	at     *connect.Place
	asked  [2]ao.ID
	err    error
	wait   bool
	pushed []string
	// listed and changed are what a stream of events asks for, if they are set.
	listed  func(engine.ResultsQuery) (engine.ResultsPage, error)
	changed func() <-chan struct{}
}

func (e *fakeEvaluator) Result(ctx context.Context, process, id ao.ID) (engine.Evaluation, error) {
	e.asked = [2]ao.ID{process, id}
	if e.wait {
		<-ctx.Done()
		return engine.Evaluation{}, ctx.Err()
	}
	return e.result, e.err
}

func (e *fakeEvaluator) Results(_ context.Context, _ ao.ID, query engine.ResultsQuery) (engine.ResultsPage, error) {
	if e.listed != nil {
		return e.listed(query)
	}
	e.query = query
	return e.page, e.err
}

func (e *fakeEvaluator) DryRun(_ context.Context, _ ao.ID, message engine.DryRunMessage, to *ao.ID) (ao.Result, error) {
	e.dryRun, e.to = message, to
	return e.result.Result, e.err
}

func (e *fakeEvaluator) Changed(ao.ID) <-chan struct{} {
	if e.changed == nil {
		return make(chan struct{})
	}
	return e.changed()
}

func (e *fakeEvaluator) Push(_ context.Context, process ao.ID, nonce uint64) error {
	e.pushed = append(e.pushed, fmt.Sprint(process, nonce))
	return nil
}

func (e *fakeEvaluator) Digest(_ context.Context, process ao.ID, from, to uint64) (engine.ResultsDigest, error) {
	return engine.ResultsDigest{Process: process, From: from, To: to, Digest: ao.ID{1}, Newest: 9}, e.err
}

func (e *fakeEvaluator) State(context.Context, ao.ID) (*engine.State, error) { return nil, e.err }

func (e *fakeEvaluator) StateAt(_ context.Context, _ ao.ID, nonce, tick uint64) (*engine.State, error) {
	e.at = &connect.Place{Nonce: nonce, Tick: tick}
	return nil, e.err
}

func (e *fakeEvaluator) DryRunAt(_ context.Context, _ ao.ID, message engine.DryRunMessage, nonce, tick uint64) (ao.Result, error) {
	e.dryRun, e.at = message, &connect.Place{Nonce: nonce, Tick: tick}
	return e.result.Result, e.err
}

func (e *fakeEvaluator) Root(_ context.Context, process ao.ID) (ao.StateRoot, error) {
	return ao.StateRoot{Process: process, Nonce: 9, Root: ao.ID{1}}, e.err
}

func (e *fakeEvaluator) RootAt(_ context.Context, process ao.ID, nonce, tick uint64) (ao.StateRoot, error) {
	return ao.StateRoot{Process: process, Nonce: nonce, Tick: tick, Root: ao.ID{2}, Snapshot: true}, e.err
}

// units is one node's units with everything under them made up but the log.
type units struct {
	*testing.T
	log       *memory.Log
	weave     fakeWeave
	crons     *fakeCrons
	tracer    fakeTracer
	elsewhere Elsewhere
	evaluator *fakeEvaluator
	metrics   *Metrics
	logged    *bytes.Buffer
	limits    Limits

	stopping   chan struct{} // of streams of events
	su, mu, cu *httptest.Server
}

const address = "an address of forty-three characters, nearly"

func newUnits(t *testing.T, change func(*units)) *units {
	c := &clock{}
	u := &units{
		T: t, log: memory.New(logtest.Signer(t, 1), c.now), weave: fakeWeave{}, crons: &fakeCrons{}, tracer: fakeTracer{},
		evaluator: &fakeEvaluator{}, metrics: NewMetrics(), logged: &bytes.Buffer{},
	}
	if change != nil {
		change(u)
	}
	base := Base{Limits: u.limits, Logger: zerolog.New(&lockedWriter{to: u.logged}), Metrics: u.metrics}
	nowMS := func() int64 { return 1_700_000_000_000 }
	serve := func(handler http.Handler) *httptest.Server {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		return server
	}
	u.su = serve(NewSU(SUOptions{Base: base, Log: u.log, Weave: u.weave, Address: address, NowMS: nowMS}))
	u.mu = serve(NewMU(MUOptions{
		Base: base, Log: u.log, Weave: u.weave, Monitors: u.log, Tracer: u.tracer, Elsewhere: u.elsewhere, Pusher: u.evaluator,
	}))
	u.stopping = make(chan struct{})
	u.cu = serve(NewCU(CUOptions{
		Base: base, Log: u.log, Evaluator: u.evaluator, Crons: u.crons, Address: address, NowMS: nowMS, Stopping: u.stopping,
	}))
	t.Cleanup(func() { _ = u.log.Close() })
	return u
}

func (u *units) client() *connect.Client {
	return &connect.Client{SU: u.su.URL, MU: u.mu.URL, CU: u.cu.URL, HTTP: &http.Client{Transport: http.DefaultTransport}}
}

// lockedWriter is written to by the goroutines of several requests.
type lockedWriter struct {
	mu sync.Mutex
	to *bytes.Buffer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// answer is what came back, redirects not followed.
type answer struct {
	status int
	header http.Header
	body   string
}

func (u *units) do(method, url string, body []byte, header ...string) answer {
	u.Helper()
	request, err := http.NewRequestWithContext(u.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		u.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		u.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		u.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, strings.TrimSuffix(string(text), "\n")}
}

func (u *units) get(url string) answer { return u.do(http.MethodGet, url, nil) }

// is checks an answer's status and its whole body.
func (a answer) is(t *testing.T, status int, body string) {
	t.Helper()
	if a.status != status || a.body != body {
		t.Errorf("status %d, body\n%s\nwant status %d, body\n%s", a.status, a.body, status, body)
	}
}

// refuses checks that an answer is an error with a code and says a text.
func (a answer) refuses(t *testing.T, status int, code ao.Code, text string) {
	t.Helper()
	var refused connect.Refusal
	if err := json.Unmarshal([]byte(a.body), &refused); err != nil {
		t.Errorf("status %d with a body that is no error: %s", a.status, a.body)
		return
	}
	if a.status != status || refused.Code != code || !strings.Contains(refused.Error, text) {
		t.Errorf("status %d, code %q: %s; want status %d, code %q and %q", a.status, refused.Code, refused.Error, status, code, text)
	}
	if a.header.Get("Content-Type") != "application/json" {
		t.Errorf("an error of type %q", a.header.Get("Content-Type"))
	}
}

func decode[T any](t *testing.T, a answer) (value T) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal([]byte(a.body), &value); err != nil {
		t.Fatalf("%v in %s", err, a.body)
	}
	return value
}

func create(t *testing.T, draft dataitem.Draft) *dataitem.Item {
	t.Helper()
	item, err := dataitem.Create(draft, logtest.Signer(t, 9))
	if err != nil {
		t.Fatal(err)
	}
	return item
}

func protocolTags(kind string, more ...dataitem.Tag) dataitem.Tags {
	return append(dataitem.Tags{{Name: ao.TagDataProtocol, Value: ao.DataProtocol}, {Name: ao.TagType, Value: kind}}, more...)
}

var _ aolog.Log = (*memory.Log)(nil)

package courier

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/internal/guard"
)

func TestWhatIsPosted(t *testing.T) {
	s := startSU(t, took)
	w := newWorld(t)
	w.upstream.put(process, scheduler, s.URL+"/su/?x=1#y", "60000")
	it := item(t)
	if err := w.Post(t.Context(), scheduler.String(), it); err != nil {
		t.Fatal(err)
	}
	message := ao.ID{7}
	for _, a := range []Assignment{{Process: process, Message: message}, {Process: process, Message: message, BaseLayer: true, Exclude: []string{"Data", "a&b"}}} {
		if id, err := w.Assign(t.Context(), scheduler.String(), a); err != nil || id != tookID {
			t.Errorf("%s, %v", id, err)
		}
	}
	assign := "/su/?process-id=" + process.String() + "&assign=" + message.String()
	want := []received{{"POST", "/su/", string(it.Bytes())}, {"POST", assign, ""}, {"POST", assign + "&base-layer&exclude=Data%2Ca%26b", ""}}
	if diff := cmp.Diff(want, s.requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestWhatAnswersMean: done, refused for good, or later. The texts are the
// reference scheduler's.
func TestWhatAnswersMean(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	id := `{"timestamp":1,"id":"` + tookID.String() + `"}`
	for name, c := range map[string]struct {
		status int
		header string
		body   string
		code   ao.Code // of a refusal for good
		wait   time.Duration
		later  bool
		says   string
	}{
		"taken":               {status: 200, body: id},
		"created":             {status: 201, body: id},
		"known message":       {status: 400, body: `{"error":"MessageExists(\"Message already exists\")"}`},
		"known content":       {status: 400, body: `{"error":"MessageExists(\"Deep hash already exists\")"}`},
		"somebody else's 200": {status: 200, body: "<html>please log in</html>", later: true, says: "please log in"},
		"nothing":             {status: 204, later: true},
		"bad signature": {status: 400, body: `{"error":"error in builder: BuilderError(\"Signature verification failed\")"}`,
			code: ao.CodeInvalid, says: "Signature verification failed"},
		"forbidden":       {status: 403, body: `{"error":"Process X is not allowed on this SU"}`, code: ao.CodeUnauthorized, says: "not allowed"},
		"unknown":         {status: 404, body: `{"error":"process is not known","code":"not_found"}`, code: ao.CodeNotFound, says: "not known"},
		"conflict":        {status: 409, code: ao.CodeConflict},
		"large":           {status: 413, body: "too large", code: ao.CodeTooLarge, says: "too large"},
		"unprocessable":   {status: 422, code: ao.CodeUnprocessable},
		"teapot":          {status: 418, code: ao.CodeInvalid},
		"not indexed yet": {status: 400, body: `{"error":"Transaction not found"}`, later: true, says: "not found"},
		"warming up":      {status: 503, body: `{"error":"Server is warming up. Please try again later."}`, later: true, says: "warming up"},
		"busy":            {status: 429, header: "7", later: true, wait: 7 * time.Second},
		"busy until":      {status: 503, header: "Fri, 02 Jan 2026 03:04:35 GMT", later: true, wait: 30 * time.Second},
		"busy for ever":   {status: 429, header: "999999999", later: true, wait: retryAfterMax},
		"busy yesterday":  {status: 429, header: "Thu, 01 Jan 2026 03:04:35 GMT", later: true},
		"busy oddly":      {status: 429, header: "-3", later: true},
		"broken":          {status: 500, body: "stack trace", later: true, says: "stack trace"},
		"bad gateway":     {status: 502, later: true},
		"slow":            {status: 408, later: true},
		"nowhere":         {status: 307, later: true},
	} {
		got, err := outcome(c.status, c.header, []byte(c.body), now)
		if (c.code != "" || c.later) != (err != nil) {
			t.Errorf("%s: %s, %v", name, got, err)
			continue
		}
		if err == nil {
			if c.body == id && got != tookID {
				t.Errorf("%s: the id is %s", name, got)
			}
			continue
		}
		l, isLater := errors.AsType[*Later](err)
		if isLater != c.later || isLater && l.RetryAfter() != c.wait || !isLater && ao.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v (%s), later %v", name, err, ao.CodeOf(err), isLater)
		}
		if !strings.Contains(err.Error(), fmt.Sprint(c.status)) {
			t.Errorf("%s: %v does not name the status", name, err)
		}
	}
}

func TestWordsOfOthersAreShortAndHarmless(t *testing.T) {
	for answer, want := range map[string]string{
		`{"error":"a\nb\u001b[31mc"}`:                    "a b[31mc",
		"\xff\xfe plain\ttext":                           "? plain text",
		strings.Repeat("ä", 5000):                        strings.Repeat("ä", wordsMax) + "...",
		`{"error":"` + strings.Repeat("x ", 5000) + `"}`: strings.Repeat("x ", wordsMax/2) + "...",
		``: "",
	} {
		if got := words([]byte(answer)); got != want {
			t.Errorf("%.40q: %q", answer, got)
		}
	}
}

func TestOneRedirectIsFollowedWithTheSameBody(t *testing.T) {
	it := item(t)
	end := startSU(t, took)
	to := func(status int, url string) *su {
		return startSU(t, answer{status: status, header: [2]string{"Location", url}})
	}
	twice := to(307, to(308, end.URL+"/").URL+"/")
	for name, c := range map[string]struct {
		url  string
		says string
	}{
		"307":         {url: to(307, end.URL+"/").URL},
		"308":         {url: to(308, end.URL+"/").URL},
		"two of them": {url: twice.URL, says: "more than 1 times"},
		"302":         {url: to(302, end.URL+"/").URL, says: "makes a GET"},
		"into a net":  {url: to(307, "http://10.0.0.1/").URL, says: "--" + guard.Setting + " private"},
	} {
		before := len(end.requests())
		w := newWorld(t)
		w.upstream.put(process, scheduler, c.url, "60000")
		err := w.Post(t.Context(), scheduler.String(), it)
		got := end.requests()[before:]
		if c.says == "" && (err != nil || len(got) != 1 || got[0].Body != string(it.Bytes()) || got[0].Method != http.MethodPost) {
			t.Errorf("%s: %v, and %d requests", name, err, len(got))
		}
		if c.says != "" && (!isLater(err) || !strings.Contains(err.Error(), c.says) || len(got) != 0) {
			t.Errorf("%s: %v, and %d requests", name, err, len(got))
		}
	}
}

func TestASchedulerThatMovedIsFound(t *testing.T) {
	it := item(t)
	for name, gone := range map[string]answer{
		"to the internet's next tenant": {status: 404, body: "404 page not found"},
		"while its host is down":        {status: 502},
	} {
		old, now := startSU(t, gone), startSU(t, took)
		w := newWorld(t)
		w.upstream.put(process, scheduler, old.URL, "86400000")
		if _, err := w.locate(t.Context(), scheduler.String()); err != nil {
			t.Fatal(err)
		}
		w.upstream.put(process, scheduler, now.URL, "86400000")
		err := w.Post(t.Context(), scheduler.String(), it)
		if gone.status == 502 {
			if !isLater(err) {
				t.Errorf("%s: %v", name, err)
			}
			err = w.Post(t.Context(), scheduler.String(), it)
		}
		if err != nil || len(now.requests()) != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASchedulerThatIsDownIsTriedLater(t *testing.T) {
	s := startSU(t, took)
	w := newWorld(t)
	w.upstream.put(process, scheduler, s.URL, "60000")
	s.Close()
	err := w.Post(t.Context(), scheduler.String(), item(t))
	if !isLater(err) || ao.CodeOf(err) != ao.CodeUnavailable || !strings.Contains(err.Error(), s.URL) || !strings.Contains(err.Error(), scheduler.String()) {
		t.Errorf("%v", err)
	}
}

func TestOneHostGetsFewRequestsAtOnce(t *testing.T) {
	h := &hosts{runningMax: 3, waitingMax: 5}
	var running, most, turns atomic.Int64
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			leave, err := h.enter(t.Context(), "a")
			if err != nil {
				t.Error(err)
				return
			}
			n := running.Add(1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			running.Add(-1)
			turns.Add(1)
			leave()
		})
	}
	wait.Wait()
	if most.Load() > 3 || turns.Load() != 8 {
		t.Errorf("%d at once, %d in all", most.Load(), turns.Load())
	}

	var leaves []func()
	for range 3 {
		leave, err := h.enter(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, leave)
	}
	// Others are not held up, and who waits can give up.
	leave, err := h.enter(t.Context(), "b")
	if err != nil {
		t.Fatal(err)
	}
	leave()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.enter(ended, "a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	h.of["a"].inside = 8
	if _, err := h.enter(t.Context(), "a"); !isLater(err) {
		t.Errorf("more than may wait: %v", err)
	}
	h.of["a"].inside = 3
	for _, leave := range leaves {
		leave()
	}
	if len(h.of) != 0 {
		t.Errorf("%d hosts are remembered without requests", len(h.of))
	}
}

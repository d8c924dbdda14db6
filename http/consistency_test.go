package http

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

// TestReadsSayHowFreshTheyAre: a scheduler reads what was acknowledged by any
// node, unless it is asked for what it has itself.
func TestReadsSayHowFreshTheyAre(t *testing.T) {
	clock := &clock{}
	all, own := memory.New(logtest.Signer(t, 1), clock.now), memory.New(logtest.Signer(t, 1), clock.now)
	process := logtest.Spawn(t, all, "elsewhere")
	handler := NewSU(SUOptions{Log: all, Stale: own, Weave: fakeWeave{}, NowMS: func() int64 { return 1 }})
	for path, want := range map[string]struct {
		status      int
		consistency string
	}{
		"/" + process.String():                      {http.StatusOK, "linearizable"},
		"/" + process.String() + "?stale":           {http.StatusNotFound, "stale"},
		"/" + process.String() + "/latest":          {http.StatusOK, "linearizable"},
		"/processes/" + process.String() + "?stale": {http.StatusNotFound, "stale"},
	} {
		w := ask(t, handler, http.MethodGet, path)
		if w.Code != want.status || w.Header().Get("Wallaby-Consistency") != want.consistency {
			t.Errorf("GET %s: %d %q, want %d %q", path, w.Code, w.Header().Get("Wallaby-Consistency"), want.status, want.consistency)
		}
	}
	// A post is never stale: it must be ordered.
	if w := ask(t, handler, http.MethodPost, "/?stale"); w.Header().Get("Wallaby-Consistency") != "linearizable" {
		t.Errorf("a post is %q", w.Header().Get("Wallaby-Consistency"))
	}
}

func ask(t *testing.T, handler http.Handler, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
	return w
}

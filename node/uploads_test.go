package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/settlement"
)

// upstream is a gateway and bundler beside the nodes of a test.
type upstream struct {
	*gateway.Gateway
	url string

	mu      sync.Mutex
	uploads int
	other   map[string]string // paths that answer with something else
}

func openUpstream(t *testing.T) *upstream {
	t.Helper()
	g, err := gateway.Open(gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	u := &upstream{Gateway: g}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/tx/arweave" {
			u.mu.Lock()
			u.uploads++
			u.mu.Unlock()
		}
		u.mu.Lock()
		other, wrong := u.other[r.URL.Path]
		u.mu.Unlock()
		if wrong {
			_, _ = w.Write([]byte(other))
			return
		}
		g.Handler().ServeHTTP(w, r)
	}))
	u.url = server.URL
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return u
}

func (u *upstream) count() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.uploads
}

// settles has a node settle there, without much patience.
func (u *upstream) settles(o *Options) {
	o.Settlement = Settlement{To: u.url, Depth: 1, Timing: settlement.Timing{
		Linger: time.Millisecond, Retry: time.Millisecond, Confirm: 10 * time.Millisecond, Poll: 10 * time.Millisecond,
	}}
}

// settled waits until so many places are confirmed, and modules with them.
func (s *stage) settled(places uint64) {
	s.Helper()
	s.eventually(fmt.Sprintf("%d places are settled", places), func() bool {
		status := s.Info().Settlement
		return status != nil && status.Committed == places && status.Confirmed == places && status.Extras == 0
	})
}

func TestTheLogAndItsModulesAreSettledAndItShows(t *testing.T) {
	u := openUpstream(t)
	s := openStage(t, u.settles)
	process := s.spawn("settled")
	var messages []ao.ID
	for i := range 10 {
		messages = append(messages, s.do(process, fmt.Sprintf(`{"Output":"%d"}`, i)))
	}
	s.settled(11)
	for _, id := range append(messages, process, s.module) {
		if _, err := u.StoredItem(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	if _, body := get(t, s.Info().URLs.Gateway+"/metrics"); !strings.Contains(body, "wallaby_settlement_confirmed 11\n") ||
		!strings.Contains(body, "wallaby_settlement_committed 11\n") || !strings.Contains(body, "wallaby_settlement_waiting_seconds 0\n") {
		t.Error(body)
	}
	_, body := get(t, s.Info().URLs.Gateway+PathInfo)
	var info Info
	if err := json.Unmarshal([]byte(body), &info); err != nil || info.Settlement == nil || info.Settlement.Confirmed != 11 || info.Settlement.To != u.url {
		t.Errorf("%s: %v", body, err)
	}
	uploads := u.count()
	s.restart()
	s.do(process, `{"Output":"after"}`)
	s.settled(12)
	if n := u.count() - uploads; n != 2 {
		t.Errorf("%d uploads after a restart for one message", n)
	}
}

func TestANodeThatDoesNotSettleSaysSo(t *testing.T) {
	s := openStage(t, nil)
	if s.Info().Settlement != nil {
		t.Error("it has a settlement")
	}
	_, err := Open(t.Context(), Options{Ephemeral: true, AnyPort: true, Settlement: Settlement{Wallet: "w.json"}})
	if err == nil || !strings.Contains(err.Error(), "settle-to") {
		t.Errorf("it opened with a wallet alone: %v", err)
	}
}

// TestEachGroupIsSettledByTheNodeThatLeadsIt: what three nodes order is uploaded
// once, also when the one that did it has gone.
func TestEachGroupIsSettledByTheNodeThatLeadsIt(t *testing.T) {
	u := openUpstream(t)
	stages := openStages(t, u.settles)
	startAll(t, stages)
	first := stages[0]
	var all []ao.ID
	for i := range 12 {
		process := first.spawn(fmt.Sprint(i))
		first.do(process, "{}")
		all = append(all, process)
	}
	for _, s := range stages {
		s.settled(24)
	}
	// A leader may change in the middle, which costs what it had in its hands.
	if n := u.count(); n < 48 {
		t.Errorf("%d uploads for 24 places", n)
	}
	uploads := u.count()
	gone, rest := stages[2], stages[:2]
	closeNode(t, gone.Node)
	for _, process := range all {
		first.do(process, `{"Output":"again"}`)
	}
	for _, s := range rest {
		s.settled(36)
	}
	if n := u.count() - uploads; n >= 48 {
		t.Errorf("%d uploads for 12 places: those of before were uploaded again", n)
	}
}

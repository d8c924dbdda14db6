package courier

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/guard"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// book is a Source that a test writes.
type book struct {
	mu        sync.Mutex
	items     map[ao.ID]dataitem.Tags
	locations map[ao.ID]dataitem.Tags
	broken    bool
	asked     int
}

func newBook() *book {
	return &book{items: map[ao.ID]dataitem.Tags{}, locations: map[ao.ID]dataitem.Tags{}}
}

func (b *book) Tags(_ context.Context, id ao.ID) (dataitem.Tags, bool, error) {
	return b.look(b.items, id)
}

func (b *book) Location(_ context.Context, owner ao.ID) (dataitem.Tags, bool, error) {
	return b.look(b.locations, owner)
}

func (b *book) look(in map[ao.ID]dataitem.Tags, id ao.ID) (dataitem.Tags, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.broken {
		return nil, false, errors.New("this gateway is on holiday")
	}
	tags, found := in[id]
	return tags, found, nil
}

// put writes a process and where its scheduler is.
func (b *book) put(process, scheduler ao.ID, url, timeToLive string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items[process] = dataitem.Tags{{Name: ao.TagType, Value: ao.TypeProcess}, {Name: ao.TagScheduler, Value: scheduler.String()}}
	b.locations[scheduler] = dataitem.Tags{{Name: "url", Value: url}, {Name: "TIME-TO-LIVE", Value: timeToLive}}
}

func (b *book) set(broken bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = broken
}

// received is a request that a scheduler got.
type received struct {
	Method, URI, Body string
}

// su is a scheduler that answers what a test tells it to.
type su struct {
	*httptest.Server
	mu      sync.Mutex
	got     []received
	answers []answer // the last one stays
}

type answer struct {
	status int
	header [2]string
	body   string
}

// took is what a scheduler answers to what it takes.
var took = answer{status: http.StatusOK, body: `{"timestamp":1735689600123,"id":"` + tookID.String() + `"}`}

var tookID = ao.ID{0x70}

func startSU(t *testing.T, answers ...answer) *su {
	s := &su{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.got = append(s.got, received{r.Method, r.URL.RequestURI(), string(body)})
		a := s.answers[0]
		if len(s.answers) > 1 {
			s.answers = s.answers[1:]
		}
		s.mu.Unlock()
		if a.header[0] != "" {
			w.Header().Set(a.header[0], a.header[1])
		}
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *su) requests() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got
}

// clock stands still until a test moves it.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// world is a courier with two gateways.
type world struct {
	*Courier
	local, upstream *book
	clock           *clock
}

var (
	process   = ao.ID{1}
	scheduler = ao.ID{2}
	own       = ao.ID{3}
)

func newWorld(t *testing.T, change ...func(*Options)) *world {
	t.Helper()
	client := guard.NewClient(guard.Options{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}, RedirectsMax: 1})
	t.Cleanup(client.CloseIdleConnections)
	w := &world{local: newBook(), upstream: newBook(), clock: &clock{now: time.UnixMilli(1_700_000_000_000)}}
	o := Options{Own: []string{own.String()}, Local: w.local, Upstream: []Source{w.upstream}, HTTP: client, Now: w.clock.Now}
	for _, change := range change {
		change(&o)
	}
	w.Courier = New(o)
	return w
}

// item is a message for the process of the tests.
func item(t *testing.T) *dataitem.Item {
	t.Helper()
	key := make([]byte, 32)
	key[0] = 1
	signer, err := dataitem.NewEd25519Signer(key)
	if err != nil {
		t.Fatal(err)
	}
	it, err := dataitem.Create(dataitem.Draft{Target: process[:], Tags: dataitem.Tags{{Name: ao.TagType, Value: ao.TypeMessage}}, Data: []byte("x")}, signer)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

package gateway_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// clock is a wall clock that tests turn.
type clock struct{ ms atomic.Int64 }

func newClock() *clock {
	c := new(clock)
	c.ms.Store(1_700_000_000_000)
	return c
}

func (c *clock) now() time.Time           { return time.UnixMilli(c.ms.Load()) }
func (c *clock) advance(by time.Duration) { c.ms.Add(by.Milliseconds()) }

// world is a gateway behind a server.
type world struct {
	t      testing.TB
	g      *gateway.Gateway
	clock  *clock
	url    string
	client *arweave.Client
}

func open(t testing.TB, o gateway.Options) *world {
	t.Helper()
	w := &world{t: t, clock: newClock()}
	if o.Now == nil {
		o.Now = w.clock.now
	}
	g, err := gateway.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(g.Handler())
	t.Cleanup(func() {
		server.Close()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	w.g, w.url, w.client = g, server.URL, &arweave.Client{BaseURL: server.URL, HTTP: server.Client()}
	return w
}

// answer is a response that was read to its end.
type answer struct {
	status int
	header http.Header
	body   string
}

func (w *world) send(method, path, mediaType, body string, header ...string) answer {
	w.t.Helper()
	request, err := http.NewRequest(method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if mediaType != "" {
		request.Header.Set("Content-Type", mediaType)
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := w.client.HTTP.Transport.RoundTrip(request)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(b)}
}

func (w *world) get(path string) answer {
	w.t.Helper()
	return w.send(http.MethodGet, path, "", "")
}

// want fails unless the answer has this status and its body holds the text.
func (a answer) want(t testing.TB, status int, text string) answer {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, text) {
		t.Errorf("answered %d %q, want %d with %q", a.status, a.body, status, text)
	}
	return a
}

// query runs a GraphQL query and gives its data.
func (w *world) query(query string, variables map[string]any, into any) {
	w.t.Helper()
	if err := w.client.GraphQL(context.Background(), query, variables, into); err != nil {
		w.t.Fatalf("%v\n%s", err, query)
	}
}

func (w *world) post(it *dataitem.Item) answer {
	w.t.Helper()
	return w.send(http.MethodPost, "/tx/arweave", "application/octet-stream", string(it.Bytes()))
}

func (w *world) put(items ...*dataitem.Item) {
	w.t.Helper()
	for _, it := range items {
		if stored, err := w.g.PutItem(context.Background(), it); err != nil || !stored {
			w.t.Fatalf("put %s: stored %v, %v", it.ID(), stored, err)
		}
	}
}

// wallet reads a throw-away key: arweave_1, arweave_2, or an ed25519 or
// Ethereum key made from a number, which sign much faster.
func rsaWallet(t testing.TB) dataitem.Signer {
	t.Helper()
	b, err := os.ReadFile("../testdata/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	signer, err := dataitem.ParseJWK(keys["arweave_1"])
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func wallet(t testing.TB, seed byte) dataitem.Signer {
	t.Helper()
	key := make([]byte, 32)
	key[31] = seed
	signer, err := dataitem.NewEd25519Signer(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func sign(t testing.TB, s dataitem.Signer, d dataitem.Draft) *dataitem.Item {
	t.Helper()
	it, err := dataitem.Create(d, s)
	if err != nil {
		t.Fatal(err)
	}
	return it
}

// tags makes a tag list of names and values.
func tags(pairs ...string) dataitem.Tags {
	var list dataitem.Tags
	for i := 0; i+1 < len(pairs); i += 2 {
		list = append(list, dataitem.Tag{Name: pairs[i], Value: pairs[i+1]})
	}
	return list
}

func bundleTags(more ...string) dataitem.Tags {
	return append(tags("Bundle-Format", "binary", "Bundle-Version", "2.0.0"), tags(more...)...)
}

func bundleOf(t testing.TB, items ...*dataitem.Item) []byte {
	t.Helper()
	b, err := dataitem.EncodeBundle(items...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

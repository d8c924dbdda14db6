package settlement

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
	"github.com/wallaby-ao/wallaby/log/memory"
)

// world is a log, a gateway that can be made to fail, and what was uploaded to it.
type world struct {
	*testing.T
	log     *memory.Log
	gateway *gateway.Gateway
	client  *arweave.Client
	store   memoryStore

	mu     sync.Mutex
	fault  func(w http.ResponseWriter, r *http.Request, body []byte) bool // true: it has answered
	posted []ao.ID                                                        // items that the bundler took, in order
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, log: memory.New(logtest.Signer(t, 1), time.Now), store: memoryStore{values: map[string][]byte{}}}
	g, err := gateway.Open(gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.gateway = g
	server := httptest.NewServer(w)
	w.client = &arweave.Client{BaseURL: server.URL, HTTP: server.Client()}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// ServeHTTP is the gateway with its faults.
func (w *world) ServeHTTP(out http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	w.mu.Lock()
	fault := w.fault
	w.mu.Unlock()
	if fault != nil && fault(out, r, body) {
		return
	}
	if r.URL.Path == "/tx/arweave" {
		if it, err := dataitem.Parse(body); err == nil {
			w.mu.Lock()
			w.posted = append(w.posted, it.ID())
			w.mu.Unlock()
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	w.gateway.Handler().ServeHTTP(out, r)
}

func (w *world) breaks(fault func(http.ResponseWriter, *http.Request, []byte) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

func (w *world) uploads() []ao.ID {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]ao.ID(nil), w.posted...)
}

var quick = Timing{
	Linger: time.Millisecond, Retry: time.Millisecond, RetryMax: 4 * time.Millisecond, Attempt: 500 * time.Millisecond,
	Confirm: 5 * time.Millisecond, Lost: time.Millisecond, Poll: 2 * time.Millisecond,
}

func (w *world) open(change func(*Options)) *Settler {
	w.Helper()
	o := Options{
		Log: w.log, Store: &w.store, To: w.client, Depth: 1, Timing: quick,
		Fatal: func(err error) { w.Errorf("fatal: %v", err) },
	}
	if change != nil {
		change(&o)
	}
	s, err := Open(o)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { w.close(s) })
	return s
}

func (w *world) close(s *Settler) {
	if err := s.Close(); err != nil {
		w.Error(err)
	}
}

// fill appends processes with messages and gives the ids of all that is settled, by
// process and in order.
func (w *world) fill(processes, messages int) map[ao.ID][]ao.ID {
	w.Helper()
	ids := map[ao.ID][]ao.ID{}
	for i := range processes {
		process := logtest.ProcessItem(w, logtest.Signer(w, 9), fmt.Sprintf("p%d-%d", i, len(w.uploads())))
		items := append([]*dataitem.Item{process}, logtest.Messages(w, logtest.Signer(w, 9), process.ID(), messages)...)
		for _, it := range items {
			ids[process.ID()] = append(ids[process.ID()], it.ID(), w.append(it))
		}
	}
	return ids
}

// append puts an item into the log and gives the id of its assignment.
func (w *world) append(it *dataitem.Item) ao.ID {
	w.Helper()
	entry, _, err := w.log.Append(context.Background(), aolog.Proposal{Item: it})
	if err != nil {
		w.Fatal(err)
	}
	return entry.ID
}

func (w *world) eventually(what string, is func() bool) {
	w.Helper()
	for deadline := time.Now().Add(60 * time.Second); !is(); {
		if time.Now().After(deadline) {
			w.Fatalf("it never came about that %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func (w *world) confirmed(s *Settler, entries uint64) {
	w.Helper()
	w.eventually(fmt.Sprintf("%d entries are confirmed", entries), func() bool { return s.Status().Confirmed == entries })
}

// settledInOrder checks that each process's items are at the gateway, and came there
// in order.
func (w *world) settledInOrder(ids map[ao.ID][]ao.ID) {
	w.Helper()
	firsts := map[ao.ID]int{}
	for at, id := range w.uploads() {
		if _, again := firsts[id]; !again {
			firsts[id] = at
		}
	}
	for process, list := range ids {
		last := -1
		for i, id := range list {
			if _, err := w.gateway.Lookup(context.Background(), id); err != nil {
				w.Errorf("item %d of %s: %v", i, process, err)
			}
			if at, ok := firsts[id]; !ok || at < last {
				w.Errorf("item %d of %s was uploaded as number %d, the one before it as %d", i, process, at, last)
			} else {
				last = at
			}
		}
	}
}

// memoryStore is a Store that forgets when the test ends.
type memoryStore struct {
	mu     sync.Mutex
	values map[string][]byte
}

func (s *memoryStore) Get(key string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key], nil
}

func (s *memoryStore) Set(key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = bytes.Clone(value)
	return nil
}

func (s *memoryStore) List(prefix string, fn func(string, []byte) error) error {
	s.mu.Lock()
	copied := map[string][]byte{}
	for key, value := range s.values {
		copied[key] = value
	}
	s.mu.Unlock()
	for key, value := range copied {
		if strings.HasPrefix(key, prefix) {
			if err := fn(key, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// rsaWallet is a throw-away wallet that can pay for transactions.
func rsaWallet(t *testing.T) dataitem.Signer {
	t.Helper()
	b, err := os.ReadFile("../arweave/testdata/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		Arweave json.RawMessage `json:"arweave_1"`
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	signer, err := dataitem.ParseJWK(keys.Arweave)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

package http

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/engine"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// story is a process that evaluates nonces up to head, as a stream of events sees it.
type story struct {
	mu      sync.Mutex
	head    uint64
	changed chan struct{}
	// listening is closed when somebody has asked where the story is.
	listening chan struct{}
	once      sync.Once
}

func (s *story) tell(head uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.head = head
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *story) change() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// list gives the nonces behind a cursor, of which odd ones have failed.
func (s *story) list(query engine.ResultsQuery) (page engine.ResultsPage, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !query.Errors {
		return page, errors.New("a stream without errors")
	}
	evaluation := func(nonce uint64) engine.Evaluation {
		e := engine.Evaluation{Nonce: nonce, Message: ao.ID{byte(nonce), 1}, TimestampMS: 1000 + int64(nonce)}
		if nonce%2 == 1 {
			e.Result.Error = []byte(`"odd"`)
		}
		return e
	}
	if query.Descending {
		s.once.Do(func() { close(s.listening) })
		return engine.ResultsPage{Evaluations: []engine.Evaluation{evaluation(s.head)}}, nil
	}
	next := uint64(0)
	if query.From != nil {
		next = uint64(query.From.TimestampMS) - 1000 + 1
	}
	for ; next <= s.head; next++ {
		if len(page.Evaluations) == query.Limit {
			page.HasNext = true
			break
		}
		page.Evaluations = append(page.Evaluations, evaluation(next))
	}
	return page, nil
}

// eventfulUnits has a process in its log whose story is told.
func eventfulUnits(t *testing.T) (*units, *story, ao.ID) {
	s := &story{changed: make(chan struct{}), listening: make(chan struct{})}
	u := newUnits(t, func(u *units) { u.evaluator.listed, u.evaluator.changed = s.list, s.change })
	entry, _, err := u.log.Append(t.Context(), aolog.Proposal{Item: logtest.ProcessItem(t, logtest.Signer(t, 2), "eventful")})
	if err != nil {
		t.Fatal(err)
	}
	return u, s, entry.Process
}

// TestEventsComeInOrderAndOnce reads a stream while more is evaluated, and goes on after it
// was cut.
func TestEventsComeInOrderAndOnce(t *testing.T) {
	u, s, process := eventfulUnits(t)
	s.tell(5)
	cut := errors.New("cut")
	var nonces []uint64
	cursor := ""
	read := func(until uint64) {
		t.Helper()
		err := u.client().Events(t.Context(), process, cursor, func(e connect.Event) error {
			nonces, cursor = append(nonces, e.Nonce), e.Cursor
			if len(nonces) == 1 {
				go s.tell(300) // more than a page
			}
			if result, err := e.Parsed(); err != nil || (result.Error != nil) != (e.Nonce%2 == 1) || e.Message == "" {
				t.Errorf("%+v, %v", e, err)
			}
			if e.Nonce == until {
				return cut
			}
			return nil
		})
		if !errors.Is(err, cut) {
			t.Fatal(err)
		}
	}
	go func() {
		<-s.listening
		s.tell(6)
	}()
	read(200)
	read(300)
	for i, nonce := range nonces {
		if nonce != nonces[0]+uint64(i) {
			t.Fatalf("event %d is of nonce %d behind %d", i, nonce, nonces[i-1])
		}
	}
	if nonces[0] != 6 || nonces[len(nonces)-1] != 300 {
		t.Errorf("from %d to %d", nonces[0], nonces[len(nonces)-1])
	}
}

// TestAStreamEndsWithItsUnit: whoever reads is told that the node went, and no goroutine
// holds up its end.
func TestAStreamEndsWithItsUnit(t *testing.T) {
	u, s, process := eventfulUnits(t)
	s.tell(1)
	ended := make(chan error, 1)
	from := engine.EncodeCursor(engine.Cursor{TimestampMS: 1000, Sort: engine.SortAscending})
	heard := make(chan struct{}, 1)
	go func() {
		ended <- u.client().Events(context.Background(), process, from, func(connect.Event) error {
			heard <- struct{}{}
			return nil
		})
	}()
	<-heard
	close(u.stopping)
	if err := <-ended; !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

func TestEventsThatAreRefused(t *testing.T) {
	u, _, process := eventfulUnits(t)
	u.get(u.cu.URL+"/events/"+ao.ID{9}.String()).refuses(t, http.StatusNotFound, ao.CodeNotFound, "is not known to this node")
	u.get(u.cu.URL+"/events/"+process.String()+"?from=x").refuses(t, http.StatusBadRequest, ao.CodeInvalid, "cursor")
	if err := u.client().Events(t.Context(), ao.ID{9}, "", nil); ao.CodeOf(err) != ao.CodeNotFound {
		t.Error(err)
	}
}

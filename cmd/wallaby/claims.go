package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/history"
)

// claims are results that somebody says a history has.
type claims struct {
	whose string
	// of gives the result claimed for a place; false if there is none.
	of    func(engine.ReplayResult) (json.RawMessage, bool, error)
	close func()
	// compared is how many results there were to compare with.
	compared int
}

// openClaims reads a file of results, or begins to ask a compute unit; "" claims
// nothing.
func openClaims(ctx context.Context, against string, file *history.File) (*claims, error) {
	switch {
	case against == "":
		return &claims{close: func() {}}, nil
	case strings.HasPrefix(against, "http://"), strings.HasPrefix(against, "https://"):
		return claimsOfUnit(ctx, against, file), nil
	}
	in, err := os.Open(against)
	if err != nil {
		return nil, fmt.Errorf("read results: %w", err)
	}
	defer in.Close()
	known, err := readResults(in)
	if err != nil {
		return nil, usageError{fmt.Errorf("%s holds no results: %w", against, err)}
	}
	return &claims{whose: against, close: func() {}, of: func(r engine.ReplayResult) (json.RawMessage, bool, error) {
		claimed, ok := known[r.Nonce]
		return claimed, ok, nil
	}}, nil
}

// compare gives a claim that is not equal to a result.
func (c *claims) compare(r engine.ReplayResult) (*engine.ReplayClaim, error) {
	if c.of == nil {
		return nil, nil
	}
	claimed, ok, err := c.of(r)
	if err != nil || !ok {
		return nil, err
	}
	c.compared++
	same, err := sameResult(r.Result, claimed)
	if err != nil {
		return nil, fmt.Errorf("the result that %s has for nonce %d: %w", c.whose, r.Nonce, err)
	}
	if same {
		return nil, nil
	}
	return &engine.ReplayClaim{Whose: c.whose, Result: string(claimed)}, nil
}

// readResults reads lines that replay --results wrote, or the JSON of a compute
// unit's /results page, by nonce.
func readResults(in io.Reader) (map[uint64]json.RawMessage, error) {
	known := map[uint64]json.RawMessage{}
	decoder := json.NewDecoder(bufio.NewReader(in))
	for {
		var part struct {
			Nonce  *uint64
			Result json.RawMessage
			Edges  []struct {
				Cursor string
				Node   json.RawMessage
			}
		}
		err := decoder.Decode(&part)
		switch {
		case errors.Is(err, io.EOF) && len(known) == 0:
			return nil, errors.New("there is none")
		case errors.Is(err, io.EOF):
			return known, nil
		case err != nil:
			return nil, err
		case part.Nonce != nil && part.Result != nil:
			known[*part.Nonce] = part.Result
		}
		for _, edge := range part.Edges {
			nonce, ok, err := nonceOfCursor(edge.Cursor)
			if err != nil {
				return nil, err
			}
			if ok {
				known[nonce] = edge.Node
			}
		}
	}
}

// nonceOfCursor reads which message a result is of; false for one of crons.
func nonceOfCursor(cursor string) (uint64, bool, error) {
	text, err := base64.StdEncoding.DecodeString(cursor)
	var place struct {
		Ordinate string
		Cron     *string
	}
	if err == nil {
		err = json.Unmarshal(text, &place)
	}
	var nonce uint64
	if err == nil {
		nonce, err = strconv.ParseUint(place.Ordinate, 10, 64)
	}
	if err != nil {
		return 0, false, fmt.Errorf("cursor %.60q: %w", cursor, err)
	}
	return nonce, place.Cron == nil, nil
}

// claimsAhead is how many results a compute unit is asked for at once.
const claimsAhead = 8

type claimed struct {
	nonce  uint64
	answer chan claimAnswer
}

type claimAnswer struct {
	result json.RawMessage
	err    error
}

// claimsOfUnit asks a compute unit for the results of a history, ahead of the
// replay.
func claimsOfUnit(ctx context.Context, base string, file *history.File) *claims {
	ctx, cancel := context.WithCancel(ctx)
	base = computeUnit(ctx, strings.TrimRight(base, "/"))
	process := file.Header().Process
	ahead := make(chan claimed, claimsAhead)
	failed := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(ahead)
		failed <- file.Entries(0, file.End().Head, func(r history.Record) error {
			e, err := r.Entry()
			if err != nil {
				return err
			}
			id := e.Message
			switch {
			case id.IsZero():
				id = e.Process
			case e.IsBare():
				id = e.ID
			}
			next := claimed{e.Nonce, make(chan claimAnswer, 1)}
			select {
			case ahead <- next:
			case <-ctx.Done():
				return ctx.Err()
			}
			wg.Go(func() {
				result, err := askResult(ctx, base, process, id)
				next.answer <- claimAnswer{result, err}
			})
			return nil
		})
	})
	stop := func() {
		cancel()
		wg.Wait()
	}
	return &claims{whose: base, close: stop, of: func(r engine.ReplayResult) (json.RawMessage, bool, error) {
		for next := range ahead {
			if next.nonce < r.Nonce {
				continue
			}
			select {
			case answer := <-next.answer:
				if answer.err != nil {
					return nil, false, fmt.Errorf("ask %s for the result of nonce %d: %w", base, r.Nonce, answer.err)
				}
				return answer.result, true, nil
			case <-ctx.Done():
				return nil, false, ctx.Err()
			}
		}
		return nil, false, <-failed
	}}
}

// computeUnit finds the unit under a Wallaby node's URL; another's URL is its own.
func computeUnit(ctx context.Context, base string) string {
	if connect.New(base).Do(ctx, http.MethodGet, base+"/cu/", "", nil, nil) == nil {
		return base + "/cu"
	}
	return base
}

// askResult gives a result as a compute unit has it.
func askResult(ctx context.Context, base string, process, id ao.ID) (result json.RawMessage, err error) {
	err = connect.New(base).Do(ctx, http.MethodGet, base+"/result/"+id.String()+"?process-id="+process.String(), "", nil, &result)
	return result, err
}

// sameResult compares what a result sends, spawns, assigns and says. The order of
// JSON keys does not count, nor does gas, nor how an empty list is written.
func sameResult(one, other json.RawMessage) (bool, error) {
	a, err := resultFields(one)
	if err != nil {
		return false, err
	}
	b, err := resultFields(other)
	return reflect.DeepEqual(a, b), err
}

func resultFields(result json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(result))
	decoder.UseNumber()
	var all map[string]any
	if err := decoder.Decode(&all); err != nil {
		return nil, err
	}
	fields := map[string]any{}
	for _, name := range []string{"Messages", "Assignments", "Spawns", "Output", "Error"} {
		value := all[name]
		switch v := value.(type) {
		case []any:
			if len(v) == 0 {
				value = nil
			}
		case map[string]any:
			if len(v) == 0 && name != "Output" && name != "Error" {
				value = nil
			}
		case string:
			if v == "" {
				value = nil
			}
		}
		fields[name] = value
	}
	return fields, nil
}

package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// knownItems is an ItemSource.
type knownItems map[ao.ID]*dataitem.Item

func (k knownItems) Item(_ context.Context, id ao.ID) (*dataitem.Item, error) {
	if item, ok := k[id]; ok {
		return item, nil
	}
	return nil, ao.Errorf(ao.CodeNotFound, "it is not there")
}

// orderedHistory has a scheduler order a process, messages of which one is binary
// in data and anchor, and a bare assignment.
func orderedHistory(u *units) (process ao.ID, items knownItems) {
	u.Helper()
	module := ao.ID{3}
	item := create(u.T, dataitem.Draft{Data: []byte{0xff, 'x'}, Tags: protocolTags(ao.TypeProcess,
		dataitem.Tag{Name: ao.TagModule, Value: module.String()}, dataitem.Tag{Name: ao.TagScheduler, Value: dataitem.AddressOf(logtest.Signer(u.T, 1).Owner()).String()})})
	process = item.ID()
	elsewhere := create(u.T, dataitem.Draft{Data: []byte("elsewhere")})
	binary := create(u.T, dataitem.Draft{Target: process[:], Anchor: bytes.Repeat([]byte{0xfe}, 32), Data: []byte{1, 0xff}, Tags: protocolTags(ao.TypeMessage)})
	proposals := []aolog.Proposal{{Item: item}, {Item: binary}, {Process: process, Message: elsewhere.ID(), Exclude: []string{"Data"}}}
	for i := range 7 {
		proposals = append(proposals, aolog.Proposal{Item: create(u.T, dataitem.Draft{
			Target: process[:], Anchor: fmt.Appendf(nil, "%032d", i), Data: []byte("text"), Tags: protocolTags(ao.TypeMessage)})})
	}
	for _, proposal := range proposals {
		if _, _, err := u.log.Append(u.Context(), proposal); err != nil {
			u.Fatal(err)
		}
	}
	return process, knownItems{process: item, binary.ID(): binary, elsewhere.ID(): elsewhere}
}

// imported imports a process and gives the file.
func imported(t *testing.T, process ao.ID, o HistoryOptions) []byte {
	t.Helper()
	o.HTTP = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	source, err := NewHistorySource(t.Context(), process, o)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := history.NewWriter(&b, history.Header{Process: process, Source: source.Origin()})
	if err == nil {
		err = history.Import(t.Context(), w, source, history.ImportOptions{})
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func verified(t *testing.T, b []byte) history.Report {
	t.Helper()
	report, err := history.Verify(t.Context(), bytes.NewReader(b), history.VerifyOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// isTheLog compares a file's entries with the log's, byte for byte.
func isTheLog(u *units, process ao.ID, b []byte) {
	u.Helper()
	file, err := history.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		u.Fatal(err)
	}
	l, err := history.NewLog(file)
	if err != nil {
		u.Fatal(err)
	}
	read := func(l aolog.Log) (entries []aolog.Entry) {
		if err := l.Range(u.Context(), process, 0, 1000, func(e aolog.Entry) error {
			entries = append(entries, e)
			return nil
		}); err != nil {
			u.Fatal(err)
		}
		return entries
	}
	if diff := cmp.Diff(read(u.log), read(l)); diff != "" {
		u.Fatal(diff)
	}
}

func TestANodesHistoryIsItsLog(t *testing.T) {
	u := newUnits(t, nil)
	process, items := orderedHistory(u)
	b := imported(t, process, HistoryOptions{URL: u.su.URL + "/", Items: items})
	isTheLog(u, process, b)
	if report := verified(t, b); !report.OK() || report.Source.Kind != SourceWallaby {
		t.Fatalf("report %+v", report)
	}
	// Without anybody to ask, the file says what it lacks.
	report := verified(t, imported(t, process, HistoryOptions{URL: u.su.URL}))
	if len(report.Findings) != 2 || report.Findings[0].What != history.WhatNote || report.Findings[1].What != history.WhatMessageMissing {
		t.Fatalf("findings %+v", report.Findings)
	}
	u.get(u.su.URL+"/"+ao.ID{5}.String()+"/history").refuses(t, http.StatusNotFound, ao.CodeNotFound, "is not known")
	u.get(u.su.URL+"/"+process.String()+"/history?from=x").refuses(t, http.StatusBadRequest, ao.CodeInvalid, "must be a nonce")
}

// TestASchedulersJSONBecomesWhatWasSigned imports through the JSON alone, with small
// pages, from a scheduler that has each of the reference's oddities.
func TestASchedulersJSONBecomesWhatWasSigned(t *testing.T) {
	u := newUnits(t, nil)
	process, items := orderedHistory(u)
	for name, oddity := range map[string]func(r *http.Request, list *connect.ListJSON){
		"none":                              nil,
		"has_next_page whenever it is full": func(_ *http.Request, list *connect.ListJSON) { list.PageInfo.HasNextPage = len(list.Edges) > 0 },
		"it does not know nonces": func(r *http.Request, _ *connect.ListJSON) {
			query := r.URL.Query()
			query.Del("from-nonce")
			r.URL.RawQuery = query.Encode()
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			list := connect.ListJSON{}
			if oddity != nil {
				oddity(r, &list)
			}
			body := u.get(u.su.URL + r.URL.String())
			if err := json.Unmarshal([]byte(body.body), &list); err == nil && oddity != nil {
				oddity(r, &list)
				writeJSON(w, body.status, list)
				return
			}
			w.WriteHeader(body.status)
			_, _ = w.Write([]byte(body.body))
		}))
		b := imported(t, process, HistoryOptions{URL: server.URL, Kind: SourceSU, Items: items, Limit: 3})
		server.Close()
		t.Log(name)
		isTheLog(u, process, b)
		if report := verified(t, b); !report.OK() {
			t.Fatalf("%s: findings %+v", name, report.Findings)
		}
	}
}

// TestEntriesOfOneMillisecondAreNotLost pages by time through a scheduler that does
// not know nonces and gives many entries one time.
func TestEntriesOfOneMillisecondAreNotLost(t *testing.T) {
	u := newUnits(t, nil)
	process, items := orderedHistory(u)
	all := decode[connect.ListJSON](t, u.get(u.su.URL+"/"+process.String())).Edges
	timeOf := func(e connect.EdgeJSON) int64 {
		ms, _ := strconv.ParseInt(e.Node.Assignment.Tags.Get(ao.TagTimestamp), 10, 64)
		return ms
	}
	for i, edge := range all {
		for j, tag := range edge.Node.Assignment.Tags {
			if tag.Name == ao.TagTimestamp {
				edge.Node.Assignment.Tags[j].Value = strconv.Itoa(1_700_000_000_000 + (i+3)/7) // 4 entries, 6 entries
			}
		}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
		limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
		var list connect.ListJSON
		for _, edge := range all {
			if timeOf(edge) <= from {
				continue
			}
			if list.PageInfo.HasNextPage = len(list.Edges) == limit; list.PageInfo.HasNextPage {
				break
			}
			list.Edges = append(list.Edges, edge)
		}
		writeJSON(w, http.StatusOK, list)
	}))
	defer server.Close()
	report := verified(t, imported(t, process, HistoryOptions{URL: server.URL, Kind: SourceSU, Items: items, Limit: 2}))
	if report.Entries != uint64(len(all)) || slices.ContainsFunc(report.Findings, func(f history.Finding) bool { return f.What == history.WhatMissing || f.What == history.WhatRepeated }) {
		t.Fatalf("%d entries of %d, findings %+v", report.Entries, len(all), report.Findings)
	}
}

// TestWhatJSONCannotSayIsNamed imports a process and a message that are no text, and
// a bare assignment, with nobody to ask for them.
func TestWhatJSONCannotSayIsNamed(t *testing.T) {
	u := newUnits(t, nil)
	process, _ := orderedHistory(u)
	report := verified(t, imported(t, process, HistoryOptions{URL: u.su.URL, Kind: SourceSU}))
	var got []string
	for _, f := range report.Findings {
		got = append(got, fmt.Sprintf("%d %s %s", f.Nonce, f.What, f.Severity))
	}
	want := []string{
		"0 message-signature unproven", "0 note remark", "1 message-signature unproven", "1 note remark",
		"2 note remark", "2 message-missing unproven",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s\n%+v", diff, report.Findings)
	}
}

// TestTheReferencesAssignmentsAreRebuilt imports what a reference scheduler served.
// It was asked without show-anchor, so assignments cannot be as they were signed;
// the file says so of each and has no other complaint.
func TestTheReferencesAssignmentsAreRebuilt(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "engine", "testdata", "golden-wasm32.json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Processes []struct {
			PID   ao.ID
			Edges []connect.EdgeJSON
		}
	}
	if err := json.Unmarshal(text, &golden); err != nil {
		t.Fatal(err)
	}
	for _, p := range golden.Processes {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from := 0
			if text := r.URL.Query().Get("from-nonce"); text != "" {
				from, _ = strconv.Atoi(text)
				from++
			}
			limit, _ := strconv.Atoi(r.URL.Query().Get("limit"))
			var list connect.ListJSON
			list.Edges = p.Edges[min(from, len(p.Edges)):min(from+limit, len(p.Edges))]
			list.PageInfo.HasNextPage = from+limit < len(p.Edges)
			writeJSON(w, http.StatusOK, list)
		}))
		report := verified(t, imported(t, p.PID, HistoryOptions{URL: server.URL, Kind: SourceSU, Limit: 10}))
		server.Close()
		if int(report.Entries) != len(p.Edges) || report.Wrong > 0 {
			t.Fatalf("process %s: %d entries of %d, findings %+v", p.PID, report.Entries, len(p.Edges), report.Findings)
		}
		for _, f := range report.Findings {
			if f.What != history.WhatAssignmentSignature && f.What != history.WhatNote && f.What != history.WhatMessageMissing {
				t.Errorf("process %s: %+v", p.PID, f)
			}
		}
	}
}

// TestAHyperBEAMSchedulesOrderIsHearsay serves aos-2 JSON as HyperBEAM does.
func TestAHyperBEAMSchedulesOrderIsHearsay(t *testing.T) {
	u := newUnits(t, nil)
	process, items := orderedHistory(u)
	var entries []aolog.Entry
	if err := u.log.Range(t.Context(), process, 0, 100, func(e aolog.Entry) error {
		entries = append(entries, e)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	shape := func(e aolog.Entry) map[string]any {
		node, err := messageShape(e, false)
		if err != nil {
			t.Fatal(err)
		}
		id, _ := json.Marshal(node.Assignment.ID)
		tags := dataitem.Tags{
			{Name: "Slot", Value: fmt.Sprint(e.Nonce)}, {Name: "Block-Height", Value: fmt.Sprint(e.BlockHeight)},
			{Name: "Timestamp", Value: fmt.Sprint(e.TimestampMS)}, {Name: "Process", Value: process.String()}, {Name: "Message", Value: e.Message.String()},
		}
		shaped := map[string]any{"assignment": map[string]any{"Id": json.RawMessage(id), "Owner": "a", "Tags": tags, "Signature": "x"}, "message": nil}
		if m := node.Message; m != nil {
			anchor, target := "", ""
			if m.Anchor != nil {
				anchor = *m.Anchor
			}
			if m.Target != nil {
				target = *m.Target
			}
			message := map[string]any{"Id": m.ID, "Owner": m.Owner.Address, "PublicKey": m.Owner.Key, "Tags": m.Tags, "Data": m.Data, "Anchor": anchor, "Target": target, "Signature": m.Signature}
			if e.Nonce == 5 {
				delete(message, "PublicKey") // as older nodes do
			}
			shaped["message"] = message
		}
		return map[string]any{"cursor": e.Nonce, "node": shaped}
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		switch {
		case r.URL.Path == "/~meta@1.0/info/address":
			_, _ = w.Write([]byte(process.String()))
		case r.URL.Path != "/~scheduler@1.0/schedule" || query.Get("target") != process.String() || query.Get("accept") != "application/aos-2":
			w.WriteHeader(http.StatusNotFound)
		default:
			from, _ := strconv.Atoi(query.Get("from"))
			to, _ := strconv.Atoi(query.Get("to"))
			var edges []map[string]any
			for i := from; i <= min(to, len(entries)-1); i++ {
				edges = append(edges, shape(entries[i]))
			}
			writeJSON(w, http.StatusOK, map[string]any{"page_info": map[string]any{"has_next_page": to < len(entries)-1}, "edges": edges})
		}
	}))
	defer server.Close()
	items[entries[5].Message], _ = entries[5].Item()
	b := imported(t, process, HistoryOptions{URL: server.URL, Items: items, Limit: 4})
	report := verified(t, b)
	if report.Source.Kind != SourceHyperBEAM || report.Entries != uint64(len(entries)) || report.Head != uint64(len(entries)-1) {
		t.Fatalf("report %+v", report)
	}
	if len(report.Findings) != 1 || report.Findings[0].What != history.WhatClaim {
		t.Fatalf("findings %+v", report.Findings)
	}
	delete(items, entries[5].Message)
	report = verified(t, imported(t, process, HistoryOptions{URL: server.URL, Items: items}))
	if !slices.ContainsFunc(report.Findings, func(f history.Finding) bool { return f.Nonce == 5 && f.What == history.WhatMessageMissing }) {
		t.Fatalf("findings %+v", report.Findings)
	}
}

func TestAGatewayGivesItemsAsTheyWereSigned(t *testing.T) {
	g, err := gateway.Open(gateway.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	server := httptest.NewServer(g.Handler())
	defer server.Close()
	process := ao.ID{7}
	source := GatewayItems{&arweave.Client{BaseURL: server.URL, HTTP: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}}
	for name, draft := range map[string]dataitem.Draft{
		"bytes": {Target: process[:], Anchor: bytes.Repeat([]byte{0xfe}, 32), Data: []byte{1, 0xff}, Tags: protocolTags(ao.TypeMessage)},
		"text":  {Anchor: fmt.Appendf(nil, "%032d", 7), Data: []byte("x")},
	} {
		item := create(t, draft)
		if _, err := g.PutVerified(t.Context(), item); err != nil {
			t.Fatal(err)
		}
		got, err := source.Item(t.Context(), item.ID())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got.Bytes(), item.Bytes()) {
			t.Fatalf("%s: other bytes", name)
		}
	}
	if _, err := source.Item(t.Context(), ao.ID{1}); ao.CodeOf(err) != ao.CodeNotFound {
		t.Fatalf("an item that is not there: %v", err)
	}
}

func TestASourceThatIsNotThereIsNamed(t *testing.T) {
	u := newUnits(t, nil)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	source, err := NewHistorySource(t.Context(), ao.ID{1}, HistoryOptions{URL: u.su.URL, HTTP: client})
	if err == nil {
		err = source.Records(t.Context(), ao.ID{1}, 0, func(history.Record) error { return errors.New("a record") })
	}
	if ao.CodeOf(err) != ao.CodeNotFound {
		t.Fatalf("an unknown process: %v", err)
	}
	if _, err := NewHistorySource(t.Context(), ao.ID{1}, HistoryOptions{URL: "http://127.0.0.1:1", HTTP: client}); ao.CodeOf(err) != ao.CodeUnavailable {
		t.Fatalf("nobody there: %v", err)
	}
	if _, err := NewHistorySource(t.Context(), ao.ID{1}, HistoryOptions{URL: u.su.URL, Kind: "tape", HTTP: client}); ao.CodeOf(err) != ao.CodeInvalid {
		t.Fatalf("an unknown kind: %v", err)
	}
}

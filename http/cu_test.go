package http

import (
	"encoding/json"
	"errors"
	"net/http"
	neturl "net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

func evaluation(nonce uint64) engine.Evaluation {
	gas := uint64(12)
	return engine.Evaluation{Nonce: nonce, TimestampMS: int64(1000 + nonce), Result: ao.Result{
		Messages: []json.RawMessage{[]byte(`{"Target":"<x>"}`)}, Output: []byte(`{"data":"1 < 2"}`), GasUsed: &gas,
	}}
}

func TestResults(t *testing.T) {
	u := newUnits(t, nil)
	u.get(u.cu.URL).is(t, http.StatusOK, `{"address":"`+address+`","timestamp":1700000000000}`)
	process := logtest.Spawn(t, u.log, "x")
	message := logtest.Append(t, u.log, logtest.MessageItem(t, logtest.Signer(t, 9), process, "x"))
	u.evaluator.result = evaluation(1)
	want := `{"Messages":[{"Target":"<x>"}],"Assignments":[],"Spawns":[],"Output":{"data":"1 < 2"},"GasUsed":12}`
	path := "/result/" + message.Message.String()
	for _, query := range []string{"?process-id=" + process.String(), ""} {
		a := u.get(u.cu.URL + path + query)
		a.is(t, http.StatusOK, want)
		if a.header.Get("Content-Type") != "application/json" || u.evaluator.asked != [2]ao.ID{process, message.Message} {
			t.Errorf("type %q, asked for %v", a.header.Get("Content-Type"), u.evaluator.asked)
		}
	}
	u.get(u.cu.URL+"/"+path+"?process-id="+process.String()).is(t, http.StatusOK, want)
	u.get(u.cu.URL+"/result/"+ao.ID{4}.String()).refuses(t, 404, ao.CodeNotFound, "name its process with process-id")
	u.get(u.cu.URL+"/result/x").refuses(t, 400, ao.CodeInvalid, "43")
	u.get(u.cu.URL+path+"?process-id=x").refuses(t, 400, ao.CodeInvalid, "process-id")
}

// TestEveryCodeHasItsStatus checks the table both ways, through a client.
func TestEveryCodeHasItsStatus(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "x")
	for _, row := range []struct {
		code   ao.Code
		status int
	}{
		{ao.CodeInvalid, 400}, {ao.CodeUnauthorized, 403}, {ao.CodeNotFound, 404}, {ao.CodeConflict, 409}, {ao.CodeTooLarge, 413},
		{ao.CodeUnprocessable, 422}, {ao.CodeRateLimited, 429}, {ao.CodeInternal, 500}, {ao.CodeUnavailable, 503}, {ao.CodeTimeout, 504},
	} {
		u.evaluator.err = ao.Errorf(row.code, "because of %s", row.code)
		a := u.get(u.cu.URL + "/result/" + process.String())
		if a.status != row.status {
			t.Errorf("%s gives status %d, want %d", row.code, a.status, row.status)
		}
		if retry := a.header.Get("Retry-After"); (retry != "") != (row.code == ao.CodeRateLimited || row.code == ao.CodeUnavailable) {
			t.Errorf("%s gives Retry-After %q", row.code, retry)
		}
		_, err := u.client().Result(t.Context(), process, process)
		if ao.CodeOf(err) != row.code {
			t.Errorf("%s comes back as %s: %v", row.code, ao.CodeOf(err), err)
		}
		if told := strings.Contains(err.Error(), "because of"); told == (row.code == ao.CodeInternal || row.code == ao.CodeTimeout) {
			t.Errorf("%s tells the client %q", row.code, err)
		}
		if connect.CodeOfStatus(row.status) != row.code {
			t.Errorf("status %d is taken for %s", row.status, connect.CodeOfStatus(row.status))
		}
	}
	u.evaluator.err = errors.New("secret words")
	a := u.get(u.cu.URL + "/result/" + process.String())
	a.refuses(t, 500, ao.CodeInternal, a.header.Get("X-Request-Id"))
	if strings.Contains(a.body, "secret") || !strings.Contains(u.logged.String(), "secret words") {
		t.Errorf("the client is told %s, the log %s", a.body, u.logged)
	}
	for status, code := range map[int]ao.Code{418: ao.CodeInvalid, 502: ao.CodeInternal} {
		if connect.CodeOfStatus(status) != code {
			t.Errorf("status %d is taken for %s", status, connect.CodeOfStatus(status))
		}
	}
}

func TestAResultThatTakesTooLong(t *testing.T) {
	u := newUnits(t, func(u *units) { u.limits.WaitMS = 20; u.evaluator.wait = true })
	process := logtest.Spawn(t, u.log, "x")
	u.get(u.cu.URL+"/result/"+process.String()).refuses(t, http.StatusGatewayTimeout, ao.CodeTimeout, "ask again")
}

func TestPagesOfResults(t *testing.T) {
	u := newUnits(t, nil)
	process := ao.ID{1}
	bare := evaluation(2)
	bare.Result = ao.Result{}
	u.evaluator.page = engine.ResultsPage{Evaluations: []engine.Evaluation{evaluation(1), bare}, HasNext: true}
	cursor := func(e engine.Evaluation, descending bool) string {
		return engine.EncodeCursor(engine.CursorOf(e, descending))
	}
	want := func(descending bool) string {
		return `{"pageInfo":{"hasNextPage":true},"edges":[{"node":{"Messages":[{"Target":"<x>"}],"Assignments":[],"Spawns":[],"Output":{"data":"1 < 2"}},"cursor":"` +
			cursor(evaluation(1), descending) + `"},{"node":{"Messages":[],"Assignments":[],"Spawns":[],"Output":""},"cursor":"` + cursor(bare, descending) + `"}]}`
	}
	up, down := cursor(evaluation(5), false), cursor(evaluation(5), true)
	place := engine.Cursor{TimestampMS: 1005, Ordinate: "5", Sort: "ASC"}
	placeDown := engine.Cursor{TimestampMS: 1005, Ordinate: "5", Sort: "DESC"}
	bareTime := engine.Cursor{TimestampMS: 1005}
	for query, c := range map[string]engine.ResultsQuery{
		"":                                      {Limit: 25},
		"?limit=3&sort=desc":                    {Limit: 3, Descending: true},
		"?limit=5000":                           {Limit: 1000},
		"?limit=undefined&from=undefined&sort=": {Limit: 25},
		"?from=" + up + "&sort=ASC":             {Limit: 25, From: &place},
		"?from=" + up + "&sort=DESC":            {Limit: 25, From: &place},
		"?from=" + down + "&sort=ASC":           {Limit: 25, From: &placeDown, Descending: true},
		"?to=" + down:                           {Limit: 25, To: &placeDown, Descending: true},
		"?from=" + up + "&to=1005":              {Limit: 25, From: &place, To: &bareTime},
		"?from=1005&sort=DESC":                  {Limit: 25, From: &bareTime, Descending: true},
	} {
		u.get(u.cu.URL+"/results/"+process.String()+query).is(t, http.StatusOK, want(c.Descending))
		if diff := cmp.Diff(c, u.evaluator.query); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	for query, text := range map[string]string{"limit=0": "limit", "limit=-1": "limit", "limit=x": "limit", "sort=UP": "sort", "from=%25%25": "cursor", "to=e30": "cursor"} {
		u.get(u.cu.URL+"/results/"+process.String()+"?"+query).refuses(t, 400, ao.CodeInvalid, text)
	}
	page, err := u.client().Results(t.Context(), process, connect.ResultsQuery{From: up, To: "1005", Sort: "ASC", Limit: 7})
	if err != nil || len(page.Edges) != 2 || !page.PageInfo.HasNextPage || u.evaluator.query.Limit != 7 || u.evaluator.query.To.TimestampMS != 1005 {
		t.Errorf("a client gets %+v for %+v, %v", page, u.evaluator.query, err)
	}
}

func TestDryRuns(t *testing.T) {
	u := newUnits(t, nil)
	process := ao.ID{1}
	u.evaluator.result = evaluation(1)
	url := u.cu.URL + "/dry-run?process-id=" + process.String()
	body := `{"Id":"1234","Target":"` + process.String() + `","Owner":"me","Anchor":"0","Data":"ping","Tags":[{"name":"Action","value":"Info"}]}`
	a := u.do(http.MethodPost, url+"&to="+ao.ID{8}.String(), []byte(body))
	a.is(t, http.StatusOK, string(evaluation(1).Result.JSON()))
	text := func(s string) *string { return &s }
	want := engine.DryRunMessage{
		ID: text("1234"), Target: text(process.String()), Owner: "me", Anchor: text("0"), Data: text("ping"),
		Tags: dataitem.Tags{{Name: "Action", Value: "Info"}},
	}
	if diff := cmp.Diff(want, u.evaluator.dryRun); diff != "" || u.evaluator.to == nil || *u.evaluator.to != (ao.ID{8}) {
		t.Errorf("asked at %v (-want +got):\n%s", u.evaluator.to, diff)
	}
	result, err := u.client().DryRun(t.Context(), process, connect.DryRunRequest{Owner: "you", Data: text("x")})
	if err != nil || string(result.Output) != `{"data":"1 < 2"}` || u.evaluator.dryRun.Owner != "you" || u.evaluator.to != nil {
		t.Errorf("a client gets %s for %+v, %v", result.JSON(), u.evaluator.dryRun, err)
	}
	large := []byte(`{"Owner":"me","Data":"` + strings.Repeat("x", dryRunBytesMax) + `"}`)
	u.do(http.MethodPost, u.cu.URL+"/dry-run", []byte(body)).refuses(t, 400, ao.CodeInvalid, "'process-id'")
	u.do(http.MethodPost, url, []byte("ping")).refuses(t, 400, ao.CodeInvalid, "not a message in JSON")
	u.do(http.MethodPost, url, []byte("{}")).refuses(t, 400, ao.CodeInvalid, "'Owner'")
	u.do(http.MethodPost, url, large).refuses(t, 413, ao.CodeTooLarge, "1048576")
	u.do(http.MethodPost, url+"&to=x", []byte(body)).refuses(t, 400, ao.CodeInvalid, "to")
}

func TestCronsAreEvaluatedAndListed(t *testing.T) {
	u := newUnits(t, nil)
	process := logtest.Spawn(t, u.log, "x")
	at := engine.Evaluation{Process: process, Nonce: 7, Tick: 3, Cron: "0-10-seconds", TimestampMS: 1735689610123}
	u.evaluator.page = engine.ResultsPage{Evaluations: []engine.Evaluation{at}}
	cursor := engine.EncodeCursor(engine.CursorOf(at, false))
	url := u.cu.URL + "/cron/" + process.String()
	u.get(url).is(t, http.StatusOK, `{"pageInfo":{"hasNextPage":false},"edges":[{"node":{"Messages":[],"Assignments":[],"Spawns":[],"Output":""},"cursor":"`+cursor+`"}]}`)
	if q := u.evaluator.query; u.crons.process != process || u.crons.untilMS != 1_700_000_000_000 || q.Limit != 500 || !q.Crons || q.Descending {
		t.Errorf("asked for %+v and %+v", u.crons, q)
	}
	// Whatever a cursor says, crons come from the oldest on.
	descending := engine.EncodeCursor(engine.Cursor{TimestampMS: 5, Ordinate: "7", Cron: "0-10-seconds", Sort: engine.SortDescending})
	u.get(url+"?limit=7000&to=1600000000000&from="+neturl.QueryEscape(descending)).is(t, http.StatusOK, `{"pageInfo":{"hasNextPage":false},"edges":[{"node":{"Messages":[],"Assignments":[],"Spawns":[],"Output":""},"cursor":"`+cursor+`"}]}`)
	if q := u.evaluator.query; u.crons.untilMS != 1_600_000_000_001 || q.Limit != 1000 || q.Descending || q.From.Cron != "0-10-seconds" {
		t.Errorf("asked for %+v and %+v", u.crons, q)
	}
	u.get(u.cu.URL+"/cron/"+ao.ID{4}.String()).refuses(t, 404, ao.CodeNotFound, "not known")
	u.crons.err = ao.Errorf(ao.CodeUnavailable, "process x is catching up with its crons, and 9 ticks are left")
	u.get(url).refuses(t, 503, ao.CodeUnavailable, "9 ticks are left")
}

func TestOnlyTheNewestStateIsGiven(t *testing.T) {
	u := newUnits(t, nil)
	plain := logtest.Spawn(t, u.log, "plain")
	u.get(u.cu.URL+"/state/"+plain.String()+"?to=5").refuses(t, 422, ao.CodeUnprocessable, "or give nonce")
	u.evaluator.err = ao.Errorf(ao.CodeNotFound, "no state")
	u.get(u.cu.URL+"/state/"+plain.String()).refuses(t, 404, ao.CodeNotFound, "no state")
}

package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
)

func (s *stage) read(path string, query url.Values, to any) error {
	client := clientOf(s.Node)
	return client.Do(s.Context(), http.MethodGet, client.Gateway+path+"?"+query.Encode(), "", nil, to)
}

// effects lists those in a state, without bodies, as "NONCE/INDEX ATTEMPTS".
func (s *stage) effects(query url.Values) (list []string) {
	s.Helper()
	for {
		var page OutboxPage
		if err := s.read(PathOutbox, query, &page); err != nil {
			s.Fatal(err)
		}
		for _, effect := range page.Effects {
			if effect.Body != nil {
				s.Errorf("a list shows the body of %s", effect.Effect)
			}
			list = append(list, fmt.Sprint(effect.Effect[44:], " ", effect.Attempts))
		}
		if page.After == "" {
			return list
		}
		query.Set("after", page.After)
	}
}

// order changes effects, as an operator may.
func (s *stage) order(path string, query url.Values) (change OutboxChange, err error) {
	s.Helper()
	err = s.ask(path, query, &change)
	return change, err
}

// ask does what an operator may.
func (s *stage) ask(path string, query url.Values, to any) error {
	s.Helper()
	request, err := http.NewRequest(http.MethodPost, s.Info().URLs.Gateway+path+"?"+query.Encode(), nil)
	if err != nil {
		s.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+s.adminToken)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		var refusal struct {
			Error string
			Code  ao.Code
		}
		_ = json.NewDecoder(response.Body).Decode(&refusal)
		return &ao.Error{Code: refusal.Code, Message: refusal.Error}
	}
	return json.NewDecoder(response.Body).Decode(to)
}

// TestDeadLettersAreListedRedrivenAndDropped over HTTP, by one and by many.
func TestDeadLettersAreListedRedrivenAndDropped(t *testing.T) {
	s := openStage(t, nil)
	one, two := s.spawn("one"), s.spawn("two")
	lost := sends(throw("nobody", "1", "a", "Lose"), throw(two.String(), "2", "{}", "Tell"), throw("nobody", "3", "b", "Lose"))
	s.do(two, lost)
	message := s.do(one, lost)
	s.quiet()
	dead := func(process ao.ID) url.Values {
		return url.Values{"state": {"dead"}, "process": {process.String()}, "limit": {"1"}}
	}
	if diff := cmp.Diff([]string{"1/0 1", "1/2 1"}, s.effects(dead(one))); diff != "" {
		t.Errorf("dead (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"1/1 1"}, s.effects(url.Values{"state": {"done"}, "root": {message.String()}})); diff != "" {
		t.Errorf("done (-want +got):\n%s", diff)
	}
	key := one.String() + "/1/0"
	var effect OutboxEffect
	if err := s.read(PathOutbox, url.Values{"effect": {key}}, &effect); err != nil {
		t.Fatal(err)
	}
	if effect.State != "dead" || effect.Target != "nobody" || effect.Root != message.String() || effect.TimeMS == 0 ||
		!strings.Contains(effect.Error, "no target") || !strings.Contains(string(effect.Body), `"Data":"a"`) {
		t.Errorf("it is shown as %+v", effect)
	}
	if status := s.Info().Engine; status.OutboxDead != 4 || status.OutboxPending != 0 {
		t.Errorf("the node says %+v", status)
	}

	// Redriven, they are tried anew and die anew.
	at := effect.TimeMS
	if change, err := s.order(PathRedriveEffect, url.Values{"effect": {key}}); err != nil || change.Changed != 1 {
		t.Fatalf("redrive one: %+v, %v", change, err)
	}
	s.quiet()
	if err := s.read(PathOutbox, url.Values{"effect": {key}}, &effect); err != nil || effect.TimeMS <= at || effect.State != "dead" || effect.Attempts != 1 {
		t.Errorf("after the redrive: %+v, %v", effect, err)
	}
	if change, err := s.order(PathRedriveEffect, url.Values{"all": {"true"}, "process": {two.String()}}); err != nil || change.Changed != 2 {
		t.Errorf("redrive what one process sent: %+v, %v", change, err)
	}
	s.quiet()
	if change, err := s.order(PathRedriveEffect, url.Values{"root": {message.String()}}); err != nil || change.Changed != 2 {
		t.Errorf("redrive what one message caused: %+v, %v", change, err)
	}
	s.quiet()
	if change, err := s.order(PathDropEffect, url.Values{"effect": {key}}); err != nil || change.Changed != 1 {
		t.Errorf("drop one: %+v, %v", change, err)
	}
	if change, err := s.order(PathDropEffect, url.Values{"all": {"true"}}); err != nil || change.Changed != 3 {
		t.Errorf("drop the others: %+v, %v", change, err)
	}
	s.restart()
	if diff := cmp.Diff([]string{"1/0 1", "1/2 1"}, s.effects(url.Values{"state": {"dropped"}, "process": {two.String()}})); diff != "" {
		t.Errorf("dropped, after a restart (-want +got):\n%s", diff)
	}
	for name, c := range map[string]struct {
		path, query string
		code        ao.Code
	}{
		"redrive what is dropped":  {PathRedriveEffect, "effect=" + key, ao.CodeConflict},
		"drop what is done":        {PathDropEffect, "effect=" + one.String() + "/1/1", ao.CodeConflict},
		"redrive nothing":          {PathRedriveEffect, "", ao.CodeInvalid},
		"redrive a stranger":       {PathRedriveEffect, "effect=" + ao.ID{5}.String() + "/1/1", ao.CodeNotFound},
		"drop what is no effect":   {PathDropEffect, "effect=x", ao.CodeInvalid},
		"redrive what is parked":   {PathRedriveEffect, "all=true&state=parked", ao.CodeInvalid},
		"drop what is pending":     {PathDropEffect, "all=true&state=pending", ao.CodeInvalid},
		"resume nothing":           {PathResumeCascade, "", ao.CodeInvalid},
		"resume what is no id":     {PathResumeCascade, "root=x", ao.CodeInvalid},
		"redrive for no process":   {PathRedriveEffect, "all=true&process=x", ao.CodeInvalid},
		"resume by an effect's id": {PathResumeCascade, "effect=" + key, ao.CodeInvalid},
	} {
		query, err := url.ParseQuery(c.query)
		if err == nil {
			_, err = s.order(c.path, query)
		}
		if ao.CodeOf(err) != c.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestALoopIsParkedAndResumed has two real processes throw a ball for ever.
func TestALoopIsParkedAndResumed(t *testing.T) {
	const hops = 25
	s := openStage(t, func(o *Options) { o.HopsMax = hops })
	one, two := s.spawn("one"), s.spawn("two")
	message := s.do(one, sends(throw(two.String(), "1", "ball", "Ball")))
	check := func(when string, throws uint64) {
		t.Helper()
		s.quiet()
		var list []ParkedCascade
		if err := s.read(PathParked, nil, &list); err != nil {
			t.Fatal(err)
		}
		if len(list) != 1 || list[0].Root != message || list[0].Effects != 1 || list[0].Rootless || !strings.Contains(list[0].Reason, fmt.Sprint(hops, " deliveries")) {
			t.Errorf("%s: %+v is parked", when, list)
		}
		got := uint64(0)
		for _, process := range []ao.ID{one, two} {
			head, err := s.log.Head(t.Context(), process)
			if err != nil {
				t.Fatal(err)
			}
			got += head.Nonce
		}
		if got != 1+throws {
			t.Errorf("%s: %d throws, want %d", when, got-1, throws)
		}
	}
	check("at first", hops)
	s.restart()
	check("after a restart", hops)
	if _, metrics := get(t, s.Info().URLs.Gateway+"/metrics"); !strings.Contains(metrics, "\nwallaby_outbox_parked 1\n") {
		t.Error("the metrics do not say that one effect is parked")
	}
	if trace, err := s.Trace(t.Context(), message.String(), hops+5, false); err != nil || strings.Count(sketch(trace.Message, ""), "parked message") != 1 {
		t.Errorf("the trace says: %s, %v", sketch(trace.Message, ""), err)
	}
	if change, err := s.order(PathResumeCascade, url.Values{"root": {message.String()}}); err != nil || change.Changed != 1 {
		t.Fatalf("resume: %+v, %v", change, err)
	}
	check("resumed", 2*hops)
	if change, err := s.order(PathDropEffect, url.Values{"root": {message.String()}, "state": {"parked"}}); err != nil || change.Changed != 1 {
		t.Fatalf("drop: %+v, %v", change, err)
	}
	s.quiet()
	if status := s.Info().Engine; status.OutboxParked != 0 || status.OutboxPending != 0 {
		t.Errorf("after the drop the node says %+v", status)
	}
}

// TestTheMessengersTraceIsDurable asks the messenger unit's route before and after a
// restart.
func TestTheMessengersTraceIsDurable(t *testing.T) {
	s := openStage(t, nil)
	one, two := s.spawn("one"), s.spawn("two")
	for i := range 7 {
		s.do(one, sends(throw(two.String(), fmt.Sprint(i), "{}", "Tell"), throw("nobody", fmt.Sprint(i), "", "Lose")))
	}
	s.quiet()
	ask := func(query string) (text string) {
		t.Helper()
		status, text := get(t, s.Info().URLs.MU+"/?debug=true&process="+one.String()+query)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, status, text)
		}
		return text
	}
	all := ask("&page-size=100")
	var answer struct {
		PageInfo struct{ HasNextPage bool }
		Edges    []struct {
			Node struct {
				ID, MessageID, Relation, Type, Error string
				Timestamp                            int64
			}
		}
	}
	if err := json.Unmarshal([]byte(all), &answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Edges) != 14 || answer.PageInfo.HasNextPage {
		t.Fatalf("%d traces, more %v", len(answer.Edges), answer.PageInfo.HasNextPage)
	}
	for i, edge := range answer.Edges {
		lost := i%2 == 0 // newest first, so the second effect of each message comes first
		if edge.Node.Type != "MESSAGE" || edge.Node.Relation != "root" || edge.Node.Timestamp == 0 || (edge.Node.Error != "") != lost || (edge.Node.ID == "") != lost {
			t.Errorf("trace %d is %+v", i, edge.Node)
		}
		if i%2 == 1 && edge.Node.MessageID != answer.Edges[i-1].Node.MessageID {
			t.Errorf("trace %d is of another message than the one before: %+v", i, edge.Node)
		}
	}
	first, second := ask(""), ask("&page=2")
	if strings.Count(first, `"cursor"`) != 10 || !strings.Contains(first, `"hasNextPage":true`) || strings.Count(second, `"cursor"`) != 4 || !strings.Contains(second, `"hasNextPage":false`) {
		t.Errorf("the first page is %s, the second %s", first, second)
	}
	if one := ask("&message=" + answer.Edges[3].Node.ID); strings.Count(one, `"cursor"`) != 1 || !strings.Contains(one, answer.Edges[3].Node.ID) {
		t.Errorf("by its id: %s", one)
	}
	s.restart()
	if again := ask("&page-size=100"); again != all {
		t.Errorf("after a restart it says %s, before %s", again, all)
	}
}

func TestTheNodesFileBoundsCascades(t *testing.T) {
	path := NodeFile(createCluster(t), "n1")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if options, err := ReadFile(path); err != nil || options.HopsMax != 0 || options.PairRateMax != 0 {
		t.Errorf("without bounds: %d, %d, %v", options.HopsMax, options.PairRateMax, err)
	}
	if err := os.WriteFile(path, append(b, "hops-max: 12\npair-rate-max: 0\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	if options, err := ReadFile(path); err != nil || options.HopsMax != 12 || options.PairRateMax >= 0 {
		t.Errorf("with bounds: %d, %d, %v", options.HopsMax, options.PairRateMax, err)
	}
}

package node

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// sketch writes what a trace says, but for ids and times.
func sketch(m TraceMessage, indent string) (text string) {
	text = indent + m.Kind
	if m.Name+m.Action != "" {
		text += " " + m.Name + m.Action
	}
	if m.Evaluated != nil {
		text += fmt.Sprintf(", gas %d", *m.Evaluated.GasUsed)
		if m.Evaluated.Error != nil {
			text += ", error " + string(m.Evaluated.Error)
		}
	}
	if m.Reply {
		text += ", reply"
	}
	for _, more := range []string{m.Elsewhere, m.Cut} {
		if more != "" {
			text += ", " + more
		}
	}
	text += "\n"
	for _, effect := range m.Effects {
		text += fmt.Sprintf("%s  %s %s, attempts %d\n", indent, effect.State, effect.Kind, effect.Attempts)
		for _, caused := range effect.Caused {
			text += sketch(caused, indent+"    ")
		}
	}
	return text
}

// TestATraceFollowsAllThatAMessageCauses: a message that is answered, one for a
// wallet, one that cannot be delivered, a spawn, an assignment and an error.
func TestATraceFollowsAllThatAMessageCauses(t *testing.T) {
	s := openStage(t, nil)
	one, two := s.spawn("one"), s.spawn("two")
	wallet := dataitem.AddressOf(s.signer.Owner()).String()
	result := map[string]any{
		"Messages": []any{
			throw(two.String(), "1", sends(throw(one.String(), "2", `{"Error":"no luck"}`, "Answer")), "Ask"),
			throw(wallet, "3", "hello", "Greet"),
			throw("nobody", "4", "lost", "Lose"),
		},
		"Spawns": []any{map[string]any{"Tags": []any{
			map[string]string{"name": "Module", "value": s.module.String()}, map[string]string{"name": "Name", "value": "child"}}}},
		"Assignments": []any{map[string]any{"Processes": []string{two.String()}, "Message": one.String()}},
	}
	text, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	message := s.do(one, string(text))
	s.quiet()
	trace := func(id string, depth int, root bool) Trace {
		t.Helper()
		trace, err := s.Trace(t.Context(), id, depth, root)
		if err != nil {
			t.Fatal(err)
		}
		return trace
	}
	whole := trace(message.String(), 8, false)
	got := sketch(whole.Message, "")
	want := `message Do, gas 5
  done message, attempts 1
    message Ask, gas 5
      done message, attempts 1
        message Answer, gas 5, error "no luck", reply
  done message, attempts 1
    message, reply, uploaded for wallet ` + wallet + `
  dead message, attempts 1
  done spawn, attempts 1
    process child, gas 5
    message Spawned, gas 5
  done assign, attempts 1
    assignment, gas 5
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	place := whole.Message.Scheduled
	evaluated := whole.Message.Evaluated.TimeMS
	asked := whole.Message.Effects[0]
	if place.Process != one || place.Nonce != 1 || whole.Message.From != s.signerAddress() || evaluated < place.TimeMS || asked.TimeMS < evaluated || whole.Cut {
		t.Errorf("the message %+v was evaluated at %d and sent at %d", place, evaluated, asked.TimeMS)
	}
	answer := asked.Caused[0].Effects[0].Caused[0]
	if answer.From != two.String() || answer.Scheduled.Process != one {
		t.Errorf("the answer %+v is at %+v", answer, answer.Scheduled)
	}

	// The same by other names, from further down, and after a restart.
	ask := asked.Caused[0].ID.String()
	if diff := cmp.Diff(whole, trace(place.Assignment.String(), 8, false)); diff != "" {
		t.Errorf("by the assignment (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(whole, trace(ask, 8, true)); diff != "" {
		t.Errorf("from the root (-want +got):\n%s", diff)
	}
	if got := trace(ask, 8, false); got.Message.ID.String() != ask || len(got.Message.Effects) != 1 {
		t.Errorf("from further down: %s", sketch(got.Message, ""))
	}
	if got := sketch(trace(one.String(), 8, false).Message, ""); got != "process one, gas 5\n" {
		t.Errorf("of the process: %s", got)
	}
	if got := trace(whole.Message.Effects[2].Effect, 8, false); len(got.Message.Effects) != 1 || got.Message.Effects[0].State != "dead" {
		t.Errorf("of the effect: %s", sketch(got.Message, ""))
	}
	short := trace(message.String(), 0, false)
	if caused := short.Message.Effects[0].Caused; !short.Cut || len(caused) != 1 || caused[0].Effects != nil || caused[0].Cut == "" {
		t.Errorf("without depth: %s", sketch(short.Message, ""))
	}
	s.restart()
	s.quiet()
	if diff := cmp.Diff(whole, trace(message.String(), 8, false)); diff != "" {
		t.Errorf("after a restart (-want +got):\n%s", diff)
	}
	var answered Trace
	client := clientOf(s.Node)
	if err := client.Do(t.Context(), http.MethodGet, client.Gateway+PathTrace+"?id="+message.String(), "", nil, &answered); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(whole, answered); diff != "" {
		t.Errorf("over HTTP (-want +got):\n%s", diff)
	}
}

func (s *stage) signerAddress() string { return dataitem.NativeAddress(s.signer.Owner()) }

func TestATraceOfNothingIsRefused(t *testing.T) {
	s := openStage(t, nil)
	client := clientOf(s.Node)
	stranger := ao.ID{7}.String()
	for query, code := range map[string]ao.Code{
		"id=" + stranger:                       ao.CodeNotFound,
		"id=" + stranger + "/1/0":              ao.CodeNotFound,
		"id=xyz":                               ao.CodeInvalid,
		"":                                     ao.CodeInvalid,
		"id=" + stranger + "&depth=65":         ao.CodeInvalid,
		"id=" + stranger + "&depth=-1":         ao.CodeInvalid,
		"id=" + stranger + "/1/x":              ao.CodeInvalid,
		"id=" + stranger + "&root=true&depth=": ao.CodeNotFound,
	} {
		if err := client.Do(t.Context(), http.MethodGet, client.Gateway+PathTrace+"?"+query, "", nil, nil); ao.CodeOf(err) != code {
			t.Errorf("%s: %v", query, err)
		}
	}
}

// TestATraceIsBounded: a message that sends many, each of which does likewise.
func TestATraceIsBounded(t *testing.T) {
	s := openStage(t, nil)
	process := s.spawn("fan")
	fan := func(n int, data func(i int) string) string {
		var all []map[string]any
		for i := range n {
			all = append(all, throw(process.String(), fmt.Sprint(n, "-", i), data(i), "Fan"))
		}
		return sends(all...)
	}
	message := s.do(process, fan(traceEffectsMax+5, func(i int) string {
		return fan(6, func(j int) string { return fmt.Sprint(i, j) })
	}))
	s.quiet()
	trace, err := s.Trace(t.Context(), message.String(), 5, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := trace.Message; len(got.Effects) != traceEffectsMax || got.Cut != "it sent 5 more" || !trace.Cut {
		t.Errorf("%d effects are shown, and it says %q", len(got.Effects), got.Cut)
	}
	whole := 0
	var count func(TraceMessage)
	count = func(m TraceMessage) {
		if m.Scheduled != nil {
			whole++
		}
		for _, effect := range m.Effects {
			for _, caused := range effect.Caused {
				count(caused)
			}
		}
	}
	if count(trace.Message); whole != traceMessagesMax {
		t.Errorf("%d messages are shown, want %d", whole, traceMessagesMax)
	}
}

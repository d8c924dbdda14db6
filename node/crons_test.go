package node

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/connect"
	"github.com/wallaby-ao/wallaby/dataitem"
	aolog "github.com/wallaby-ao/wallaby/log"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// spawnTicking spawns a process that tells another each second.
func (s *stage) spawnTicking(to ao.ID) ao.ID {
	s.Helper()
	return s.spawn("ticking", dataitem.Tag{Name: ao.TagCronInterval, Value: "1-second"}, dataitem.Tag{Name: "Cron-Tag-To", Value: to.String()})
}

// tocks gives the times that a process was told of.
func (s *stage) tocks(process ao.ID) (times []int64) {
	s.Helper()
	err := s.log.Range(s.Context(), process, 1, 1<<60, func(entry aolog.Entry) error {
		item, err := entry.Item()
		if err != nil {
			return err
		}
		if item.Tags.Has(ao.TagPushedFor) || item.Tags.Get(ao.TagFromProcess) == "" {
			s.Errorf("a tock has the tags %v", item.Tags)
		}
		at, err := strconv.ParseInt(string(item.Data), 10, 64)
		times = append(times, at)
		return err
	})
	if err != nil && !errors.Is(err, aolog.ErrProcessUnknown) {
		s.Fatal(err)
	}
	return times
}

// steady fails if a second is missing or doubled.
func (s *stage) steady(times []int64) {
	s.Helper()
	for i := range times {
		if i > 0 && times[i] != times[i-1]+1000 {
			s.Errorf("a tick is missing or doubled: %v", times)
			return
		}
	}
}

// ticks gives the times of all ticks of a process that a compute unit lists.
func (s *stage) ticks(process ao.ID) (cursors []string) {
	s.Helper()
	for from := ""; ; {
		var page connect.ResultsPage
		address := s.Info().URLs.CU + "/cron/" + process.String() + "?limit=7&from=" + url.QueryEscape(from)
		if err := clientOf(s.Node).Do(s.Context(), http.MethodGet, address, "", nil, &page); err != nil {
			s.Fatal(err)
		}
		for _, edge := range page.Edges {
			from = edge.Cursor
			cursors = append(cursors, from)
		}
		if !page.PageInfo.HasNextPage {
			return cursors
		}
	}
}

// TestWhatMonitoredCronsSendIsDelivered from when somebody asks for it, through a
// restart, until somebody asks for no more.
func TestWhatMonitoredCronsSendIsDelivered(t *testing.T) {
	s := openStage(t, nil)
	receiver := s.spawn("receiver")
	ticking := s.spawnTicking(receiver)
	s.eventually("a tick is due that nobody watches", func() bool { return len(s.ticks(ticking)) > 0 })
	client := clientOf(s.Node)
	before := time.Now().UnixMilli()
	if err := client.Monitor(t.Context(), ticking, s.signer); err != nil {
		t.Fatal(err)
	}
	if err := client.Monitor(t.Context(), ticking, s.signer); ao.CodeOf(err) != ao.CodeConflict || !strings.Contains(err.Error(), "already being monitored") {
		t.Errorf("monitored twice: %v", err)
	}
	s.eventually("ticks are delivered", func() bool { return len(s.tocks(receiver)) >= 2 })
	s.restart()
	client = clientOf(s.Node)
	s.eventually("ticks are delivered after a restart", func() bool { return len(s.tocks(receiver)) >= 4 })
	if err := client.Unmonitor(t.Context(), ticking, s.signer); err != nil {
		t.Fatal(err)
	}
	if err := client.Unmonitor(t.Context(), ticking, s.signer); ao.CodeOf(err) != ao.CodeNotFound {
		t.Errorf("unmonitored twice: %v", err)
	}
	after := time.Now().UnixMilli()
	s.eventually("another tick is due", func() bool {
		info, _, err := s.crons(t.Context(), ticking)
		return err == nil && info.Behind > 0 && !info.Watched
	})
	count := len(s.ticks(ticking)) // it has it evaluated
	s.quiet()
	times := s.tocks(receiver)
	s.steady(times)
	if len(times) == 0 || times[0] < before || times[len(times)-1] >= after || count <= len(times)+1 {
		t.Fatalf("of %d ticks those at %v were delivered, watched from %d to %d", count, times, before, after)
	}
	trace, err := s.Trace(t.Context(), fmt.Sprintf("%s/0.%d/0", ticking, count), 8, true)
	if err == nil {
		t.Errorf("a tick that nobody watched has effects: %+v", trace)
	}
	page := s.effects(url.Values{"state": {"done"}, "process": {ticking.String()}})
	if len(page) != len(times) {
		t.Fatalf("%d effects are done, %d were delivered", len(page), len(times))
	}
	effect := ticking.String() + "/" + strings.Fields(page[0])[0]
	trace, err = s.Trace(t.Context(), effect, 8, false)
	if err != nil || trace.Message.Kind != "tick" || trace.Message.Action != "0-1-second" || len(trace.Message.Effects) != 1 {
		t.Fatalf("the trace of %s is %+v, %v", effect, trace, err)
	}
	if caused := trace.Message.Effects[0].Caused; len(caused) != 1 || caused[0].Action != "Tock" {
		t.Errorf("the trace of %s is %+v, %v", effect, trace, err)
	}
}

// TestCronsSurviveAFailOver closes the node that leads a process with crons.
func TestCronsSurviveAFailOver(t *testing.T) {
	stages := openStages(t, func(*Options) {})
	startAll(t, stages)
	receiver := stages[0].spawn("receiver")
	ticking := stages[0].spawnTicking(receiver)
	if err := clientOf(stages[1].Node).Monitor(t.Context(), ticking, stages[0].signer); err != nil {
		t.Fatal(err)
	}
	var leader string
	stages[0].eventually("it knows who leads", func() bool {
		leader = stages[0].log.Leader(ticking)
		return leader != ""
	})
	var rest []*stage
	var gone *stage
	for _, s := range stages {
		if s.self() == leader {
			gone = s
		} else {
			rest = append(rest, s)
		}
	}
	rest[0].eventually("ticks are delivered", func() bool { return len(rest[0].tocks(receiver)) >= 2 })
	closeNode(t, gone.Node)
	before := len(rest[0].tocks(receiver))
	rest[0].eventually("ticks are delivered after a fail-over", func() bool { return len(rest[0].tocks(receiver)) >= before+2 })
	gone.open()
	if err := clientOf(gone.Node).Unmonitor(t.Context(), ticking, gone.signer); err != nil {
		t.Fatal(err)
	}
	want := rest[0].ticks(ticking)
	head, err := rest[0].log.Head(t.Context(), ticking)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range stages {
		s.eventually("it knows what was promised", func() bool {
			own, err := s.log.Head(t.Context(), ticking)
			return err == nil && own.PromisedMS >= head.PromisedMS
		})
		if err := s.engine.PassTime(t.Context(), ticking, head.PromisedMS); err != nil {
			t.Fatal(err)
		}
		got := s.ticks(ticking)
		if diff := cmp.Diff(want, got[:min(len(want), len(got))]); diff != "" {
			t.Errorf("ticks at %s (-%s +%[1]s):\n%s", s.self(), rest[0].self(), diff)
		}
		s.eventually("all is delivered", func() bool { return s.engine.Status().OutboxPending == 0 })
	}
	rest[0].steady(rest[0].tocks(receiver))
	if n := len(rest[0].tocks(receiver)); n < before+2 {
		t.Errorf("%d ticks were delivered", n)
	}
}

// TestTicksAreLeftOut takes a process that was away for a day.
func TestTicksAreLeftOut(t *testing.T) {
	var aheadMS atomic.Int64
	s := openStage(t, func(o *Options) {
		o.Now = func() time.Time { return time.Now().Add(time.Duration(aheadMS.Load()) * time.Millisecond) }
	})
	receiver := s.spawn("receiver")
	ticking := s.spawnTicking(receiver)
	s.quiet()
	const day = 86_400
	aheadMS.Add(day * 1000)
	var page CronsPage
	if err := s.read(PathCrons, url.Values{}, &page); err != nil {
		t.Fatal(err)
	}
	if len(page.Processes) != 1 || page.Processes[0].Behind < day-1 || page.Processes[0].Process != ticking || page.Processes[0].Watched {
		t.Fatalf("the crons are %+v", page)
	}
	var skipped SkippedCrons
	if err := s.ask(PathSkipCrons, url.Values{"process": {ticking.String()}}, &skipped); err != nil {
		t.Fatal(err)
	}
	if skipped.Skipped < day-1 || skipped.Skipped > day+60 {
		t.Errorf("%+v is left out", skipped)
	}
	if ticks := s.ticks(ticking); len(ticks) > 60 {
		t.Errorf("%d ticks were evaluated all the same", len(ticks))
	}
	err := s.ask(PathSkipCrons, url.Values{"process": {receiver.String()}}, &skipped)
	if ao.CodeOf(err) != ao.CodeNotFound || !strings.Contains(err.Error(), "has no crons") {
		t.Errorf("a process without crons: %v", err)
	}

	// What lies before a message cannot be left out.
	stuck := s.post(logtest.ProcessItem(t, s.signer, "stuck", dataitem.Tag{Name: ao.TagModule, Value: ao.ID{5}.String()}, dataitem.Tag{Name: ao.TagCronInterval, Value: "7-hours"}))
	aheadMS.Add(day * 1000)
	s.do(stuck, "{}")
	err = s.ask(PathSkipCrons, url.Values{"process": {stuck.String()}}, &skipped)
	if ao.CodeOf(err) != ao.CodeConflict || !strings.Contains(err.Error(), "the 3 ticks") || !strings.Contains(err.Error(), "nonce 1") {
		t.Errorf("ticks before a message: %v", err)
	}
}

// TestCronsThatMakeNoSenseAreRefused at the spawn, where somebody sees it.
func TestCronsThatMakeNoSenseAreRefused(t *testing.T) {
	s := openStage(t, nil)
	item := logtest.ProcessItem(t, s.signer, "x", dataitem.Tag{Name: "Cron-Tag-Action", Value: "Tick"})
	if err := clientOf(s.Node).Post(t.Context(), item); ao.CodeOf(err) != ao.CodeInvalid || !strings.Contains(err.Error(), "Unmatched Cron-Tag") {
		t.Errorf("the spawn gives %v", err)
	}
}

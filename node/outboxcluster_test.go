package node

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/testport"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// openStages starts three nodes in this process.
func openStages(t *testing.T, change func(*Options)) []*stage {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "cluster")
	plan := ClusterPlan{Name: "test"}
	for i := range 3 {
		plan.Members = append(plan.Members, Member{ID: fmt.Sprintf("n%d", i+1), Address: testport.Address(t)})
	}
	if err := CreateCluster(dir, plan, time.Now()); err != nil {
		t.Fatal(err)
	}
	stages := make([]*stage, 3)
	for i, member := range plan.Members {
		options, err := ReadFile(NodeFile(dir, member.ID))
		if err != nil {
			t.Fatal(err)
		}
		options.AnyPort, options.WrapDriver = true, scripted
		change(&options)
		stages[i] = &stage{T: t, options: options, signer: logtest.Signer(t, 9)}
	}
	return stages
}

// startAll opens nodes at once: they wait for each other. If one cannot be opened, nor are
// the others.
func startAll(t *testing.T, stages []*stage) {
	t.Helper()
	ctx, giveUp := context.WithCancel(t.Context())
	var all errgroup.Group
	for _, s := range stages {
		all.Go(func() (err error) {
			if s.Node, err = Open(ctx, s.options); err != nil {
				giveUp()
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(giveUp)
	for _, s := range stages {
		t.Cleanup(func() {
			if err := s.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	module := publishScripted(t, stages[0].Node)
	for _, s := range stages {
		s.module = module
	}
}

// TestAnyNodeShowsAndChangesWhatOthersDeliver: three nodes, of which each delivers
// what some processes send.
func TestAnyNodeShowsAndChangesWhatOthersDeliver(t *testing.T) {
	const processes, hops = 12, 20
	stages := openStages(t, func(o *Options) { o.HopsMax = hops })
	startAll(t, stages)
	first := stages[0]
	var all []ao.ID
	leaders := map[string]int{}
	for i := range processes {
		process := first.spawn(fmt.Sprint(i))
		first.do(process, sends(throw("nobody", "1", "", "Lose")))
		all = append(all, process)
		leaders[first.log.Leader(process)]++
	}
	if len(leaders) < 2 {
		t.Skipf("SKIPPED: %v deliver everything, so no node can learn from another", leaders)
	}
	ball := first.do(all[0], sends(throw(all[1].String(), "2", "ball", "Ball")))
	know := func(what string, is func(s *stage) bool) {
		t.Helper()
		for _, s := range stages {
			s.eventually(s.self()+" knows that "+what, func() bool { return is(s) })
		}
	}
	know("one letter of each is dead, and the ball is parked", func(s *stage) bool {
		status := s.engine.Status()
		return status.OutboxDead == processes && status.OutboxParked == 1 && status.OutboxPending == 0
	})
	by := map[string]int{}
	for _, process := range all {
		var told []OutboxEffect
		for _, s := range stages {
			var effect OutboxEffect
			if err := s.read(PathOutbox, url.Values{"effect": {process.String() + "/1/0"}}, &effect); err != nil {
				t.Fatal(err)
			}
			told = append(told, effect)
		}
		if told[0].Node == "" || told[0].TimeMS == 0 || told[0].Error == "" || fmt.Sprint(told[0]) != fmt.Sprint(told[1]) || fmt.Sprint(told[0]) != fmt.Sprint(told[2]) {
			t.Errorf("the nodes say %+v", told)
		}
		by[told[0].Node]++
	}
	if fmt.Sprint(by) != fmt.Sprint(leaders) {
		t.Errorf("delivered by %v, led by %v", by, leaders)
	}

	// One effect through a node that does not deliver it, and all through any.
	asked := stages[0]
	if asked.log.Leads(all[0]) {
		asked = stages[1]
	}
	if change, err := asked.order(PathDropEffect, url.Values{"effect": {all[0].String() + "/1/0"}}); err != nil || change.Changed != 1 {
		t.Fatalf("%s drops what %s delivers: %+v, %v", asked.self(), asked.log.Leader(all[0]), change, err)
	}
	if list := asked.effects(url.Values{"state": {"dropped"}, "process": {all[0].String()}}); len(list) != 1 {
		t.Errorf("%s does not know at once what it has asked for: %v", asked.self(), list)
	}
	if change, err := stages[1].order(PathRedriveEffect, url.Values{"all": {"true"}}); err != nil || change.Changed != processes-1 || change.Missed != nil {
		t.Errorf("redrive: %+v, %v", change, err)
	}
	know("they died once more", func(s *stage) bool { return s.engine.Status().OutboxDead == processes-1 })
	if change, err := stages[2].order(PathResumeCascade, url.Values{"root": {ball.String()}}); err != nil || change.Changed != 1 {
		t.Errorf("resume: %+v, %v", change, err)
	}
	thrown := func(s *stage) (n uint64) {
		for _, process := range all[:2] {
			head, err := s.log.Head(t.Context(), process)
			if err != nil {
				t.Fatal(err)
			}
			n += head.Nonce
		}
		return n - 3 // what the user has sent
	}
	know("the ball was parked again", func(s *stage) bool { return s.engine.Status().OutboxParked == 1 && thrown(s) > hops })
	if change, err := stages[0].order(PathDropEffect, url.Values{"root": {ball.String()}, "state": {"parked"}}); err != nil || change.Changed != 1 {
		t.Errorf("drop the ball: %+v, %v", change, err)
	}
	know("nothing is parked", func(s *stage) bool { return s.engine.Status().OutboxParked == 0 })
	traces := map[string]bool{}
	for _, s := range stages {
		trace, err := s.Trace(t.Context(), ball.String(), 64, false)
		if err != nil {
			t.Fatal(err)
		}
		if trace.Node != s.self() || trace.Message.Scheduled.Leader == "" {
			t.Errorf("node %s: %+v", trace.Node, trace.Message.Scheduled)
		}
		traces[sketch(trace.Message, "")] = true
	}
	if len(traces) != 1 {
		t.Errorf("the nodes trace it differently: %v", traces)
	}
}

// TestWhatManyDeliverIsTriedAgainByAll: a process counts three operators' keys, so
// each node delivers to it with its own, gives up on its own, and is told by an
// operator's order to any of them.
func TestWhatManyDeliverIsTriedAgainByAll(t *testing.T) {
	stages := openStages(t, func(*Options) {})
	startAll(t, stages)
	first := stages[0]
	tags := []dataitem.Tag{{Name: ao.TagAuthorityQuorum, Value: "2/3"}}
	for _, s := range stages {
		tags = append(tags, dataitem.Tag{Name: ao.TagAuthority, Value: dataitem.NativeAddress(s.operator.Owner())})
	}
	sender, target := first.spawn("sender"), first.spawn("target", tags...)
	letter := throw(target.String(), "1", "", "Lose")
	letter["Anchor"] = "short"
	first.do(sender, sends(letter))
	effect := url.Values{"effect": {sender.String() + "/1/0"}}
	dead := func(after map[string]int64) (at map[string]int64) {
		t.Helper()
		at = map[string]int64{}
		for _, s := range stages {
			s.eventually(s.self()+" has given up", func() bool {
				var told OutboxEffect
				if err := s.read(PathOutbox, effect, &told); ao.CodeOf(err) == ao.CodeNotFound {
					return false // it has not evaluated the message yet
				} else if err != nil {
					t.Fatal(err)
				}
				at[s.self()] = told.TimeMS
				return told.State == "dead" && told.Node == s.self() && told.TimeMS > after[s.self()]
			})
		}
		return at
	}
	before := dead(nil)
	if change, err := stages[1].order(PathRedriveEffect, effect); err != nil || change.Changed != 3 {
		t.Fatalf("redrive: %+v, %v", change, err)
	}
	dead(before)
	if change, err := stages[2].order(PathDropEffect, effect); err != nil || change.Changed != 3 {
		t.Errorf("drop: %+v, %v", change, err)
	}
	if _, err := stages[0].order(PathRedriveEffect, effect); ao.CodeOf(err) != ao.CodeConflict {
		t.Errorf("what all have dropped is redriven: %v", err)
	}
}

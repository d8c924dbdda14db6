package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/internal/measure"
	"github.com/wallaby-ao/wallaby/raft"
)

func TestLoadsAppendToThreeNodes(t *testing.T) {
	for name, load := range map[string]LogLoad{
		"one group":    {Groups: 1},
		"eight groups": {Groups: raft.GroupsPerSet},
		"signed":       {Groups: raft.GroupsPerSet, Sign: true},
	} {
		t.Run(name, func(t *testing.T) {
			load.Dir, load.Clients, load.Seconds = t.TempDir(), 4, 0.1
			run, err := load.Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if run.Count == 0 || run.MedianMS <= 0 || run.VerifiedPerSecond != 0 {
				t.Errorf("the load gave %+v", run)
			}
		})
	}
}

func TestAVerifiedLoadSaysWhatTheCoresVerify(t *testing.T) {
	load := LogLoad{Dir: t.TempDir(), Clients: 4, Seconds: 0.02, Groups: 1, Verify: true}
	run, err := load.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if run.Count == 0 || run.VerifiedPerSecond <= 0 {
		t.Errorf("the load gave %+v", run)
	}
}

func TestALoadOfAllProcessesInOneGroup(t *testing.T) {
	for groups, want := range map[int]int{1: 1, 4: 4} {
		load := LogLoad{Dir: t.TempDir(), Groups: groups}
		nodes, stop, err := openTrusted(t.Context(), load)
		if err != nil {
			t.Fatal(err)
		}
		processes, err := load.spawn(t.Context(), nodes)
		if err != nil {
			t.Fatal(err)
		}
		found := map[uint32]int{}
		for _, process := range processes {
			if err := nodes[0].Sync(t.Context(), process); err != nil {
				t.Fatal(err)
			}
			sequencing, err := nodes[0].Sequencing(process)
			if err != nil {
				t.Fatal(err)
			}
			found[sequencing.Group]++
		}
		if len(processes) != processesOfLoad || len(found) != want {
			t.Errorf("%d processes are in the groups %v, want %d groups", len(processes), found, want)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

func TestUnsignedMessagesAreAsLargeAsPayloads(t *testing.T) {
	next, err := unsignedMessages([]ao.ID{{1}, {2}})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[ao.ID]bool{}
	for i := range 10 {
		process, item, err := next(i)
		if err != nil {
			t.Fatal(err)
		}
		if len(item.Bytes()) != itemBytes || item.TargetID() != process || seen[item.ID()] {
			t.Errorf("message %d has %d bytes for %s and id %s", i, len(item.Bytes()), item.TargetID(), item.ID())
		}
		seen[item.ID()] = true
	}
}

func TestQuickSignaturesAreValid(t *testing.T) {
	signer, err := newQuickSigner(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := newQuickSigner(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	item, err := dataitem.Create(messageDraft(ao.ID{7}, []byte("data")), signer)
	if err != nil {
		t.Fatal(err)
	}
	if err := item.Verify(); err != nil {
		t.Errorf("a quick signature: %v", err)
	}
	item.Owner = other.Owner()
	if err := item.Verify(); !errors.Is(err, dataitem.ErrSignature) {
		t.Errorf("a quick signature under another key: %v", err)
	}
}

// fakePeers writes a binary of peers that answers as told.
func fakePeers(t *testing.T, script string) string {
	path := filepath.Join(t.TempDir(), "wallaby-peers")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAPeersResultIsRead(t *testing.T) {
	path := fakePeers(t, `case "$*" in
list) echo '["swift","slow"]' ;;
*"-clients 7 "*" swift") echo '{"count":3,"seconds":1,"per_second":3,"median_ms":0.5,"percentile_99_ms":2,"cpu_us":40,"written_bytes":6144}' ;;
*) echo "no such load: $*" >&2; exit 1 ;;
esac`)
	peers, err := OpenLogPeers(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(peers.Names(), []string{"swift", "slow"}) {
		t.Errorf("peers %v", peers.Names())
	}
	load := LogLoad{Dir: "x", Clients: 7, Seconds: 1}
	got, err := peers.Run(t.Context(), "swift", load)
	want := measure.Result{Count: 3, Seconds: 1, PerSecond: 3, MedianMS: 0.5, Percentile99MS: 2, CPUMicros: 40, WrittenBytes: 6144}
	if err != nil || got != want {
		t.Errorf("result %+v, %v", got, err)
	}
	if _, err := peers.Run(t.Context(), "slow", load); err == nil || !strings.Contains(err.Error(), "no such load") {
		t.Errorf("a peer that fails: %v", err)
	}
}

func TestAPeerThatCountsNothingIsAnError(t *testing.T) {
	for _, out := range []string{"{}", "starting up", ""} {
		peers := &LogPeers{binary: fakePeers(t, "echo '"+out+"'")}
		if _, err := peers.Run(t.Context(), "any", LogLoad{}); err == nil {
			t.Errorf("output %q is a result", out)
		}
	}
}

func TestMissingPeersAreSaid(t *testing.T) {
	own := fakePeers(t, `echo '{"count":3,"per_second":3,"median_ms":0.5,"percentile_99_ms":2,"cpu_us":40,"written_bytes":6144}'`)
	rows, notes, err := Log(t.Context(), LogOptions{
		Dir: t.TempDir(), Seconds: 1, Rounds: 1, Clients: []int{1}, Binary: own,
		Peers: filepath.Join(t.TempDir(), "wallaby-peers"), Progress: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "make peers") {
		t.Errorf("notes %q", notes)
	}
	var table strings.Builder
	report := Report{Rows: rows, Notes: notes}
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(table.String(), "make peers") || !strings.Contains(table.String(), "log, 1 clients, 8 groups") {
		t.Errorf("the report is\n%s", &table)
	}
}

func TestTheMedianRunIsWhole(t *testing.T) {
	var runs []LogRun
	for _, rate := range []float64{30, 10, 20} {
		runs = append(runs, LogRun{Result: measure.Result{PerSecond: rate, MedianMS: 1 / rate}})
	}
	if run := medianRun(runs); run.PerSecond != 20 || run.MedianMS != 1.0/20 {
		t.Errorf("the median run is %+v", run)
	}
}

func TestACancelledMeasurementEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runJSON(ctx, new(any), fakePeers(t, "sleep 60")); err == nil {
		t.Error("a cancelled measurement has a result")
	}
}

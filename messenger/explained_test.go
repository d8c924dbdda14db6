package messenger_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	aolog "github.com/wallaby-ao/wallaby/log"
)

// arrival is what an effect leaves in the log of its target.
type arrival struct {
	from, target string
	what         string // "message 7", "spawn 3", "spawned 3" or "assign ID"
}

// theChildren is the target of spawns.
const theChildren = "its children"

// check compares all logs with what the results ask for, and gives how many
// effects there were.
func (w *shakyWorld) check() (effects int) {
	w.Helper()
	heads, err := w.log.Processes(context.Background(), ao.ID{}, 10_000)
	if err != nil {
		w.Fatal(err)
	}
	want, got := map[string][]arrival{}, map[string][]arrival{}
	for _, head := range heads {
		effects += w.expect(want, head)
	}
	for _, head := range heads {
		w.find(got, want, head)
	}
	w.findUploads(got)
	for pair, arrivals := range got {
		// Processes and what is uploaded are found in no order.
		if target := arrivals[0].target; target == theChildren || slices.Contains(w.guests.wallets, target) {
			slices.SortFunc(got[pair], func(a, b arrival) int { return strings.Compare(a.what, b.what) })
		}
	}
	for pair, arrivals := range want {
		if diff := cmp.Diff(arrivals, got[pair], cmp.AllowUnexported(arrival{})); diff != "" {
			w.Errorf("seed %d: %s (-asked for, in order +arrived):\n%s", w.seed, pair, diff)
		}
		delete(got, pair)
	}
	for pair, arrivals := range got {
		w.Errorf("seed %d: %s has %v, which no result asked for", w.seed, pair, arrivals)
	}
	return effects
}

func pairOf(a arrival) string { return a.from + " to " + a.target }

func add(to map[string][]arrival, a arrival) { to[pairOf(a)] = append(to[pairOf(a)], a) }

// expect lists what a process's results ask for. All nodes have the same results.
func (w *shakyWorld) expect(want map[string][]arrival, head aolog.Head) (effects int) {
	w.Helper()
	process := head.Process.String()
	for nonce := range head.Nonce + 1 {
		var a answer
		var texts []string
		for _, n := range w.nodes {
			evaluation, err := n.engine.ResultAt(context.Background(), head.Process, nonce)
			if err != nil {
				w.Fatalf("seed %d: %s at nonce %d of %s: %v", w.seed, n.name, nonce, process, err)
			}
			texts = append(texts, string(evaluation.Result.JSON()))
		}
		if slices.ContainsFunc(texts, func(text string) bool { return text != texts[0] }) {
			w.Errorf("seed %d: nodes have other results of %s at %d: %v", w.seed, process, nonce, texts)
		}
		if err := json.Unmarshal([]byte(texts[0]), &a); err != nil {
			w.Fatal(err)
		}
		for _, m := range a.Messages {
			add(want, arrival{process, m.Target, "message " + m.Anchor})
		}
		for _, s := range a.Spawns {
			add(want, arrival{process, theChildren, "spawn " + s.Anchor})
			add(want, arrival{"the messenger", process, "spawned " + s.Anchor})
		}
		for _, one := range a.Assignments {
			add(want, arrival{process, one.Processes[0], "assign " + one.Message})
		}
		effects += len(a.Messages) + len(a.Spawns) + len(a.Assignments)
	}
	return effects
}

// find lists what is in a process's log and was not sent by a user. A bare
// assignment does not say who made it: of the results one alone asks for it.
func (w *shakyWorld) find(got, want map[string][]arrival, head aolog.Head) {
	w.Helper()
	process := head.Process.String()
	err := w.log.Range(context.Background(), head.Process, 0, head.Nonce, func(entry aolog.Entry) error {
		if entry.IsBare() {
			add(got, arrival{w.assigner(want, process, entry.Message), process, "assign " + entry.Message.String()})
			return nil
		}
		item, err := entry.Item()
		if err != nil || w.posted[item.ID()] {
			return err
		}
		from, reference := item.Tags.Get(ao.TagFromProcess), item.Tags.Get("Reference")
		switch {
		case entry.Nonce == 0:
			add(got, arrival{from, theChildren, "spawn " + reference})
		case item.Tags.Get("Action") == "Spawned":
			add(got, arrival{"the messenger", process, "spawned " + reference})
		default:
			add(got, arrival{from, process, "message " + string(item.Anchor)})
		}
		return nil
	})
	if err != nil {
		w.Fatal(err)
	}
}

// assigner finds who asked for an assignment.
func (w *shakyWorld) assigner(want map[string][]arrival, target string, message ao.ID) string {
	for _, arrivals := range want {
		for _, a := range arrivals {
			if a.target == target && a.what == "assign "+message.String() {
				return a.from
			}
		}
	}
	return fmt.Sprintf("nobody, of %s,", message)
}

// findUploads lists what came to wallets.
func (w *shakyWorld) findUploads(got map[string][]arrival) {
	for _, item := range w.weave.items {
		add(got, arrival{item.Tags.Get(ao.TagFromProcess), item.TargetID().String(), "message " + string(item.Anchor)})
	}
}

func total(heads []aolog.Head) (sum uint64) {
	for _, head := range heads {
		sum += head.Nonce
	}
	return sum
}

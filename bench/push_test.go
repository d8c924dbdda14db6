package bench

import (
	"os"
	"strings"
	"testing"
)

// TestPushMeasuresWhatItSays runs every part small, with real processes.
func TestPushMeasuresWhatItSays(t *testing.T) {
	const module = "../testdata/modules/aos2_0_6.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIP: %s is missing: make modules fetches it", module)
	}
	rows, err := Push(t.Context(), PushOptions{
		Dir: t.TempDir(), Module: module, Seconds: 0.5, Processes: 3, Tokens: []int{1, 3}, Idle: 5, Messages: 20, Progress: func(string) {},
	})
	if err != nil {
		t.Fatal(err)
	}
	peers := map[string]string{
		"ring of 3, one node, 1 token": peerEvaluation, "ring of 3, one node, 3 tokens": peerEvaluation,
		"ring of 3 and 5 idle, one node, 3 tokens": peerNotIdle,
		"ring of 3, three nodes, 1 token":          peerOneNode, "ring of 3, three nodes, 3 tokens": peerOneNode,
	}
	for _, row := range rows {
		if row.Value <= 0 {
			t.Errorf("%s, %s: %v %s", row.Case, row.Metric, row.Value, row.Unit)
		}
		if peer, ok := peers[row.Case]; ok && strings.HasPrefix(row.Metric, "hops") {
			if row.Peer != peer || row.Ratio <= 0 {
				t.Errorf("%s stands beside %q, %v", row.Case, row.Peer, row.Ratio)
			}
			delete(peers, row.Case)
		}
	}
	if len(peers) != 0 {
		t.Errorf("not measured: %v", peers)
	}
}

func TestHopsAreSeenOnceAndInTheWindow(t *testing.T) {
	message := func(token, hops, until, timestamp string) []byte {
		return []byte(`{"Id":"x","Data":"hop ` + token + ` ` + hops + ` ` + until + `","Tags":[],"Timestamp":` + timestamp + `,"Epoch":0}`)
	}
	w := newHopWatch()
	done := w.expect("a", 3)
	w.see([]byte(`{"Data":"return 1"}`))
	w.see(message("a", "0", "2000", "1000"))
	w.see(message("a", "1", "2000", "1001"))
	if took := w.set(true); len(took) != 0 {
		t.Errorf("%d hops before the window", len(took))
	}
	w.see(message("a", "2", "2000", "1002"))
	w.see(message("a", "2", "2000", "1002")) // at another node
	w.see(message("b", "2", "2000", "1002")) // of another load
	select {
	case <-done:
		t.Error("the token has gone round after two of three hops")
	default:
	}
	w.see(message("a", "3", "2000", "1003"))
	<-done
	over := w.expect("c", 3)
	w.see(message("c", "0", "2000", "1999"))
	w.see(message("c", "1", "2000", "2000"))
	<-over
	took := w.set(false)
	if len(took) != 3 {
		t.Errorf("hops took %v", took)
	}
}

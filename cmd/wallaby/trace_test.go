package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/node"
)

// TestATraceIsDrawnAsATree draws one of each: what goes straight on, what branches,
// what is dead, parked, pending, elsewhere and cut off, and a step on another day.
func TestATraceIsDrawnAsATree(t *testing.T) {
	const start = 1_700_000_000_000
	gas := uint64(1_234_567)
	process := func(n byte) ao.ID { return ao.ID{n} }
	place := func(n byte, nonce uint64, after int64) *node.TracePlace {
		return &node.TracePlace{Process: process(n), Nonce: nonce, TimeMS: start + after}
	}
	effect := func(key, state string, after int64, caused ...node.TraceMessage) node.TraceEffect {
		return node.TraceEffect{Caused: caused, OutboxEffect: node.OutboxEffect{
			Effect: process(1).String() + "/" + key, Kind: "message", State: state, Target: process(2).String(), Attempts: 1, TimeMS: start + after,
		}}
	}
	dead := effect("7/1", "dead", 61_000)
	dead.Error, dead.Attempts, dead.Node = "the target is away,\n"+strings.Repeat("far ", 30), 12, "n2"
	parked := effect("7/2", "parked", 0)
	parked.TimeMS, parked.Attempts, parked.Parked = 0, 0, "too many deliveries"
	pending := effect("7/3", "pending", 90_000)
	pending.NextMS = start + 120_000
	spawn := effect("7/4", "done", 86_400_000, node.TraceMessage{ID: process(50), Kind: "spawn", Cut: "more follows"})
	spawn.Kind, spawn.Target = "spawn", ""
	told := place(1, 8, 40)
	told.Epoch, told.Group, told.Leader = 2, 303, "n2"
	answer := node.TraceMessage{
		ID: process(40), Kind: "message", Action: "Answer", From: process(2).String(), Reply: true, Scheduled: told,
		Evaluated: &node.TraceEvaluation{TimeMS: start + 50, Error: json.RawMessage(`"no luck"`)},
	}
	ask := node.TraceMessage{
		ID: process(30), Kind: "message", From: process(1).String(), Scheduled: place(2, 3, 20),
		Evaluated: &node.TraceEvaluation{TimeMS: start + 31}, Effects: []node.TraceEffect{effect("3/0", "done", 39, answer)},
	}
	uploaded := node.TraceMessage{ID: process(60), Kind: "message", Elsewhere: "uploaded for wallet x"}
	later := node.TraceMessage{ID: process(70), Kind: "message", Scheduled: place(3, 9, 60)}
	root := node.TraceMessage{
		ID: process(20), Kind: "process", Name: "one", From: "0x7e024eD97d56FEF4536fEDbef5659de96BAfE954", Scheduled: place(1, 7, 0),
		Evaluated: &node.TraceEvaluation{TimeMS: start + 12, GasUsed: &gas},
		Effects:   []node.TraceEffect{effect("7/0", "done", 19, ask, uploaded, later), dead, parked, pending, spawn},
		Cut:       "it sent 3 more",
	}
	var out strings.Builder
	if err := drawTrace(&out, node.Trace{Message: root, Cut: true}); err != nil {
		t.Fatal(err)
	}
	want := `FAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  process one from 0x7e024e
│ scheduled     22:13:20.000            nonce 7 of AQAAAAAA
│ evaluated     22:13:20.012    +12 ms  gas 1,234,567
├─ pushed 0     22:13:20.019     +7 ms  message to AgAAAAAA, 1 attempt
│  HgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  message from AQAAAAAA
│  │ assigned   22:13:20.020     +8 ms  nonce 3 of AgAAAAAA
│  │ evaluated  22:13:20.031    +11 ms
│  ↓ replied 0  22:13:20.039     +8 ms  message to AgAAAAAA, 1 attempt
│  KAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  Answer from AgAAAAAA
│    assigned   22:13:20.040     +9 ms  nonce 8 of AQAAAAAA, epoch 2, group 303 led by n2
│    evaluated  22:13:20.050    +10 ms  error: no luck
│  PAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  message
│    uploaded for wallet x
│  RgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  message
│    assigned   22:13:20.060    +48 ms  nonce 9 of AwAAAAAA
│    waiting               -            not evaluated yet
├─ dead 1       22:14:21.000   +61.0 s  message to AgAAAAAA, 12 attempts by n2: the target is away, far far far far far…
├─ parked 2                -            message to AgAAAAAA: too many deliveries
├─ pending 3    22:14:50.000   +90.0 s  message to AgAAAAAA, 1 attempt, next at 22:15:20
├─ spawned 4      2023-11-15 +1439 min  spawn, 1 attempt
│  MgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA  spawn
│  └─ … more follows
└─ … it sent 3 more

AQAAAAAA is process AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AgAAAAAA is process AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
AwAAAAAA is process AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA
something is dead: wallaby outbox show AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/7/1
something is parked: wallaby outbox parked
there is more: ask with a larger --depth, or for one of the ids above
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSpace(line)); n > traceWidth {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

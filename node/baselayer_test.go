package node

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/engine"
)

// rsaSigner is a throw-away RSA wallet.
func rsaSigner(t *testing.T) dataitem.Signer {
	t.Helper()
	b, err := os.ReadFile("../arweave/testdata/keys.json")
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		Arweave json.RawMessage `json:"arweave_1"`
	}
	if err := json.Unmarshal(b, &keys); err != nil {
		t.Fatal(err)
	}
	signer, err := dataitem.ParseJWK(keys.Arweave)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// TestABaseLayerTransactionReachesAProcess assigns a layer-1 transaction out of a
// process and by hand: it has to lie deep enough, and comes from the gateway.
func TestABaseLayerTransactionReachesAProcess(t *testing.T) {
	var passed atomic.Int64
	n, spawn, eval := openAos(t, func() time.Time { return time.Now().Add(time.Duration(passed.Load())) })
	tx := &arweave.Tx{Tags: dataitem.Tags{{Name: "Action", Value: "Paid"}}, LastTx: make([]byte, 48)}
	tx.SetData([]byte("twelve winston"))
	if err := tx.Sign(rsaSigner(t)); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(tx)
	if err != nil {
		t.Fatal(err)
	}
	urls := n.Info().URLs
	if err := clientOf(n).Do(t.Context(), http.MethodPost, urls.Gateway+"/tx", "application/json", body, nil); err != nil {
		t.Fatal(err)
	}
	depth := dataitem.Tag{Name: ao.TagSettlementDepth, Value: "3"}
	byProcess, byHand := spawn("by process", depth), spawn("by hand", depth)
	const listen = `ao.addAssignable("paid", { Action = "Paid" })
		Handlers.add("paid", { Action = "Paid" }, function(msg) Got = msg.Data .. " from " .. msg.From .. " after " .. msg.Anchor end)`
	eval(byProcess, listen)
	eval(byHand, listen)
	eval(byProcess, `ao.assign({ Processes = { ao.id }, Message = "`+tx.ID.String()+`", BaseLayer = true })`)
	assign := urls.MU + "/?process-id=" + byHand.String() + "&assign=" + tx.ID.String() + "&base-layer"
	const shallow = "Not enough confirmations to assign: "
	if err := clientOf(n).Do(t.Context(), http.MethodPost, assign, "", nil, nil); ao.CodeOf(err) != ao.CodeUnprocessable || !strings.Contains(err.Error(), shallow+tx.ID.String()+" has 1 of 3: try again in 2 blocks, about 4 minutes") {
		t.Errorf("too shallow: %v", err)
	}
	waiting := func() engine.Effect {
		t.Helper()
		effects, err := n.engine.Outbox().Pending(t.Context(), engine.EffectKey{}, 10)
		if err != nil || len(effects) != 1 {
			t.Fatalf("pending: %+v, %v", effects, err)
		}
		return effects[0]
	}
	for deadline := time.Now().Add(30 * time.Second); !strings.HasPrefix(waiting().Error, shallow); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never waited for blocks: %+v", waiting())
		}
	}
	passed.Store(int64(5 * time.Minute))
	n.messenger.Wake()
	awaitEntry(t, n, byProcess, 3)
	if err := clientOf(n).Do(t.Context(), http.MethodPost, assign, "", nil, nil); err != nil {
		t.Fatal(err)
	}
	want := "twelve winston from " + tx.Address().String() + " after " + strings.Repeat("A", 64)
	for _, process := range []ao.ID{byProcess, byHand} {
		if got := eval(process, "return Got"); !strings.Contains(got, want) {
			t.Errorf("%s got %s, want %s", process, got, want)
		}
	}
}

// TestAnAssignmentWithoutDataNeedsNone: the rest of a transaction is given to the
// process although nobody uploaded its data.
func TestAnAssignmentWithoutDataNeedsNone(t *testing.T) {
	n, spawn, eval := openAos(t, nil)
	tx := &arweave.Tx{Tags: dataitem.Tags{{Name: "Action", Value: "Paid"}}, LastTx: make([]byte, 48)}
	tx.SetData([]byte("never uploaded"))
	if err := tx.Sign(rsaSigner(t)); err != nil {
		t.Fatal(err)
	}
	tx.Data = nil
	if _, err := n.gateway.PutTx(context.Background(), tx); err != nil {
		t.Fatal(err)
	}
	process := spawn("listens")
	eval(process, `ao.addAssignable("paid", { Action = "Paid" })
		Handlers.add("paid", { Action = "Paid" }, function(msg) Got = tostring(msg.Data) .. " from " .. msg.From end)`)
	assign := n.Info().URLs.SU + "/?process-id=" + process.String() + "&assign=" + tx.ID.String()
	if err := clientOf(n).Do(t.Context(), http.MethodPost, assign, "", nil, nil); ao.CodeOf(err) != ao.CodeUnprocessable || !strings.Contains(err.Error(), "exclude=Data") {
		t.Errorf("with data: %v", err)
	}
	if err := clientOf(n).Do(t.Context(), http.MethodPost, assign+"&exclude=Data", "", nil, nil); err != nil {
		t.Fatal(err)
	}
	if got := eval(process, "return Got"); !strings.Contains(got, "nil from "+tx.Address().String()) {
		t.Errorf("the process got %s", got)
	}
}

package system

import (
	"context"
	"encoding/json"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/log/logtest"
)

// TestEveryNodeFindsABaseLayerTransaction posts a transaction to one node, which
// moves tokens that only this node's gateway knows of, assigns it at another, and
// has all give it to the process.
func TestEveryNodeFindsABaseLayerTransaction(t *testing.T) {
	const module = "../testdata/modules/aos2_0_6.wasm"
	if _, err := os.Stat(module); err != nil {
		t.Skipf("SKIP: %s is missing: make modules fetches it", module)
	}
	c := startCluster(t, module)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	tx := payment(t)
	first := c.nodes[0]
	body, err := json.Marshal(tx)
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range [][2]string{{http.MethodGet, "/mint/" + tx.Address().String() + "/100"}, {http.MethodPost, "/tx"}} {
		if err := first.client.Do(ctx, request[0], first.base+request[1], "application/json", body, nil); err != nil {
			t.Fatal(err)
		}
	}
	owner := logtest.Signer(t, 82)
	process := logtest.ProcessItem(t, owner, "paid", dataitem.Tag{Name: ao.TagModule, Value: first.info(ctx).Modules[0].ID},
		dataitem.Tag{Name: ao.TagSettlementDepth, Value: "1"})
	c.must(process)
	c.must(logtest.MessageItem(t, owner, process.ID(), `ao.addAssignable("paid", { Action = "Paid" })
		Handlers.add("paid", { Action = "Paid" }, function(msg) Got = msg.Data .. " from " .. msg.From end)`, dataitem.Tag{Name: "Action", Value: "Eval"}))
	second := c.nodes[1]
	assign := second.base + "/mu/?process-id=" + process.ID().String() + "&assign=" + tx.ID.String() + "&base-layer"
	if err := second.client.Do(ctx, http.MethodPost, assign, "", nil, nil); err != nil {
		t.Fatal(err)
	}
	asked := logtest.MessageItem(t, owner, process.ID(), "return Got", dataitem.Tag{Name: "Action", Value: "Eval"})
	c.must(asked)
	for _, p := range c.nodes {
		if got, want := p.output(ctx, process.ID(), asked.ID()), "twelve winston from "+tx.Address().String(); !strings.Contains(got, want) {
			t.Errorf("node %s has %s, want %s", p.id, got, want)
		}
	}
}

// payment is a transaction of a throw-away wallet.
func payment(t *testing.T) *arweave.Tx {
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
	target := ao.ID{9}
	tx := &arweave.Tx{Tags: dataitem.Tags{{Name: "Action", Value: "Paid"}}, LastTx: make([]byte, 48), Target: target[:], Quantity: "12"}
	tx.SetData([]byte("twelve winston"))
	if err := tx.Sign(signer); err != nil {
		t.Fatal(err)
	}
	return tx
}

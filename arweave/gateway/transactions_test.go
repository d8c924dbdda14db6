package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

const chunkSize = arweave.ChunkBytesMax

func signTx(t testing.TB, s dataitem.Signer, data []byte, pairs ...string) *arweave.Tx {
	t.Helper()
	tx := &arweave.Tx{Tags: tags(pairs...), LastTx: make([]byte, 48)}
	tx.SetData(data)
	if err := tx.Sign(s); err != nil {
		t.Fatal(err)
	}
	return tx
}

// patterned data has chunks that all differ.
func patterned(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + (i>>8)*13 + (i>>16)*29 + 5)
	}
	return b
}

func TestInlineTransaction(t *testing.T) {
	w := open(t, gateway.Options{Dir: t.TempDir()})
	ctx := context.Background()
	tx := signTx(t, rsaWallet(t), []byte("inline data"), "Content-Type", "text/plain", "App", "test")
	if err := w.client.PostTx(ctx, tx); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(tx)
	if err != nil {
		t.Fatal(err)
	}
	w.send(http.MethodPost, "/tx", "application/json", string(body)).want(t, 208, "already processed")
	w.get("/"+tx.ID.String()).want(t, 200, "inline data")

	got, err := w.client.Tx(ctx, tx.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := got.Verify(); err != nil || got.ID != tx.ID || len(got.Data) != 0 {
		t.Errorf("read back: %v", err)
	}
	path := "/tx/" + tx.ID.String()
	w.get(path+"/data_size").want(t, 200, "11")
	w.get(path+"/owner").want(t, 200, w.fieldOf(body, "owner"))
	w.get(path+"/tags").want(t, 200, `[{"name":"`)
	w.get(path+"/data").want(t, 200, "aW5saW5lIGRhdGE")
	w.get(path+"/format").want(t, 200, "2")
	w.get(path+"/colour").want(t, 400, "no field")
	w.get(path+"/offset").want(t, 200, `{"size":"11","offset":"11"}`)
	w.get("/wallet/"+tx.Address().String()+"/last_tx").want(t, 200, tx.ID.String())
	w.clock.advance(10 * time.Minute)
	status, err := w.client.Status(ctx, tx.ID)
	if err != nil || status.Height != 1 || status.Confirmations != 6 {
		t.Errorf("status %+v, %v", status, err)
	}
	w.get("/block/height/1").want(t, 200, tx.ID.String())
	w.get("/block/hash/"+status.Block).want(t, 200, `"height":1`)
	var found edges
	w.query(`{transactions(tags:[{name:"App",values:["test"]}]){edges{node{id data{size type} fee{winston}}}}}`, nil, &found)
	if ids := found.ids(); len(ids) != 1 || ids[0] != tx.ID.String() {
		t.Errorf("found %v", ids)
	}
}

func (w *world) fieldOf(body []byte, field string) string {
	var fields map[string]any
	if err := json.Unmarshal(body, &fields); err != nil {
		w.t.Fatal(err)
	}
	return fmt.Sprint(fields[field])
}

// TestChunkedUploads sends transactions as arweave-js does and reads them back
// whole, by ranges and chunk by chunk.
func TestChunkedUploads(t *testing.T) {
	for _, dir := range []string{"", t.TempDir()} {
		w := open(t, gateway.Options{Dir: dir})
		signer := rsaWallet(t)
		for name, data := range map[string][]byte{
			"1 chunk and a byte":    patterned(chunkSize + 1),
			"exactly 1 chunk":       patterned(chunkSize),
			"2 halves":              patterned(2*chunkSize + 10),
			"5 chunks":              patterned(5 * chunkSize),
			"25 chunks":             patterned(24*chunkSize + 40_000),
			"8 chunks of the same":  make([]byte, 8*chunkSize),
			"the same, other owner": make([]byte, 8*chunkSize),
		} {
			tx := signTx(t, signer, data, "Name", name)
			bare := *tx
			bare.Data = nil
			if err := w.client.PostTx(context.Background(), &bare); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if name != "the same, other owner" && name != "8 chunks of the same" {
				w.get("/raw/"+tx.ID.String()).want(t, 404, "0 of "+itoa(len(data))+" bytes")
			}
			sendChunksAtOnce(t, w, tx)
			got := w.get("/raw/" + tx.ID.String())
			if got.status != 200 || got.body != string(data) {
				t.Errorf("%s: read back %d, %d bytes of %d", name, got.status, len(got.body), len(data))
			}
			w.send(http.MethodGet, "/"+tx.ID.String(), "", "", "Range", fmt.Sprintf("bytes=%d-%d", chunkSize-2, chunkSize-1)).
				want(t, 206, string(data[chunkSize-2:chunkSize]))
			if downloaded := downloadByChunks(t, w, tx.ID); !bytes.Equal(downloaded, data) {
				t.Errorf("%s: by chunks it has %d bytes of %d", name, len(downloaded), len(data))
			}
		}
	}
}

func sendChunksAtOnce(t *testing.T, w *world, tx *arweave.Tx) {
	t.Helper()
	var wait sync.WaitGroup
	for _, chunk := range arweave.NewTree(tx.Data).Chunks {
		wait.Go(func() {
			if err := w.client.PostChunk(context.Background(), tx, chunk); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
}

// downloadByChunks walks the weave from where the data starts.
func downloadByChunks(t *testing.T, w *world, id dataitem.ID) []byte {
	t.Helper()
	var place struct {
		Size   int64 `json:"size,string"`
		Offset int64 `json:"offset,string"`
	}
	if err := json.Unmarshal([]byte(w.get("/tx/"+id.String()+"/offset").want(t, 200, "").body), &place); err != nil {
		t.Fatal(err)
	}
	var data []byte
	for int64(len(data)) < place.Size {
		var chunk struct {
			Chunk string `json:"chunk"`
		}
		got := w.get("/chunk/"+strconv.FormatInt(place.Offset-place.Size+1+int64(len(data)), 10)).want(t, 200, "data_path")
		if err := json.Unmarshal([]byte(got.body), &chunk); err != nil || chunk.Chunk == "" {
			t.Fatalf("chunk after %d bytes: %v", len(data), err)
		}
		b := make([]byte, chunkSize+2)
		n, err := decodeInto(b, chunk.Chunk)
		if err != nil {
			t.Fatal(err)
		}
		data = append(data, b[:n]...)
	}
	w.get("/chunk/"+strconv.FormatInt(place.Offset+1<<40, 10)).want(t, 404, "no chunk")
	w.get("/chunk/0").want(t, 404, "no chunk")
	return data
}

func TestInlineDataAfterTheHeader(t *testing.T) {
	w := open(t, gateway.Options{})
	tx := signTx(t, rsaWallet(t), patterned(300_000))
	bare := *tx
	bare.Data = nil
	ctx := context.Background()
	if stored, err := w.g.PutTx(ctx, &bare); err != nil || !stored {
		t.Fatal(stored, err)
	}
	if stored, err := w.g.PutTx(ctx, tx); err != nil || stored {
		t.Fatal(stored, err)
	}
	if data, err := w.g.Data(ctx, tx.ID); err != nil || !bytes.Equal(data, tx.Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestRefusedTransactions(t *testing.T) {
	w := open(t, gateway.Options{BodyBytesMax: 1 << 20, DataBytesMax: 4 << 20})
	b, err := os.ReadFile("../testdata/l1_tx.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Invalid []struct {
			Name string          `json:"name"`
			Tx   json.RawMessage `json:"tx"`
		} `json:"invalid"`
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	post := func(body string) answer { return w.send(http.MethodPost, "/tx", "application/json", body) }
	for _, v := range vectors.Invalid {
		if got := post(string(v.Tx)); got.status != 400 || !strings.HasPrefix(got.body, `{"error":"transaction`) {
			t.Errorf("%s: %d %s", v.Name, got.status, got.body)
		}
	}
	post("").want(t, 400, "not a transaction")
	post("[]").want(t, 400, "not a transaction")
	post(strings.Repeat(" ", 1<<20+1)).want(t, 413, "larger than the limit")
	huge := &arweave.Tx{DataSize: 4<<20 + 1, DataRoot: make([]byte, 32)}
	if err := huge.Sign(rsaWallet(t)); err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(huge)
	if err != nil {
		t.Fatal(err)
	}
	post(string(body)).want(t, 413, "at most 4194304 are accepted")
	if w.g.Count() != 0 {
		t.Error("a refused transaction was stored")
	}
}

func TestRefusedChunks(t *testing.T) {
	w := open(t, gateway.Options{})
	tx := signTx(t, rsaWallet(t), patterned(3*chunkSize))
	tree := arweave.NewTree(tx.Data)
	post := func(change func(*arweave.ChunkUpload)) answer {
		chunk := tree.Chunks[1]
		upload := arweave.ChunkUpload{
			DataRoot: b64(tx.DataRoot), DataSize: strconv.FormatUint(tx.DataSize, 10), DataPath: b64(chunk.Proof),
			Offset: strconv.FormatUint(chunk.End-1, 10), Chunk: b64(tx.Data[chunk.Start:chunk.End]),
		}
		change(&upload)
		body, err := json.Marshal(upload)
		if err != nil {
			t.Fatal(err)
		}
		return w.send(http.MethodPost, "/chunk", "application/json", string(body))
	}
	post(func(*arweave.ChunkUpload) {}).want(t, 400, `{"error":"data_root_not_found"}`)
	bare := *tx
	bare.Data = nil
	if err := w.client.PostTx(context.Background(), &bare); err != nil {
		t.Fatal(err)
	}
	post(func(u *arweave.ChunkUpload) { u.Chunk = b64(tx.Data[:chunkSize]) }).want(t, 400, "invalid_proof")
	post(func(u *arweave.ChunkUpload) { u.Offset = "0" }).want(t, 400, "invalid_proof")
	post(func(u *arweave.ChunkUpload) { u.Offset = "-1" }).want(t, 400, "offset")
	post(func(u *arweave.ChunkUpload) { u.DataPath = "" }).want(t, 400, "invalid_proof")
	post(func(u *arweave.ChunkUpload) { u.DataSize = "9" }).want(t, 400, "data_root_not_found")
	post(func(u *arweave.ChunkUpload) { u.DataSize = "9000000000000000000" }).want(t, 400, "data_size_too_big")
	post(func(u *arweave.ChunkUpload) { u.Chunk = b64(make([]byte, chunkSize+1)) }).want(t, 400, "chunk_too_big")
	w.send(http.MethodPost, "/chunk", "application/json", "{").want(t, 400, "invalid_json")
	w.send(http.MethodPost, "/chunk", "application/json", strings.Repeat(" ", 1<<20+1)).want(t, 413, "larger")
	post(func(*arweave.ChunkUpload) {}).want(t, 200, "{}")
	post(func(*arweave.ChunkUpload) {}).want(t, 200, "{}")
	w.get("/raw/"+tx.ID.String()).want(t, 404, "262144 of 786432 bytes")
}

func TestTransfersNeedFunds(t *testing.T) {
	w := open(t, gateway.Options{})
	to := dataitem.AddressOf([]byte("to"))
	tx := &arweave.Tx{Target: to[:], Quantity: "300", Reward: "5"}
	if err := tx.Sign(rsaWallet(t)); err != nil {
		t.Fatal(err)
	}
	from := tx.Address().String()
	ctx := context.Background()
	if err := w.client.PostTx(ctx, tx); err == nil || !strings.Contains(err.Error(), "holds 0 winston and sends 300") {
		t.Errorf("unfunded: %v", err)
	}
	w.get("/mint/"+from+"/1000").want(t, 200, "1000")
	w.get("/mint/"+from+"/-1").want(t, 400, "not an amount")
	if err := w.client.PostTx(ctx, tx); err != nil {
		t.Fatal(err)
	}
	if err := w.client.PostTx(ctx, tx); err != nil {
		t.Fatal(err)
	}
	w.get("/wallet/"+from+"/balance").want(t, 200, "700")
	w.get("/wallet/"+to.String()+"/balance").want(t, 200, "300")
	w.get("/wallet/"+to.String()+"/last_tx").want(t, 200, "")
	w.get("/wallet/short/balance").want(t, 400, "not an id")
	w.get("/"+tx.ID.String()).want(t, 200, "")
}

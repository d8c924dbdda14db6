package gateway_test

import (
	"context"
	"io"
	"net/http"
	"testing"

	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

func TestSmallEndpoints(t *testing.T) {
	w := open(t, gateway.Options{GenesisHeight: 42})
	for path, want := range map[string]string{
		"/":                                 `"height":42`,
		"/info":                             `"network":"wallaby.localnet"`,
		"//info/":                           `"height":42`,
		"/height":                           "42",
		"/price/1000":                       "0",
		"/price/1000/someone":               "0",
		"/price/arweave/1000":               "0",
		"/block/current":                    `"height":42`,
		"/block/height/42":                  `"txs":[]`,
		"/peers":                            "[]",
		"/tx_anchor":                        w.g.Info().Current,
		"/block/hash/" + w.g.Info().Current: `"height":42`,
	} {
		w.get(path).want(t, 200, want)
	}
	if kind := w.get("/").header.Get("Type"); kind == "" {
		t.Error("the root has no type, which makes the reference messenger refuse every spawn")
	}
}

func TestRefusals(t *testing.T) {
	w := open(t, gateway.Options{})
	id := dataitem.AddressOf(nil).String()
	for _, refusal := range []struct {
		method, path string
		status       int
		text         string
	}{
		{"GET", "/no/such/path/at/all", 404, "no such path"},
		{"GET", "/nothing", 404, "no such path"},
		{"GET", "/" + id[:42] + "!", 400, "is not an id"},
		{"GET", "/raw/short", 400, "is not an id"},
		{"GET", "/raw/" + id, 404, "nothing with the id"},
		{"HEAD", "/" + id, 404, ""},
		{"GET", "/tx/" + id, 404, "nothing with the id"},
		{"GET", "/tx/" + id + "/status", 404, "nothing with the id"},
		{"GET", "/tx/" + id + "/offset", 404, "nothing with the id"},
		{"GET", "/block/height/99", 404, "the chain goes from 1 to 1"},
		{"GET", "/block/height/x", 400, "not a height"},
		{"GET", "/block/hash/x", 404, "no block"},
		{"GET", "/block/hash/" + dataitem.AddressOf(nil).String() + "aaaaaaaaaaaaaaaaaaaaa", 404, "no block"},
		{"GET", "/chunk/x", 400, "not a decimal number"},
		{"GET", "/price/x", 400, "not a number of bytes"},
		{"GET", "/tx", 405, "use POST"},
		{"GET", "/chunk", 405, "use POST"},
		{"DELETE", "/tx", 405, "use POST"},
		{"PUT", "/info", 405, "use GET, HEAD"},
		{"POST", "/info", 405, "use GET, HEAD"},
		{"POST", "/nothing", 404, "no such path"},
	} {
		got := w.send(refusal.method, refusal.path, "", "").want(t, refusal.status, refusal.text)
		if refusal.method != http.MethodHead && (got.body == "" || got.body[:10] != `{"error":"`) {
			t.Errorf("%s %s: %q is not an error in JSON", refusal.method, refusal.path, got.body)
		}
	}
}

func TestCrossOrigin(t *testing.T) {
	w := open(t, gateway.Options{})
	preflight := w.send(http.MethodOptions, "/tx/arweave", "", "", "Origin", "http://example.com",
		"Access-Control-Request-Method", "POST", "Access-Control-Request-Headers", "content-type").want(t, 204, "")
	for _, header := range []string{"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers"} {
		if preflight.header.Get(header) == "" {
			t.Errorf("no %s", header)
		}
	}
	refused := w.send(http.MethodPost, "/tx/arweave", "text/plain", "x", "Origin", "http://example.com").want(t, 400, "Content-Type must be")
	if refused.header.Get("Access-Control-Allow-Origin") != "*" || refused.header.Get("Access-Control-Expose-Headers") == "" {
		t.Error("a page cannot read why it was refused")
	}
}

// TestSameDataInTwoBundles has a second transaction bring data that is there.
func TestSameDataInTwoBundles(t *testing.T) {
	w := open(t, gateway.Options{})
	ctx := context.Background()
	inner := sign(t, wallet(t, 1), dataitem.Draft{Data: patterned(300_000)})
	data := bundleOf(t, inner)
	plain := signTx(t, rsaWallet(t), data)
	if err := w.client.Upload(ctx, plain); err != nil {
		t.Fatal(err)
	}
	w.get("/raw/"+inner.ID().String()).want(t, 404, "")
	carrier := signTx(t, rsaWallet(t), data, "Bundle-Format", "binary", "Bundle-Version", "2.0.0")
	bare := *carrier
	bare.Data = nil
	if err := w.client.PostTx(ctx, &bare); err != nil {
		t.Fatal(err)
	}
	w.get("/raw/"+inner.ID().String()).want(t, 200, "")
	if got := w.bundledIn(carrier.ID); len(got) != 1 {
		t.Errorf("%v", got)
	}
}

func TestBodiesOfUnknownLength(t *testing.T) {
	w := open(t, gateway.Options{BodyBytesMax: 1000})
	it := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("streamed")})
	for _, c := range []struct {
		body   []byte
		status int
	}{{it.Bytes(), 200}, {make([]byte, 1001), 413}} {
		request, err := http.NewRequest(http.MethodPost, w.url+"/tx", &unsized{c.body})
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/octet-stream")
		response, err := w.client.HTTP.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		if response.Body.Close(); response.StatusCode != c.status {
			t.Errorf("%d bytes: %d, want %d", len(c.body), response.StatusCode, c.status)
		}
	}
}

// unsized hides a body's length from the client, which then sends it in pieces.
type unsized struct{ rest []byte }

func (u *unsized) Read(b []byte) (int, error) {
	n := copy(b, u.rest)
	if u.rest = u.rest[n:]; n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func BenchmarkPutVerifiedBatch(b *testing.B) {
	w := open(b, gateway.Options{Dir: b.TempDir()})
	signer := wallet(b, 1)
	const size = 256
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		var items []*dataitem.Item
		for j := range size {
			items = append(items, sign(b, signer, dataitem.Draft{Data: []byte(itoa(i) + " " + itoa(j)), Tags: tags(
				"Data-Protocol", "ao", "Variant", "ao.TN.1", "Type", "Message", "Action", "Transfer", "Nonce", itoa(j))}))
		}
		b.StartTimer()
		if err := w.g.PutVerifiedBatch(context.Background(), items); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*size), "µs/item")
}

func BenchmarkQueryByTags(b *testing.B) {
	w := open(b, gateway.Options{Dir: b.TempDir()})
	signer := wallet(b, 1)
	var items []*dataitem.Item
	for i := range 5000 {
		items = append(items, sign(b, signer, dataitem.Draft{Tags: tags("Type", "Checkpoint", "Process", itoa(i%50), "Nonce", itoa(i))}))
	}
	if err := w.g.PutVerifiedBatch(context.Background(), items); err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		page, err := w.g.Find(context.Background(), gateway.Query{First: 50, Tags: []gateway.TagFilter{
			{Name: "Type", Values: []string{"Checkpoint"}}, {Name: "Process", Values: []string{itoa(i % 50)}}}})
		if err != nil || len(page.Records) != 50 {
			b.Fatal(len(page.Records), err)
		}
	}
}

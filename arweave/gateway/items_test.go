package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

func TestUploadAndReadAnItem(t *testing.T) {
	signer := rsaWallet(t)
	w := open(t, gateway.Options{Signer: signer})
	target := dataitem.AddressOf([]byte("someone"))
	it := sign(t, wallet(t, 1), dataitem.Draft{
		Target: target[:], Anchor: bytes.Repeat([]byte("a"), 32),
		Tags: tags("Type", "Process", "Scheduler", "abc", "Content-Type", "text/plain"), Data: []byte("hello, weave"),
	})

	answer := w.post(it).want(t, 200, it.ID().String())
	var receipt arweave.Receipt
	if err := json.Unmarshal([]byte(answer.body), &receipt); err != nil {
		t.Fatal(err)
	}
	message := receipt.SigningMessage()
	signature := make([]byte, 512)
	if n, err := decodeInto(signature, receipt.Signature); err != nil || n != 512 {
		t.Fatalf("signature of %d bytes, %v", n, err)
	}
	if err := dataitem.VerifyPSS(signer.Owner(), message[:], signature); err != nil {
		t.Errorf("the receipt: %v", err)
	}
	if receipt.DeadlineHeight != 201 || receipt.TimestampMS != w.clock.now().UnixMilli() {
		t.Errorf("receipt %+v", receipt)
	}

	w.post(it).want(t, 202, it.ID().String())
	for _, path := range []string{"/raw/", "/", "//raw//", "//"} {
		got := w.get(path+it.ID().String()).want(t, 200, "hello, weave")
		for name, want := range map[string]string{
			"Content-Type": "text/plain", "Type": "Process", "Scheduler": "abc", "Content-Length": "12", "X-Wallaby-Pinned": "",
			"Access-Control-Allow-Origin": "*",
		} {
			if got.header.Get(name) != want {
				t.Errorf("GET %s: header %s is %q, want %q", path, name, got.header.Get(name), want)
			}
		}
	}
	record, err := w.g.Lookup(context.Background(), it.ID())
	if err != nil {
		t.Fatal(err)
	}
	if record.Owner != it.OwnerAddress() || !bytes.Equal(record.OwnerKey, it.Owner) || record.Target != target ||
		!bytes.Equal(record.Anchor, it.Anchor) || record.DataSize != 12 || record.Height != 1 || record.Pinned {
		t.Errorf("record %+v", record)
	}
	if diff := cmp.Diff(it.Tags, record.Tags); diff != "" {
		t.Error(diff)
	}
	if w.g.Count() != 1 {
		t.Errorf("count %d", w.g.Count())
	}
}

func TestEveryUploadPath(t *testing.T) {
	w := open(t, gateway.Options{})
	for i, path := range []string{"/tx", "/tx/arweave", "/v1/tx", "/v1/tx/arweave", "/tx/solana", "//v1//tx/"} {
		it := sign(t, wallet(t, byte(i+1)), dataitem.Draft{Data: []byte(path)})
		w.send(http.MethodPost, path, "application/octet-stream", string(it.Bytes())).want(t, 200, it.ID().String())
		w.get("/raw/"+it.ID().String()).want(t, 200, path)
	}
}

func TestRefusedItems(t *testing.T) {
	w := open(t, gateway.Options{BodyBytesMax: 2000})
	it := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("hello")})
	raw := string(it.Bytes())
	send := func(mediaType, body string) answer { return w.send(http.MethodPost, "/tx/arweave", mediaType, body) }
	send("application/json", raw).want(t, 400, "Content-Type must be")
	send("application/octet-stream", "").want(t, 400, `{"error":"not a data item`)
	send("application/octet-stream", raw[:80]).want(t, 400, "truncated")
	send("application/octet-stream", raw+"!").want(t, 400, "signature does not match")
	send("application/octet-stream", strings.Repeat("x", 2001)).want(t, 413, "larger than the limit of 2000 bytes")
	w.get("/raw/"+it.ID().String()).want(t, 404, "nothing with the id")
	if w.g.Count() != 0 {
		t.Error("a refused item was stored")
	}
}

func TestRangeHeadAndConditions(t *testing.T) {
	w := open(t, gateway.Options{Dir: t.TempDir()})
	for _, size := range []int{10, 100_000} {
		data := bytes.Repeat([]byte("0123456789"), size/10)
		it := sign(t, wallet(t, 1), dataitem.Draft{Data: data})
		w.put(it)
		path := "/raw/" + it.ID().String()
		part := w.send(http.MethodGet, path, "", "", "Range", "bytes=3-6").want(t, 206, "3456")
		if len(part.body) != 4 || part.header.Get("Content-Range") == "" {
			t.Errorf("range: %d bytes, %s", len(part.body), part.header.Get("Content-Range"))
		}
		w.send(http.MethodGet, path, "", "", "Range", "bytes=-2").want(t, 206, "89")
		w.send(http.MethodGet, path, "", "", "Range", "bytes=999999-").want(t, 416, "")
		head := w.send(http.MethodHead, path, "", "").want(t, 200, "")
		if head.body != "" || head.header.Get("Content-Length") != itoa(len(data)) {
			t.Errorf("HEAD: body %q, length %s", head.body, head.header.Get("Content-Length"))
		}
		w.send(http.MethodGet, path, "", "", "If-None-Match", head.header.Get("ETag")).want(t, 304, "")
		if got := w.get(path); got.body != string(data) {
			t.Errorf("%d bytes read back as %d", len(data), len(got.body))
		}
	}
}

func TestTagsThatMustNotBecomeHeaders(t *testing.T) {
	w := open(t, gateway.Options{})
	it := sign(t, wallet(t, 1), dataitem.Draft{Tags: tags(
		"Set-Cookie", "a=b", "Location", "http://example.com", "Content-Encoding", "gzip", "Content-Length", "999",
		"Access-Control-Allow-Origin", "null", "X-Wallaby-Pinned", "true", "a b", "c", "Newline", "a\r\nB: c", "Content-Type", "text/html\n",
		"Transfer-Encoding", "chunked", "Umlaut", "ä", "Fine", "yes", "Fine", "second",
	), Data: []byte("<script>")})
	w.put(it)
	got := w.get("/"+it.ID().String()).want(t, 200, "<script>")
	for name, want := range map[string]string{
		"Set-Cookie": "", "Location": "", "Content-Encoding": "", "Content-Length": "8", "Access-Control-Allow-Origin": "*",
		"X-Wallaby-Pinned": "", "A b": "", "Newline": "", "B": "", "Content-Type": "application/octet-stream", "Umlaut": "", "Fine": "yes",
		"X-Content-Type-Options": "nosniff",
	} {
		if got.header.Get(name) != want {
			t.Errorf("header %s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	if !strings.HasPrefix(got.header.Get("Content-Security-Policy"), "sandbox") {
		t.Error("an uploaded page shares the gateway's origin")
	}
}

func TestPin(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			w := open(t, gateway.Options{Dir: dir})
			ctx := context.Background()
			id := dataitem.AddressOf([]byte("a module of mainnet"))
			module := tags("Data-Protocol", "ao", "Type", "Module", "Content-Type", "application/wasm")
			for _, data := range []string{"first", strings.Repeat("second", 20_000), strings.Repeat("third", 20_000), strings.Repeat("third", 20_000)} {
				if err := w.g.Pin(ctx, id, module, []byte(data)); err != nil {
					t.Fatal(err)
				}
				got := w.get("/raw/" + id.String())
				if got.status != 200 || got.body != data || got.header.Get("X-Wallaby-Pinned") != "true" || got.header.Get("Content-Type") != "application/wasm" {
					t.Errorf("%d, %d bytes, %v", got.status, len(got.body), got.header)
				}
			}
			if dir != "" {
				files, err := filepath.Glob(filepath.Join(dir, "data", "*", "*"))
				if err != nil || len(files) != 1 {
					t.Errorf("%d files are left of those that were pinned, %v", len(files), err)
				}
			}
			if w.g.Count() != 3 {
				t.Errorf("pinning the same again was counted: %d", w.g.Count())
			}
			pinned, err := w.g.Pinned()
			if err != nil || len(pinned) != 1 || pinned[0] != id {
				t.Errorf("pinned %v, %v", pinned, err)
			}
			var found edges
			w.query(`{transactions(tags:[{name:"Type",values:["Module"]}]){edges{node{id tags{name value} owner{address} block{height}}}}}`, nil, &found)
			if ids := found.ids(); len(ids) != 1 || ids[0] != id.String() {
				t.Errorf("found %v", ids)
			}
			if diff := cmp.Diff(module, found.Transactions.Edges[0].Node.Tags); diff != "" {
				t.Error(diff)
			}
			owner, moduleTags, data, err := w.g.Module(ctx, id)
			if err != nil || owner != "" || len(moduleTags) != 3 || len(data) != 100_000 {
				t.Errorf("module: %q %v %d %v", owner, moduleTags, len(data), err)
			}

			it := sign(t, wallet(t, 1), dataitem.Draft{Tags: tags("real", "yes")})
			if err := w.g.Pin(ctx, it.ID(), module, []byte("fake")); err != nil {
				t.Fatal(err)
			}
			w.put(it)
			if record, err := w.g.Lookup(ctx, it.ID()); err != nil || record.Pinned || record.DataSize != 0 {
				t.Errorf("the real item did not replace the pinned file: %+v, %v", record, err)
			}
			if err := w.g.Pin(ctx, it.ID(), module, nil); ao.CodeOf(err) != ao.CodeConflict {
				t.Errorf("pinned over a verified item: %v", err)
			}
		})
	}
}

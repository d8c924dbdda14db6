package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

func (w *world) bundledIn(carrier dataitem.ID) []string {
	w.t.Helper()
	var got edges
	w.query(fmt.Sprintf(`{transactions(bundledIn:[%q],sort:HEIGHT_ASC,first:100){edges{node{id bundledIn{id}}}}}`, carrier), nil, &got)
	for _, edge := range got.Transactions.Edges {
		if edge.Node.BundledIn == nil || edge.Node.BundledIn.ID != carrier.String() {
			w.t.Errorf("%s does not say that it is in %s", edge.Node.ID, carrier)
		}
	}
	return got.ids()
}

// TestBundles puts small and large items, one with a broken signature, and a
// bundle inside the bundle, once as an item, once in a transaction, once in
// chunks.
func TestBundles(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "disk": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			w := open(t, gateway.Options{Dir: dir})
			ctx := context.Background()
			for round, send := range []func(data []byte) dataitem.ID{
				func(data []byte) dataitem.ID {
					it := sign(t, wallet(t, 9), dataitem.Draft{Tags: bundleTags(), Data: data})
					w.post(it).want(t, 200, "")
					return it.ID()
				},
				func(data []byte) dataitem.ID {
					tx := signTx(t, rsaWallet(t), data, "Bundle-Format", "binary", "Bundle-Version", "2.0.0")
					if err := w.client.PostTx(ctx, tx); err != nil {
						t.Fatal(err)
					}
					return tx.ID
				},
				func(data []byte) dataitem.ID {
					tx := signTx(t, rsaWallet(t), data, "Bundle-Format", "binary", "Bundle-Version", "2.0.0")
					if err := w.client.Upload(ctx, tx); err != nil {
						t.Fatal(err)
					}
					return tx.ID
				},
			} {
				signer := wallet(t, byte(round+1))
				item := func(name string, size int) *dataitem.Item {
					return sign(t, signer, dataitem.Draft{Tags: tags("Name", name), Data: patterned(size)})
				}
				deep := item("deep", 50_000)
				nested := sign(t, signer, dataitem.Draft{Tags: bundleTags(), Data: bundleOf(t, deep)})
				forged, err := dataitem.Parse(append(bytes.Clone(item("forged", 5).Bytes()), '!'))
				if err != nil {
					t.Fatal(err)
				}
				small, large, empty := item("small", 100), item("large", 400_000), item("empty", 0)
				carrier := send(bundleOf(t, small, forged, nested, large, empty))

				for _, it := range []*dataitem.Item{small, large, empty, nested, deep} {
					if data, err := w.g.Data(ctx, it.ID()); err != nil || !bytes.Equal(data, it.Data) {
						t.Errorf("round %d, %s: %d bytes, %v", round, it.Tags.Get("Name"), len(data), err)
					}
				}
				w.get("/raw/"+forged.ID().String()).want(t, 404, "")
				inside := w.bundledIn(carrier)
				if len(inside) != 4 {
					t.Errorf("round %d: %d items in the bundle", round, len(inside))
				}
				if diff := cmp.Diff([]string{deep.ID().String()}, w.bundledIn(nested.ID())); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestBundleThatIsNotOne(t *testing.T) {
	w := open(t, gateway.Options{})
	it := sign(t, wallet(t, 1), dataitem.Draft{Tags: bundleTags(), Data: []byte("no bundle at all")})
	w.post(it).want(t, 200, "")
	w.get("/raw/"+it.ID().String()).want(t, 200, "no bundle at all")
	if w.g.Count() != 1 {
		t.Errorf("count %d", w.g.Count())
	}
}

func TestDeepNestingEnds(t *testing.T) {
	w := open(t, gateway.Options{})
	it := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("innermost")})
	innermost := it.ID()
	for range 30 {
		it = sign(t, wallet(t, 1), dataitem.Draft{Tags: bundleTags(), Data: bundleOf(t, it)})
	}
	w.post(it).want(t, 200, "")
	w.get("/raw/"+innermost.String()).want(t, 404, "")
	if count := w.g.Count(); count != 9 {
		t.Errorf("%d levels were opened", count)
	}
}

func TestItemsArriveTwice(t *testing.T) {
	w := open(t, gateway.Options{})
	ctx := context.Background()
	inner := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("inner")})
	w.put(inner)
	carrier := sign(t, wallet(t, 2), dataitem.Draft{Tags: bundleTags(), Data: bundleOf(t, inner)})
	if err := w.g.PutVerifiedBatch(ctx, []*dataitem.Item{carrier, inner, carrier, carrier}); err != nil {
		t.Fatal(err)
	}
	if w.g.Count() != 2 {
		t.Errorf("count %d", w.g.Count())
	}
	if stored, err := w.g.PutItem(ctx, carrier); err != nil || stored {
		t.Errorf("stored %v, %v", stored, err)
	}
}

func TestClientAgainstTheGateway(t *testing.T) {
	w := open(t, gateway.Options{Signer: rsaWallet(t)})
	ctx := context.Background()
	it := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("by the client")})
	client := &arweave.Client{BaseURL: w.url + "/", HTTP: w.client.HTTP}
	if receipt, err := client.PostItem(ctx, it); err != nil || receipt.ID != it.ID() {
		t.Errorf("%+v, %v", receipt, err)
	}
	if receipt, err := client.PostItem(ctx, it); err != nil || receipt != nil {
		t.Errorf("%+v, %v", receipt, err)
	}
	if data, err := client.Data(ctx, it.ID()); err != nil || string(data) != "by the client" {
		t.Errorf("%q, %v", data, err)
	}
	if info, err := client.Info(ctx); err != nil || info.Height != 1 || len(info.Current) != 64 {
		t.Errorf("%+v, %v", info, err)
	}
	if anchor, err := client.Anchor(ctx); err != nil || len(anchor) != 48 {
		t.Errorf("%x, %v", anchor, err)
	}
	if price, err := client.Price(ctx, 1000); err != nil || price != "0" {
		t.Errorf("%s, %v", price, err)
	}
}

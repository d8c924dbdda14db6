package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

func mustOpen(t *testing.T, o gateway.Options) *gateway.Gateway {
	t.Helper()
	g, err := gateway.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// copyStore copies a store's files while the gateway runs. What was
// acknowledged is in them, as after a kill.
func copyStore(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if entry.Name() == "LOCK" {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// TestEverythingIsThereAfterAKill acknowledges uploads of every kind at once
// and opens a copy of the files that was taken without closing the store.
func TestEverythingIsThereAfterAKill(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	ctx := context.Background()
	g := mustOpen(t, gateway.Options{Dir: dir, Now: c.now})
	signer := wallet(t, 1)
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		ids  = map[dataitem.ID][]byte{}
	)
	for i := range 40 {
		wait.Go(func() {
			it := sign(t, signer, dataitem.Draft{Tags: tags("I", itoa(i)), Data: patterned(i * 2000)})
			if _, err := g.PutItem(ctx, it); err != nil {
				t.Error(err)
			}
			mu.Lock()
			ids[it.ID()] = it.Data
			mu.Unlock()
		})
	}
	wait.Wait()
	tx := signTx(t, rsaWallet(t), patterned(400_000), "Kind", "tx")
	if _, err := g.PutTx(ctx, tx); err != nil {
		t.Fatal(err)
	}
	ids[tx.ID] = tx.Data
	pinned := dataitem.AddressOf([]byte("pinned"))
	if err := g.Pin(ctx, pinned, tags("Kind", "pin"), []byte("pinned")); err != nil {
		t.Fatal(err)
	}
	ids[pinned] = []byte("pinned")
	c.advance(time.Hour)
	height, info := g.Height(), g.Info()

	check := func(name, dir string) {
		t.Helper()
		again := mustOpen(t, gateway.Options{Dir: dir, Now: c.now})
		for id, data := range ids {
			if got, err := again.Data(ctx, id); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s: %s: %d bytes of %d, %v", name, id, len(got), len(data), err)
			}
		}
		page, err := again.Find(ctx, gateway.Query{First: 100})
		if err != nil || len(page.Records) != len(ids) {
			t.Errorf("%s: %d records, %v", name, len(page.Records), err)
		}
		if again.Count() != g.Count() || again.Height() != height {
			t.Errorf("%s: count %d, height %d", name, again.Count(), again.Height())
		}
		if diff := cmp.Diff(info, again.Info()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	check("killed", copyStore(t, dir))
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed", dir)
}

// TestUnfinishedUploadsGoOn breaks a chunked bundle off in the middle.
func TestUnfinishedUploadsGoOn(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	inner := sign(t, wallet(t, 1), dataitem.Draft{Data: patterned(2 * chunkSize)})
	tx := signTx(t, rsaWallet(t), bundleOf(t, inner), "Bundle-Format", "binary", "Bundle-Version", "2.0.0")
	bare := *tx
	bare.Data = nil
	chunks := arweave.NewTree(tx.Data).Chunks

	first := open(t, gateway.Options{Dir: dir})
	if err := first.client.PostTx(ctx, &bare); err != nil {
		t.Fatal(err)
	}
	if err := first.client.PostChunk(ctx, tx, chunks[0]); err != nil {
		t.Fatal(err)
	}
	second := open(t, gateway.Options{Dir: copyStore(t, dir)})
	for _, chunk := range chunks[1:] {
		if err := second.client.PostChunk(ctx, tx, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if data, err := second.g.Data(ctx, inner.ID()); err != nil || !bytes.Equal(data, inner.Data) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

func TestHeightsNeverFall(t *testing.T) {
	dir := t.TempDir()
	c := newClock()
	var last uint64
	for _, step := range []struct {
		interval int64
		advance  time.Duration
		want     uint64
	}{
		{1000, 10 * time.Second, 15},
		{1000, 5 * time.Second, 20},
		{60_000, 59 * time.Second, 20},
		{60_000, 61 * time.Second, 22},
		{500, time.Second, 24},
		{500, -time.Hour, 24},
	} {
		g := mustOpen(t, gateway.Options{Dir: dir, Now: c.now, BlockIntervalMS: step.interval, GenesisHeight: 5})
		c.advance(step.advance)
		height := g.Height()
		if height < last && step.advance > 0 || height != step.want && step.advance > 0 {
			t.Errorf("%+v: height %d after %d", step, height, last)
		}
		last = max(last, height)
		it := sign(t, wallet(t, 1), dataitem.Draft{Tags: tags("Step", fmt.Sprint(step))})
		if _, err := g.PutItem(context.Background(), it); err != nil {
			t.Error(err)
		}
		record, err := g.Lookup(context.Background(), it.ID())
		if err != nil || record.Height < last {
			t.Errorf("%+v: stored at %d after %d, %v", step, record.Height, last, err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestMine(t *testing.T) {
	dir := t.TempDir()
	w := open(t, gateway.Options{Dir: dir})
	w.get("/mine/100").want(t, 200, `"height":101`)
	w.get("/mine").want(t, 200, `"height":102`)
	w.get("/mine/0").want(t, 400, "blocks to mine")
	w.get("/mine/x").want(t, 400, "blocks to mine")
	w.get("/block/height/50").want(t, 200, `"timestamp":1700000000`)
	w.clock.advance(2 * time.Minute)
	w.get("/height").want(t, 200, "103")
	again := open(t, gateway.Options{Dir: copyStore(t, dir), Now: w.clock.now})
	again.get("/block/current").want(t, 200, `"height":103`)
}

func TestDamagedStoreNamesItsDirectory(t *testing.T) {
	for _, pattern := range []string{"index/*.mem", "index/MANIFEST", "index/*.sst"} {
		dir := t.TempDir()
		g := mustOpen(t, gateway.Options{Dir: dir})
		for i := range 20 {
			var batch []*dataitem.Item
			for j := range 10 {
				batch = append(batch, sign(t, wallet(t, 1), dataitem.Draft{Tags: tags("I", itoa(10*i+j)), Data: patterned(3000)}))
			}
			if err := g.PutVerifiedBatch(context.Background(), batch); err != nil {
				t.Fatal(err)
			}
		}
		source := dir
		if strings.HasSuffix(pattern, ".mem") {
			source = copyStore(t, dir)
		}
		if err := g.Close(); err != nil {
			t.Fatal(err)
		}
		files, err := filepath.Glob(filepath.Join(source, pattern))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v, %v", pattern, files, err)
		}
		for _, place := range []float64{0, 0.3, 1} {
			t.Run(fmt.Sprintf("%s at %v", pattern, place), func(t *testing.T) {
				damaged := copyStore(t, source)
				damage(t, filepath.Join(damaged, "index", filepath.Base(files[len(files)-1])), place)
				expectDamaged(t, damaged)
			})
		}
	}
}

// damage flips bits of a short stretch at some part of the file's content.
func damage(t *testing.T, file string, place float64) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(b, "\x00"))
	at := int(place * float64(max(used-16, 0)))
	for i := at; i < min(at+16, used); i++ {
		b[i] ^= 0xff
	}
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func expectDamaged(t *testing.T, dir string) {
	t.Helper()
	g, err := gateway.Open(gateway.Options{Dir: dir})
	if err == nil {
		t.Errorf("opened with %d of 200 items", g.Count())
		if err := g.Close(); err != nil {
			t.Log(err)
		}
		return
	}
	if !strings.Contains(err.Error(), filepath.Join(dir, "index")) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%v", err)
	}
	if !errors.Is(err, gateway.ErrDamaged) {
		t.Errorf("%v: not said to be damaged", err)
	}
}

// TestDamagedDataIsNotServed flips a bit in the files that hold large data.
func TestDamagedDataIsNotServed(t *testing.T) {
	dir := t.TempDir()
	w := open(t, gateway.Options{Dir: dir})
	ctx := context.Background()
	it := sign(t, wallet(t, 1), dataitem.Draft{Data: patterned(100_000)})
	w.put(it)
	tx := signTx(t, rsaWallet(t), patterned(100_001))
	if _, err := w.g.PutTx(ctx, tx); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "data", "*", "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		f, err := os.OpenFile(file, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{0x55, 0xaa}, 70_000); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	w.get("/raw/"+it.ID().String()).want(t, 500, `{"error":"the gateway's store could not be read or written"}`)
	if _, err := w.g.Data(ctx, it.ID()); !errors.Is(err, gateway.ErrDamaged) {
		t.Errorf("%v", err)
	}
	w.get("/chunk/1").want(t, 500, "could not be read")
}

func TestSecondOpenOfTheSameDirectory(t *testing.T) {
	dir := t.TempDir()
	w := open(t, gateway.Options{Dir: dir})
	if _, err := gateway.Open(gateway.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v", err)
	}
	w.get("/info").want(t, 200, "height")
}

// otherItems is a source of items that the gateway was never given.
type otherItems map[dataitem.ID]*dataitem.Item

func (o otherItems) Item(_ context.Context, id ao.ID) (*dataitem.Item, error) {
	if it, ok := o[id]; ok {
		return it, nil
	}
	return nil, ao.Errorf(ao.CodeNotFound, "no item %s", id)
}

func TestFallback(t *testing.T) {
	it := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("from the log")})
	other := sign(t, wallet(t, 1), dataitem.Draft{Data: []byte("also")})
	w := open(t, gateway.Options{Fallback: otherItems{it.ID(): it, other.ID(): other}})
	w.get("/raw/"+it.ID().String()).want(t, 200, "from the log")
	var got edges
	w.query(fmt.Sprintf(`{transactions(ids:[%q,%q]){edges{node{id}}}}`, other.ID(), dataitem.AddressOf(nil)), nil, &got)
	if ids := got.ids(); len(ids) != 1 || ids[0] != other.ID().String() {
		t.Errorf("%v", ids)
	}
	w.get("/raw/"+dataitem.AddressOf(nil).String()).want(t, 404, "nothing with the id")
}

func TestClosedGatewayRefuses(t *testing.T) {
	g := mustOpen(t, gateway.Options{})
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := g.PutItem(context.Background(), sign(t, wallet(t, 1), dataitem.Draft{}))
	if !errors.Is(err, gateway.ErrClosed) {
		t.Errorf("%v", err)
	}
}

// TestCloseLeavesNothingRunning looks only at what this gateway started:
// badger leaves goroutines behind when it cannot open damaged files.
func TestCloseLeavesNothingRunning(t *testing.T) {
	before := goleak.IgnoreCurrent()
	for _, dir := range []string{"", t.TempDir()} {
		g := mustOpen(t, gateway.Options{Dir: dir})
		if _, err := g.PutItem(context.Background(), sign(t, wallet(t, 1), dataitem.Draft{})); err != nil {
			t.Error(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	}
	goleak.VerifyNone(t, before, goleak.IgnoreTopFunction("github.com/golang/glog.(*fileSink).flushDaemon"))
}

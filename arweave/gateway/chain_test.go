package gateway_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wallaby-ao/wallaby/arweave/gateway"
)

// TestBlocksAreFoundByTime asks for blocks that were, that were mined at once and
// that are to come.
func TestBlocksAreFoundByTime(t *testing.T) {
	w := open(t, gateway.Options{BlockIntervalMS: 10_000})
	genesis := w.clock.now().UnixMilli()
	w.clock.advance(25 * time.Second)
	w.get("/mine/3").want(t, 200, `"height":6`)
	at := func(ms int64) int64 { return genesis + ms }
	block := func(height uint64, ms int64) gateway.Block {
		return gateway.Block{Height: height, Timestamp: at(ms) / 1000}
	}
	for _, c := range []struct {
		afterMS, beforeMS int64
		limit             int
		want              []gateway.Block
	}{
		{-1, 10_001, 9, []gateway.Block{block(1, 0), block(2, 10_000)}},
		{0, 10_000, 9, nil},
		{0, 25_001, 9, []gateway.Block{block(2, 10_000), block(3, 20_000), block(4, 25_000), block(5, 25_000), block(6, 25_000)}},
		{0, 36_000, 3, []gateway.Block{block(2, 10_000), block(3, 20_000), block(4, 25_000), block(5, 25_000), block(6, 25_000)}},
		{25_000, 45_001, 9, []gateway.Block{block(7, 35_000), block(8, 45_000)}},
		{1e9, 1e9 + 9_000, 9, []gateway.Block{block(100_004, 1_000_005_000)}},
	} {
		if diff := cmp.Diff(c.want, w.g.Blocks(at(c.afterMS), at(c.beforeMS), c.limit)); diff != "" {
			t.Errorf("after %d before %d (-want +got):\n%s", c.afterMS, c.beforeMS, diff)
		}
	}
}

// TestASharedChainIsTheSameEverywhere opens two gateways at different times.
func TestASharedChainIsTheSameEverywhere(t *testing.T) {
	dir := t.TempDir()
	shared := gateway.Options{GenesisMS: 1_690_000_000_123, BlockIntervalMS: 60_000, Seed: make([]byte, 32), Dir: dir}
	a := open(t, shared)
	a.clock.advance(time.Hour)
	shared.Dir, shared.Now = "", a.clock.now
	b := open(t, shared)
	if a.g.Height() != b.g.Height() || a.g.Height() < 100_000 {
		t.Errorf("heights are %d and %d", a.g.Height(), b.g.Height())
	}
	from := a.clock.now().UnixMilli()
	if diff := cmp.Diff(a.g.Blocks(from, from+3_600_000, 100), b.g.Blocks(from, from+3_600_000, 100)); diff != "" {
		t.Errorf("(-one +other):\n%s", diff)
	}
	if one, other := a.get("/block/height/5"), b.get("/block/height/5"); one.body != other.body {
		t.Errorf("block 5 is %s and %s", one.body, other.body)
	}
	a.get("/mine").want(t, 409, "shares its chain")
	other := shared
	other.Dir, other.GenesisMS = copyStore(t, dir), shared.GenesisMS+1
	if g, err := gateway.Open(other); err == nil {
		t.Errorf("a store takes up another chain, %v", g.Close())
	}
}

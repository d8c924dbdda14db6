package trial

import (
	"context"

	"github.com/wallaby-ao/wallaby/engine"
)

// chain is a weave on which a block comes every two minutes.
type chain struct{}

const (
	blockMS     = 120_000
	heightFirst = 2_000_000
)

func heightAt(timestampMS int64) uint64 {
	return heightFirst + uint64(max(0, timestampMS-BeginMS)/blockMS)
}

// Blocks lists blocks; see engine.BlockSource.
func (chain) Blocks(_ context.Context, afterMS, beforeMS int64, limit int) (list []engine.Block, err error) {
	for atMS := BeginMS + (max(afterMS, BeginMS-1)-BeginMS+blockMS)/blockMS*blockMS; atMS < beforeMS && len(list) < limit; atMS += blockMS {
		list = append(list, engine.Block{Height: heightAt(atMS), TimestampMS: atMS})
	}
	return list, nil
}

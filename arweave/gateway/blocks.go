package gateway

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"

	"github.com/graph-gophers/graphql-go"

	"github.com/wallaby-ao/wallaby/ao"
)

type blockResolver struct {
	ID        graphql.ID
	Timestamp int32
	Height    int32
	Previous  graphql.ID
}

type blockConnection struct {
	PageInfo pageInfo
	Edges    []blockEdge
}

type blockEdge struct {
	Cursor string
	Node   *blockResolver
}

type blocksInput struct {
	IDs    *[]graphql.ID
	Height *rangeFilter
	First  *int32
	After  *string
	Sort   *string
}

func resolveBlock(b Block) *blockResolver {
	return &blockResolver{
		ID: graphql.ID(b.ID), Timestamp: int32(min(b.Timestamp, math.MaxInt32)), Height: int32(min(b.Height, math.MaxInt32)),
		Previous: graphql.ID(b.Previous),
	}
}

// Block resolves one block, the current one when no id is given.
func (r *rootResolver) Block(in struct{ ID *string }) *blockResolver {
	height, ok := r.g.chain.height(), true
	if in.ID != nil {
		height, ok = r.g.chain.heightOf(*in.ID)
	}
	if block, found := r.g.chain.block(height); ok && found {
		return resolveBlock(block)
	}
	return nil
}

// Blocks resolves a page of blocks. They are computed, so a page costs the same
// wherever it lies.
func (r *rootResolver) Blocks(in blocksInput) (*blockConnection, error) {
	low, high := r.g.chain.genesis(), r.g.chain.height()
	if in.Height != nil {
		minimum, maximum := in.Height.heights()
		if minimum != nil {
			low = max(low, *minimum)
		}
		if maximum != nil {
			high = min(high, *maximum)
		}
	}
	up := ascending(in.Sort)
	if in.After != nil && *in.After != "" {
		after, err := parseBlockCursor(*in.After)
		if err != nil {
			return nil, err
		}
		if up {
			low = max(low, after+1)
		} else {
			high = min(high, max(after, 1)-1)
		}
	}
	heights := r.heights(texts(in.IDs), low, high, up, page(in.First)+1)
	c := &blockConnection{Edges: []blockEdge{}}
	if size := page(in.First); len(heights) > size {
		heights, c.PageInfo.HasNextPage = heights[:size], true
	}
	for _, height := range heights {
		if block, ok := r.g.chain.block(height); ok {
			c.Edges = append(c.Edges, blockEdge{blockCursor(height), resolveBlock(block)})
		}
	}
	return c, nil
}

// heights lists at most count heights between low and high, both inclusive,
// only those of the blocks with these ids when there are any.
func (r *rootResolver) heights(ids []string, low, high uint64, up bool, count int) []uint64 {
	var heights []uint64
	if len(ids) > 0 {
		for _, id := range ids {
			if height, ok := r.g.chain.heightOf(id); ok && height >= low && height <= high {
				heights = append(heights, height)
			}
		}
		slices.Sort(heights)
		if heights = slices.Compact(heights); !up {
			slices.Reverse(heights)
		}
		return heights[:min(count, len(heights))]
	}
	for i := range uint64(count) {
		if low > high || i > high-low {
			break
		}
		if up {
			heights = append(heights, low+i)
		} else {
			heights = append(heights, high-i)
		}
	}
	return heights
}

func blockCursor(height uint64) string {
	b, _ := json.Marshal([]uint64{height})
	return base64.RawURLEncoding.EncodeToString(b)
}

func parseBlockCursor(s string) (uint64, error) {
	var parts []uint64
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(b, &parts)
	}
	if err != nil || len(parts) != 1 {
		return 0, ao.Errorf(ao.CodeInvalid, "after: %.64q is not a cursor of this gateway", s)
	}
	return parts[0], nil
}

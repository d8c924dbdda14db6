package gateway_test

import (
	"encoding/base64"
	"strconv"

	"github.com/wallaby-ao/wallaby/dataitem"
)

func itoa(n int) string { return strconv.Itoa(n) }

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decodeInto(b []byte, s string) (int, error) { return base64.RawURLEncoding.Decode(b, []byte(s)) }

// edges is the shape of most answers.
type edges struct {
	Transactions struct {
		PageInfo struct {
			HasNextPage bool `json:"hasNextPage"`
		} `json:"pageInfo"`
		Edges []struct {
			Cursor string `json:"cursor"`
			Node   node   `json:"node"`
		} `json:"edges"`
	} `json:"transactions"`
}

type node struct {
	ID        string        `json:"id"`
	Anchor    string        `json:"anchor"`
	Signature string        `json:"signature"`
	Recipient string        `json:"recipient"`
	Tags      dataitem.Tags `json:"tags"`
	Owner     struct {
		Address string `json:"address"`
		Key     string `json:"key"`
	} `json:"owner"`
	Data struct {
		Size string  `json:"size"`
		Type *string `json:"type"`
	} `json:"data"`
	Block *struct {
		ID        string `json:"id"`
		Height    uint64 `json:"height"`
		Timestamp int64  `json:"timestamp"`
		Previous  string `json:"previous"`
	} `json:"block"`
	BundledIn *struct {
		ID string `json:"id"`
	} `json:"bundledIn"`
}

func (e edges) ids() []string {
	ids := []string{}
	for _, edge := range e.Transactions.Edges {
		ids = append(ids, edge.Node.ID)
	}
	return ids
}

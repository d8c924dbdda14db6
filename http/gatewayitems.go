package http

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// GatewayItems gets items from an Arweave gateway: fields by GraphQL and data as it
// is, which together are what was signed.
type GatewayItems struct{ Gateway *arweave.Client }

var _ ItemSource = GatewayItems{}

const itemQuery = `query ($ids: [ID!]!) { transactions(ids: $ids) { edges { node { id anchor signature recipient owner { address key } tags { name value } } } } }`

// Item gives an item.
func (g GatewayItems) Item(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	item, err := g.item(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("gateway %s: item %s: %w", g.Gateway.BaseURL, id, err)
	}
	return item, nil
}

func (g GatewayItems) item(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	var found struct {
		Transactions struct {
			Edges []struct {
				Node struct {
					ID        string
					Anchor    string
					Signature string
					Recipient string
					Owner     struct{ Address, Key string }
					Tags      dataitem.Tags
				}
			}
		}
	}
	if err := g.Gateway.GraphQL(ctx, itemQuery, map[string]any{"ids": []string{id.String()}}, &found); err != nil {
		return nil, err
	}
	if len(found.Transactions.Edges) == 0 {
		return nil, ao.Errorf(ao.CodeNotFound, "it is not there")
	}
	data, err := g.Gateway.Data(ctx, id)
	if err != nil {
		return nil, err
	}
	node := found.Transactions.Edges[0].Node
	text := string(data)
	fields := itemFields{owner: node.Owner.Key, signature: node.Signature, target: &node.Recipient, tags: node.Tags, data: &text}
	if node.Anchor != "" {
		anchor := node.Anchor
		// Gateways give base64url of the bytes, or of their text.
		if b, err := base64.RawURLEncoding.DecodeString(anchor); err == nil && len(b) == 32 {
			anchor = string(b)
		}
		fields.anchor = &anchor
	}
	return rebuild(fields)
}

package http

import (
	"context"
	"encoding/base64"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
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

// gatewayItem is what a gateway says of an item.
type gatewayItem struct {
	Anchor    string
	Signature string
	Recipient string
	Owner     struct{ Address, Key string }
	Tags      dataitem.Tags
}

func (g GatewayItems) item(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	node, data, err := g.ask(ctx, id)
	if err != nil {
		return nil, err
	}
	return node.rebuild(data)
}

func (g GatewayItems) ask(ctx context.Context, id ao.ID) (node gatewayItem, data []byte, err error) {
	var found struct {
		Transactions struct {
			Edges []struct{ Node gatewayItem }
		}
	}
	if err := g.Gateway.GraphQL(ctx, itemQuery, map[string]any{"ids": []string{id.String()}}, &found); err != nil {
		return node, nil, err
	}
	if len(found.Transactions.Edges) == 0 {
		return node, nil, ao.Errorf(ao.CodeNotFound, "it is not there")
	}
	data, err = g.Gateway.Data(ctx, id)
	return found.Transactions.Edges[0].Node, data, err
}

func (n gatewayItem) rebuild(data []byte) (*dataitem.Item, error) {
	text := string(data)
	fields := itemFields{owner: n.Owner.Key, signature: n.Signature, target: &n.Recipient, tags: n.Tags, data: &text}
	if n.Anchor != "" {
		anchor := n.Anchor
		// Gateways give base64url of the bytes, or of their text.
		if b, err := base64.RawURLEncoding.DecodeString(anchor); err == nil && len(b) == 32 {
			anchor = string(b)
		}
		fields.anchor = &anchor
	}
	return rebuild(fields)
}

// Module gives a module: as it was signed if it is a data item that the gateway
// knows exactly, else without proof.
func (g GatewayItems) Module(ctx context.Context, id ao.ID) (history.Module, error) {
	node, data, err := g.ask(ctx, id)
	if err != nil {
		return history.Module{}, fmt.Errorf("gateway %s: module %s: %w", g.Gateway.BaseURL, id, err)
	}
	if item, err := node.rebuild(data); err == nil && item.ID() == id {
		return history.Module{ID: id, Owner: item.Address(), Tags: item.Tags, Bytes: data, Item: item.Bytes()}, nil
	}
	owner := node.Owner.Address
	if owner == "" {
		owner = ao.ID{}.String() // as processes see the owner of a module that nobody signed
	}
	if key, err := decodeKey(node.Owner.Key); err == nil && len(key) > 0 {
		owner = dataitem.NativeAddress(key)
	}
	return history.Module{ID: id, Owner: owner, Tags: node.Tags, Bytes: data}, nil
}

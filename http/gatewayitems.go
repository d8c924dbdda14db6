package http

import (
	"context"
	"fmt"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
	"github.com/wallaby-ao/wallaby/history"
	"github.com/wallaby-ao/wallaby/settlement"
)

// GatewayItems gets items from an Arweave gateway: fields by GraphQL and data as it
// is, which together are what was signed.
type GatewayItems struct{ Gateway *arweave.Client }

var _ ItemSource = GatewayItems{}

// Item gives an item.
func (g GatewayItems) Item(ctx context.Context, id ao.ID) (*dataitem.Item, error) {
	_, item, err := g.look(ctx, id)
	return item, err
}

// look gives what the gateway shows of an item, and the item if that is what was
// signed.
func (g GatewayItems) look(ctx context.Context, id ao.ID) (found settlement.Found, item *dataitem.Item, err error) {
	archive := settlement.NewArchive(g.Gateway)
	list, err := archive.Look(ctx, []ao.ID{id})
	if err != nil {
		return found, nil, err
	}
	found, ok := list[id]
	if !ok {
		return found, nil, ao.Errorf(ao.CodeNotFound, "gateway %s has no item %s", g.Gateway.BaseURL, id)
	}
	item, err = archive.Item(ctx, found)
	return found, item, err
}

// Module gives a module: as it was signed if it is a data item that the gateway
// knows exactly, else without proof.
func (g GatewayItems) Module(ctx context.Context, id ao.ID) (history.Module, error) {
	found, item, err := g.look(ctx, id)
	if err == nil {
		return history.Module{ID: id, Owner: item.Address(), Tags: item.Tags, Bytes: item.Data, Item: item.Bytes()}, nil
	}
	if found.ID != id {
		return history.Module{}, err
	}
	data, err := g.Gateway.Data(ctx, id)
	if err != nil {
		return history.Module{}, fmt.Errorf("gateway %s: module %s: %w", g.Gateway.BaseURL, id, err)
	}
	owner := found.Owner
	switch {
	case len(found.OwnerKey) > 0:
		owner = dataitem.NativeAddress(found.OwnerKey)
	case owner == "":
		owner = ao.ID{}.String() // as processes see the owner of a module that nobody signed
	}
	return history.Module{ID: id, Owner: owner, Tags: found.Tags, Bytes: data}, nil
}

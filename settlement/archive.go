package settlement

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Archive reads items from a gateway.
type Archive struct{ client *arweave.Client }

// NewArchive reads through a gateway.
func NewArchive(client *arweave.Client) *Archive { return &Archive{client} }

// Found is what a gateway shows of an item or transaction without its data. None of
// it is proved.
type Found struct {
	ID        ao.ID
	Owner     string // address
	OwnerKey  []byte
	Signature []byte
	Anchor    []byte
	Target    []byte // nil if none
	Tags      dataitem.Tags
	DataBytes uint64
	Height    uint64 // of its block; 0: it is in none yet
	Bundled   bool
}

// PageMax is how many ids are asked for at once, and how much one answer lists.
const PageMax = 100

const nodeFields = `edges { cursor node {
  id anchor signature recipient owner { address key } tags { name value } data { size } block { height } bundledIn { id }
} } pageInfo { hasNextPage }`

// Look asks for items by id, at most PageMax. Those that are not there are missing
// in the answer.
func (a *Archive) Look(ctx context.Context, ids []ao.ID) (map[ao.ID]Found, error) {
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	page, err := a.query(ctx, `query($ids: [ID!]!) { transactions(ids: $ids, first: 100) { `+nodeFields+` } }`, map[string]any{"ids": texts})
	if err != nil {
		return nil, err
	}
	found := make(map[ao.ID]Found, len(page.found))
	for _, one := range page.found {
		if slices.Contains(ids, one.ID) {
			found[one.ID] = one
		}
	}
	return found, nil
}

// Search is a question for items by owner and tags.
type Search struct {
	Owners []string
	Tags   dataitem.Tags // each must be there; several values of one name: any of them
	After  string        // cursor
	// OldestFirst turns the order round.
	OldestFirst bool
}

// Find lists a page of items, and gives the cursor of the next page, "" at the end.
func (a *Archive) Find(ctx context.Context, s Search) (list []Found, next string, err error) {
	type filter struct {
		Name   string   `json:"name"`
		Values []string `json:"values"`
	}
	var filters []*filter
	for _, tag := range s.Tags {
		i := slices.IndexFunc(filters, func(f *filter) bool { return f.Name == tag.Name })
		if i < 0 {
			i, filters = len(filters), append(filters, &filter{Name: tag.Name})
		}
		filters[i].Values = append(filters[i].Values, tag.Value)
	}
	variables := map[string]any{"tags": filters, "sort": "HEIGHT_DESC"}
	if s.OldestFirst {
		variables["sort"] = "HEIGHT_ASC"
	}
	if len(s.Owners) > 0 {
		variables["owners"] = s.Owners
	}
	if s.After != "" {
		variables["after"] = s.After
	}
	page, err := a.query(ctx, `query($owners: [String!], $tags: [TagFilter!], $after: String, $sort: SortOrder) {
  transactions(owners: $owners, tags: $tags, after: $after, sort: $sort, first: 100) { `+nodeFields+` }
}`, variables)
	if err != nil {
		return nil, "", err
	}
	if page.more {
		next = page.cursor
	}
	return page.found, next, nil
}

type answerPage struct {
	found  []Found
	cursor string
	more   bool
}

func (a *Archive) query(ctx context.Context, query string, variables map[string]any) (page answerPage, err error) {
	var answer struct {
		Transactions struct {
			PageInfo struct{ HasNextPage bool }
			Edges    []struct {
				Cursor string
				Node   nodeJSON
			}
		}
	}
	if err := a.client.GraphQL(ctx, query, variables, &answer); err != nil {
		return page, fmt.Errorf("gateway %s: %w", a.client.BaseURL, err)
	}
	for _, edge := range answer.Transactions.Edges {
		page.cursor = edge.Cursor
		// What cannot be read is as if it were not there: lists hold what anybody puts up.
		if found, err := edge.Node.found(); err == nil {
			page.found = append(page.found, found)
		}
	}
	page.more = answer.Transactions.PageInfo.HasNextPage && page.cursor != ""
	return page, nil
}

// nodeJSON is a node of a gateway's answer.
type nodeJSON struct {
	ID, Anchor, Signature, Recipient string
	Owner                            struct{ Address, Key string }
	Tags                             dataitem.Tags
	Data                             struct {
		Size uint64 `json:",string"`
	}
	Block     *struct{ Height uint64 }
	BundledIn *struct{ ID string }
}

func (n nodeJSON) found() (f Found, err error) {
	f = Found{Owner: n.Owner.Address, Tags: n.Tags, DataBytes: n.Data.Size, Bundled: n.BundledIn != nil && n.BundledIn.ID != ""}
	if f.ID, err = ao.ParseID(n.ID); err != nil {
		return f, err
	}
	if n.Block != nil {
		f.Height = n.Block.Height
	}
	for _, field := range []struct {
		text string
		into *[]byte
	}{{n.Signature, &f.Signature}, {n.Owner.Key, &f.OwnerKey}, {n.Recipient, &f.Target}} {
		if field.text == "" {
			continue
		}
		if *field.into, err = base64.RawURLEncoding.DecodeString(field.text); err != nil {
			return f, err
		}
	}
	// Gateways show the bytes of an anchor as base64url, or as the text that they are.
	if f.Anchor, err = base64.RawURLEncoding.DecodeString(n.Anchor); err != nil || len(f.Anchor) != 32 {
		f.Anchor = []byte(n.Anchor)
	}
	return f, nil
}

// Item gives what was found as a whole item, verified.
func (a *Archive) Item(ctx context.Context, f Found) (*dataitem.Item, error) {
	draft := dataitem.Draft{Target: f.Target, Anchor: f.Anchor, Tags: f.Tags}
	if f.DataBytes > 0 {
		var err error
		if draft.Data, err = a.client.Data(ctx, f.ID); err != nil {
			return nil, fmt.Errorf("gateway %s: %w", a.client.BaseURL, err)
		}
	}
	it, err := dataitem.Rebuild(draft, f.OwnerKey, f.Signature)
	if err == nil && it.ID() != f.ID {
		err = fmt.Errorf("%w: the id is not the hash of the signature", dataitem.ErrSignature)
	}
	if err != nil {
		return nil, fmt.Errorf("what gateway %s has as item %s: %w", a.client.BaseURL, f.ID, err)
	}
	return it, nil
}

// Tx gives a base-layer transaction with its data, verified.
func (a *Archive) Tx(ctx context.Context, id ao.ID) (*arweave.Tx, error) {
	tx, err := a.client.Tx(ctx, id)
	if err == nil && tx.ID != id {
		err = fmt.Errorf("it is transaction %s", tx.ID)
	}
	if err == nil && tx.DataSize > 0 {
		tx.Data, err = a.client.Data(ctx, id)
	}
	if err == nil {
		err = tx.Verify()
	}
	if err != nil {
		return nil, fmt.Errorf("what gateway %s has as transaction %s: %w", a.client.BaseURL, id, err)
	}
	return tx, nil
}

// Height is the newest block's.
func (a *Archive) Height(ctx context.Context) (uint64, error) {
	info, err := a.client.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("gateway %s: %w", a.client.BaseURL, err)
	}
	return info.Height, nil
}

// differs says in what the gateway shows another item than this one under its id,
// "" if in nothing. Data is read and compared, too.
func (a *Archive) differs(ctx context.Context, f Found, it *dataitem.Item) (string, error) {
	switch {
	case len(f.Signature) > 0 && !bytes.Equal(f.Signature, it.Signature):
		return "signature", nil
	case len(f.OwnerKey) > 0 && !bytes.Equal(f.OwnerKey, it.Owner):
		return "owner", nil
	case !bytes.Equal(f.Target, it.Target):
		return "target", nil
	case !slices.Equal(f.Tags, it.Tags):
		return "tags", nil
	case f.DataBytes != uint64(len(it.Data)):
		return "size of the data", nil
	case len(it.Data) == 0:
		return "", nil
	}
	data, err := a.client.Data(ctx, it.ID())
	if err != nil {
		return "", err
	}
	if !bytes.Equal(data, it.Data) {
		return "data", nil
	}
	return "", nil
}

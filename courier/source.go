package courier

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/arweave"
	"github.com/wallaby-ao/wallaby/arweave/gateway"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Embedded is this node's own gateway as a Source.
type Embedded struct{ Gateway *gateway.Gateway }

var _ Source = Embedded{}

// Tags gives what the gateway holds or finds in the node's log.
func (e Embedded) Tags(ctx context.Context, id ao.ID) (dataitem.Tags, bool, error) {
	record, err := e.Gateway.Lookup(ctx, id)
	if err != nil {
		if ao.CodeOf(err) == ao.CodeNotFound {
			return nil, false, nil
		}
		return nil, false, err
	}
	return record.Tags, true, nil
}

// Location gives the tags of the newest location.
func (e Embedded) Location(ctx context.Context, owner ao.ID) (dataitem.Tags, bool, error) {
	page, err := e.Gateway.Find(ctx, gateway.Query{Owners: []ao.ID{owner}, First: 1, Tags: []gateway.TagFilter{
		{Name: ao.TagDataProtocol, Values: []string{ao.DataProtocol}},
		{Name: ao.TagType, Values: []string{ao.TypeSchedulerLocation}},
	}})
	if err != nil || len(page.Records) == 0 {
		return nil, false, err
	}
	return page.Records[0].Tags, true, nil
}

// Remote is another gateway, asked over GraphQL. Its operator is believed: public
// gateways do not give what a signature could be checked with.
type Remote struct{ client arweave.Client }

var _ Source = (*Remote)(nil)

// remoteAnswerBytesMax is ample for the tags of one item.
const remoteAnswerBytesMax = 1 << 20

// NewRemote makes a source of a gateway's URL, with or without /graphql.
func NewRemote(text string, client *http.Client) (*Remote, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil {
		return nil, fmt.Errorf("gateway %q is no http URL such as https://arweave.net", text)
	}
	base := strings.TrimSuffix(strings.TrimRight(u.String(), "/"), "/graphql")
	return &Remote{arweave.Client{BaseURL: base, HTTP: client, AnswerBytesMax: remoteAnswerBytesMax}}, nil
}

const (
	tagsQuery = `query($ids: [ID!]!) {
  transactions(ids: $ids, first: 1) { edges { node { tags { name value } } } }
}`
	locationQuery = `query($owners: [String!]!) {
  transactions(owners: $owners, first: 1, sort: HEIGHT_DESC, tags: [
    { name: "Data-Protocol", values: ["ao"] }, { name: "Type", values: ["Scheduler-Location"] }
  ]) { edges { node { tags { name value } } } }
}`
)

// Tags asks for an item.
func (r *Remote) Tags(ctx context.Context, id ao.ID) (dataitem.Tags, bool, error) {
	return r.ask(ctx, tagsQuery, map[string]any{"ids": []string{id.String()}})
}

// Location asks for the newest location.
func (r *Remote) Location(ctx context.Context, owner ao.ID) (dataitem.Tags, bool, error) {
	return r.ask(ctx, locationQuery, map[string]any{"owners": []string{owner.String()}})
}

func (r *Remote) ask(ctx context.Context, query string, variables map[string]any) (dataitem.Tags, bool, error) {
	var answer struct {
		Transactions struct {
			Edges []struct {
				Node struct {
					Tags dataitem.Tags `json:"tags"`
				} `json:"node"`
			} `json:"edges"`
		} `json:"transactions"`
	}
	if err := r.client.GraphQL(ctx, query, variables, &answer); err != nil {
		return nil, false, fmt.Errorf("gateway %s: %w", r.client.BaseURL, err)
	}
	edges := answer.Transactions.Edges
	if len(edges) == 0 {
		return nil, false, nil
	}
	return edges[0].Node.Tags, true, nil
}

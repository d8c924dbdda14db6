package connect

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Found is a process that a gateway knows.
type Found struct {
	ID    ao.ID
	Name  string // its tag; "": it has none
	Owner string // address
	Tags  dataitem.Tags
}

// findQuery asks for processes, newest first.
const findQuery = `query ($ids: [ID!], $owners: [String!], $tags: [TagFilter!], $after: String) {
	transactions(ids: $ids, owners: $owners, tags: $tags, first: 100, after: $after, sort: HEIGHT_DESC) {
		pageInfo { hasNextPage }
		edges { cursor node { id owner { address } tags { name value } } }
	}
}`

// findMax bounds how many processes Find lists.
const findMax = 10_000

// Find lists the processes of an owner, newest first; a name that is not "" must be that
// of the process.
func (c *Client) Find(ctx context.Context, owner, name string) ([]Found, error) {
	filters := []map[string]any{
		{"name": ao.TagDataProtocol, "values": []string{ao.DataProtocol}},
		{"name": ao.TagType, "values": []string{ao.TypeProcess}},
	}
	if name != "" {
		filters = append(filters, map[string]any{"name": "Name", "values": []string{name}})
	}
	return c.find(ctx, map[string]any{"owners": []string{owner}, "tags": filters})
}

// Process gives what a gateway knows of a process.
func (c *Client) Process(ctx context.Context, id ao.ID) (Found, error) {
	found, err := c.find(ctx, map[string]any{"ids": []string{id.String()}})
	if err != nil {
		return Found{}, err
	}
	if len(found) == 0 || found[0].Tags.Get(ao.TagType) != ao.TypeProcess {
		return Found{}, ao.Errorf(ao.CodeNotFound, "the gateway at %s knows no process %s", c.Gateway, id)
	}
	return found[0], nil
}

func (c *Client) find(ctx context.Context, variables map[string]any) (all []Found, err error) {
	for {
		body, err := json.Marshal(map[string]any{"query": findQuery, "variables": variables})
		if err != nil {
			return nil, err
		}
		var answer struct {
			Errors []struct{ Message string }
			Data   struct {
				Transactions struct {
					PageInfo struct{ HasNextPage bool }
					Edges    []struct {
						Cursor string
						Node   struct {
							ID    ao.ID
							Owner struct{ Address string }
							Tags  dataitem.Tags
						}
					}
				}
			}
		}
		if err := c.Do(ctx, http.MethodPost, c.Gateway+"/graphql", "application/json", body, &answer); err != nil {
			return nil, err
		}
		if len(answer.Errors) > 0 {
			return nil, ao.Errorf(ao.CodeUnavailable, "the gateway at %s answered: %s", c.Gateway, answer.Errors[0].Message)
		}
		for _, edge := range answer.Data.Transactions.Edges {
			variables["after"] = edge.Cursor
			all = append(all, Found{ID: edge.Node.ID, Name: edge.Node.Tags.Get("Name"), Owner: edge.Node.Owner.Address, Tags: edge.Node.Tags})
		}
		if !answer.Data.Transactions.PageInfo.HasNextPage || len(all) >= findMax {
			return all, nil
		}
	}
}

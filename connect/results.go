package connect

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
)

// ResultsPage is a page of results as clients see it.
type ResultsPage struct {
	PageInfo PageInfo     `json:"pageInfo"`
	Edges    []ResultEdge `json:"edges"`
}

// PageInfo says whether there is more.
type PageInfo struct {
	HasNextPage bool `json:"hasNextPage"`
}

// ResultEdge is one result of a page with its cursor.
type ResultEdge struct {
	Node   ResultNode `json:"node"`
	Cursor string     `json:"cursor"`
}

// ResultNode is a result without gas, as the reference lists it.
type ResultNode struct {
	Messages    []json.RawMessage
	Assignments []json.RawMessage
	Spawns      []json.RawMessage
	Output      json.RawMessage
}

// ResultsQuery selects a page of results.
type ResultsQuery struct {
	From, To string // cursors
	Sort     string // ASC or DESC
	Limit    int
}

// Result waits for the result of a message, an assignment or a process's boot.
func (c *Client) Result(ctx context.Context, process, id ao.ID) (result ao.Result, err error) {
	err = c.Do(ctx, http.MethodGet, c.CU+"/result/"+id.String()+"?process-id="+process.String(), "", nil, &result)
	return result, err
}

// Results gives a page of a process's results.
func (c *Client) Results(ctx context.Context, process ao.ID, q ResultsQuery) (page ResultsPage, err error) {
	query := url.Values{}
	for name, value := range map[string]string{"from": q.From, "to": q.To, "sort": q.Sort} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if q.Limit > 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	err = c.Do(ctx, http.MethodGet, c.CU+"/results/"+process.String()+"?"+query.Encode(), "", nil, &page)
	return page, err
}

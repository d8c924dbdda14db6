package connect

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/wallaby-ao/wallaby/ao"
)

// Place is a place in a process's history: behind a nonce, or behind a tick of crons
// there.
type Place struct{ Nonce, Tick uint64 }

// query gives the parameters by which a request names a place; for nil, none.
func (at *Place) query() url.Values {
	query := url.Values{}
	if at == nil {
		return query
	}
	query.Set("nonce", strconv.FormatUint(at.Nonce, 10))
	if at.Tick > 0 {
		query.Set("tick", strconv.FormatUint(at.Tick, 10))
	}
	return query
}

// Root gives the root of a process's state behind a place; nil: the newest.
func (c *Client) Root(ctx context.Context, process ao.ID, at *Place) (root ao.StateRoot, err error) {
	err = c.Do(ctx, http.MethodGet, c.CU+"/root/"+process.String()+"?"+at.query().Encode(), "", nil, &root)
	return root, err
}

// State writes the memory of a process behind a place; nil: the newest.
func (c *Client) State(ctx context.Context, process ao.ID, at *Place, to io.Writer) (bytes int64, err error) {
	target := c.CU + "/state/" + process.String() + "?" + at.query().Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return 0, explainConnection(err)
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		answer, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return 0, RefusalOf(response.StatusCode, answer)
	}
	bytes, err = io.Copy(to, response.Body)
	if err != nil {
		err = ao.Errorf(ao.CodeUnavailable, "read the state from %s: %w", target, err)
	}
	return bytes, err
}

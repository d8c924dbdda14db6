package connect

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/wallaby-ao/wallaby/ao"
	"github.com/wallaby-ao/wallaby/dataitem"
)

// Send signs a draft, posts it to the messenger and gives its id.
func (c *Client) Send(ctx context.Context, draft dataitem.Draft, signer dataitem.Signer) (ao.ID, error) {
	item, err := dataitem.Create(draft, signer)
	if err != nil {
		return ao.ID{}, ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	return item.ID(), c.Post(ctx, item)
}

// Post posts a signed item to the messenger.
func (c *Client) Post(ctx context.Context, item *dataitem.Item) error {
	return c.Do(ctx, http.MethodPost, c.MU, octets, item.Bytes(), nil)
}

// Monitor has time pass for a process: its crons run, and what they send is
// delivered. Anybody's signature will do.
func (c *Client) Monitor(ctx context.Context, process ao.ID, signer dataitem.Signer) error {
	return c.monitor(ctx, http.MethodPost, process, signer)
}

// Unmonitor ends what Monitor began.
func (c *Client) Unmonitor(ctx context.Context, process ao.ID, signer dataitem.Signer) error {
	return c.monitor(ctx, http.MethodDelete, process, signer)
}

func (c *Client) monitor(ctx context.Context, method string, process ao.ID, signer dataitem.Signer) error {
	item, err := dataitem.Create(dataitem.Draft{Target: process[:], Data: []byte(" ")}, signer)
	if err != nil {
		return ao.Errorf(ao.CodeInvalid, "%w", err)
	}
	return c.Do(ctx, method, c.MU+"/monitor/"+process.String(), octets, item.Bytes(), nil)
}

// Assign asks the messenger to assign a message to a process and gives the
// assignment's id.
func (c *Client) Assign(ctx context.Context, process, message ao.ID, exclude ...string) (ao.ID, error) {
	query := url.Values{"process-id": {process.String()}, "assign": {message.String()}}
	if len(exclude) > 0 {
		query.Set("exclude", strings.Join(exclude, ","))
	}
	var posted struct {
		ID ao.ID `json:"id"`
	}
	err := c.Do(ctx, http.MethodPost, c.MU+"?"+query.Encode(), "", nil, &posted)
	return posted.ID, err
}

// Upload posts a signed item to the bundler.
func (c *Client) Upload(ctx context.Context, item *dataitem.Item) error {
	return c.Do(ctx, http.MethodPost, c.Gateway+"/tx/arweave", octets, item.Bytes(), nil)
}
